//! The open environments of this process: one a directory, made anew after a fork.
//!
//! LMDB forbids two of one file in a process (closing one gives back the locks of both) and the use of
//! a parent's in its child. So they are in a list, whoever opens them; and a child closes those of its
//! parent before it opens its own. What closing frees there is the child's copy: readers that LMDB
//! knows and locks belong to the process id that made them.

#![expect(
    unsafe_code,
    reason = "environments are opened and closed by their rules"
)]

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use heed::types::Bytes;
use heed::{Database, Env};

use super::Options;
use super::files::opening;
use super::visited::Visited;
use super::writing::pages::Pages;
use super::writing::room::{Claim, Room};
use super::writing::writer::Writer;
use crate::{Result, clock};

pub(super) type Table = Database<Bytes, Bytes>;

/// How often it is looked whether the store is still in its directory, where nobody writes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An open store.
pub(super) struct Environment {
    /// What no other one has, of this process or of its parents.
    number: u64,
    generation: u64,
    /// Whether another is to be opened in its place.
    retired: AtomicBool,
    looked: AtomicU64,
    parts: ManuallyDrop<Parts>,
}

/// What belongs to the process that opened it.
pub(super) struct Parts {
    pub(super) env: Env,
    /// Place → entry.
    pub(super) entries: Table,
    /// Order of eviction → place.
    pub(super) order: Table,
    /// Expiry and order → place.
    pub(super) expiry: Table,
    /// Number and place → piece of a long value.
    pub(super) pieces: Table,
    /// What the store says of itself.
    pub(super) about: Table,
    pub(super) seed: u64,
    pub(super) max_bytes: u64,
    /// `None`: LMDB writes by calls.
    pub(super) room: Option<Room>,
    pub(super) page_size: u64,
    pub(super) pages: Pages,
    pub(super) visited: Visited,
    pub(super) writer: Writer,
    /// The store's own directory, and its file's device and inode.
    pub(super) path: PathBuf,
    pub(super) identity: (u64, u64),
    /// Held: another process sees that the store is in use.
    #[allow(dead_code, reason = "held, not read")]
    pub(super) users: Arc<File>,
}

impl Parts {
    /// How many bytes of the file are in use.
    pub(super) fn used(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * self.page_size
    }

    /// Makes sure that there is room on the disk for what is claimed.
    pub(super) fn ensure_room(&self, claim: &Claim) -> heed::Result<()> {
        if let Some(room) = &self.room {
            room.ensure(claim, self.writer.taken())?;
        }
        Ok(())
    }
}

impl Environment {
    pub(super) fn new(parts: Parts) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            number: LAST.fetch_add(1, Ordering::Relaxed),
            generation: GENERATION.load(Ordering::Relaxed),
            retired: AtomicBool::new(false),
            looked: AtomicU64::new(clock::steady().0),
            parts: ManuallyDrop::new(parts),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is this process's, and still in its place.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
            && !self.retired.load(Ordering::Relaxed)
    }

    /// What is open; only where [`is_current`](Self::is_current).
    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Another is opened in its place.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether the store is still in its directory: it was looked at a moment ago, or is now.
    #[inline]
    pub(super) fn is_in_place_lately(&self) -> bool {
        let now = clock::steady();
        let looked = clock::Instant(self.looked.load(Ordering::Relaxed));
        if now.since(looked) < LOOK_EVERY {
            return true;
        }
        self.looked.store(now.0, Ordering::Relaxed);
        self.is_in_place()
    }

    /// Whether the store is still in its directory: nobody has removed or replaced it.
    pub(super) fn is_in_place(&self) -> bool {
        let found = std::fs::metadata(self.parts.path.join(opening::DATA));
        let is_there = found.is_ok_and(|found| (found.dev(), found.ino()) == self.parts.identity);
        if !is_there {
            self.retire();
        }
        is_there
    }

    /// Closes, in a child, what its parent had open.
    ///
    /// # Safety
    /// It is another process's; it is called once; nobody uses it any more.
    unsafe fn close_parents(&self) {
        // SAFETY: the threads that may have used it are not in this process, and nothing here uses
        // `parts` of another generation again. Only the environment is closed: of the files, this
        // process might already have others open, whose locks would be lost.
        drop(unsafe { std::ptr::read(&raw const self.parts.env) });
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        if self.generation == GENERATION.load(Ordering::Relaxed) {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.parts) };
        }
    }
}

/// How many forks lie between this process and the first.
static GENERATION: AtomicU64 = AtomicU64::new(0);

type Environments = HashMap<PathBuf, Arc<Environment>>;

/// Taken while environments are opened or closed, and by who forks while he does: so that no child
/// finds any of it half done.
static OPEN: Mutex<Option<Environments>> = Mutex::new(None);

thread_local! {
    /// What a thread that forks has of [`OPEN`], and its child after it.
    static FORKING: Cell<Option<MutexGuard<'static, Option<Environments>>>> =
        const { Cell::new(None) };
}

fn lock() -> MutexGuard<'static, Option<Environments>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`OPEN`], which from now on no fork finds taken.
fn lock_against_forks() -> MutexGuard<'static, Option<Environments>> {
    static FORKS: Once = Once::new();
    FORKS.call_once(|| {
        // SAFETY: the functions take one lock and give it back, which allocates nothing.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    });
    lock()
}

extern "C" fn before_fork() {
    FORKING.set(Some(lock()));
}

extern "C" fn in_parent() {
    drop(FORKING.take());
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    drop(FORKING.take());
}

/// The environment of the directory at `path`, which is its canonical one.
pub(super) fn open(path: &PathBuf, options: &Options) -> Result<Arc<Environment>> {
    let mut open = lock_against_forks();
    let open = open.get_or_insert_default();
    let generation = GENERATION.load(Ordering::Relaxed);
    open.retain(|_, environment| {
        let is_ours = environment.generation == generation;
        if !is_ours {
            // SAFETY: it is removed from the list here, so this happens once.
            unsafe { environment.close_parents() };
        }
        is_ours
    });
    if let Some(environment) = open.get(path)
        && environment.is_current()
        && environment.is_in_place()
    {
        return Ok(Arc::clone(environment));
    }
    // Where that one was only moved away in its directory, the lock that says it is used goes on.
    let users = open.get(path).map(|former| Arc::clone(&former.parts.users));
    let environment = Arc::new(Environment::new(opening::open(path, options, users)?));
    open.insert(path.clone(), Arc::clone(&environment));
    Ok(environment)
}

/// Lets go of what a store had open: what nobody else uses is closed.
pub(super) fn let_go(path: &PathBuf, environments: Vec<Arc<Environment>>) {
    let mut open = lock_against_forks();
    drop(environments);
    if let Some(open) = open.as_mut()
        && let Some(environment) = open.get(path)
        && environment.generation == GENERATION.load(Ordering::Relaxed)
        && Arc::strong_count(environment) == 1
    {
        open.remove(path);
    }
}
