//! A copy nearby: what a process keeps of a server's entries, so as not to ask for them again.
//!
//! - [`Near`]: what is known of the copies of one cache: which of them stand, and whether the server's
//!   word of changes reaches this process at all. Where the copies are is their owner's affair; it
//!   keeps them in a [`MemoryStore::of_copies`](crate::backend::MemoryStore::of_copies).
//! - [`Invalidating`]: the layer by which a process sees its own writes and deletions at once.
//!
//! What keeps an old value from landing after the change that replaced it is in
//! [`Marks`]. What follows from it, for whoever fetches:
//!
//! 1. [`Near::begin`], which says whether copies can be kept at present.
//! 2. [`Backend::copies`](crate::Backend::copies), which says how long each entry lives on, and
//!    whether the server that answered is one whose changes are heard of.
//! 3. [`MemoryStore::keep`](crate::backend::MemoryStore::keep) with the stamp and the time of the
//!    first step.
//!
//! Whoever listens to the servers ([`crate::backend::redis`]) vouches with [`Near::heard_until`] for as
//! long as it would have heard; after that nobody reads a copy, whether the listener gets to run or
//! not. Where it may have missed something it takes that back and invalidates everything first, and vouches
//! again after it listens again.

mod invalidating;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use invalidating::Invalidating;

use crate::backend::memory::Marks;
use crate::clock::{self, Instant};
use crate::timeout::Lifetime;

/// How often this process was forked from another that kept copies. A child hears nothing of what its
/// parent's listener hears.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// To be called in a child after `fork()`: it has no listener yet.
pub fn forget_in_child() {
    FORKS.fetch_add(1, Ordering::AcqRel);
}

/// What is known of the copies of one cache. See the [module](self).
pub struct Near {
    marks: Arc<Marks>,
    /// What the keys of its entries begin with, and those of the copies do not.
    prefix: Vec<u8>,
    /// The longest that a copy lives.
    most: Option<Duration>,
    silence: Duration,
    /// Until when it would have been heard of every change: on the real clock.
    heard_until: AtomicU64,
    /// In which generation of forks somebody listens.
    generation: AtomicU64,
}

/// Copies that were begun: their originals are about to be read.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    first: u64,
    at: Instant,
}

impl Begun {
    /// The stamp of one of the copies.
    pub fn stamp(&self, place: u32) -> u64 {
        self.first + u64::from(place)
    }
}

impl Near {
    /// Of up to `threshold` copies, under keys that begin with `prefix`. A copy lives for `most` at
    /// the longest, and is not read where the servers have been silent for `silence`.
    pub fn new(
        prefix: Vec<u8>,
        threshold: usize,
        most: Option<Duration>,
        silence: Duration,
    ) -> Self {
        Self {
            marks: Arc::new(Marks::new(threshold)),
            prefix,
            most,
            silence,
            heard_until: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }

    /// Which copies stand.
    pub fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// What the keys of the entries begin with.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// After how long a silence nothing is known any more.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Whether copies may be read: this process would have heard of every change.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.generation.load(Ordering::Acquire) == FORKS.load(Ordering::Acquire)
            && clock::real().0 < self.heard_until.load(Ordering::Acquire)
    }

    /// Begins copies of `count` entries, which are read next; `None` where none can be kept.
    pub fn begin(&self, count: u32) -> Option<Begun> {
        self.is_current().then(|| Begun {
            at: clock::monotonic(),
            first: self.marks.begin(u64::from(count)),
        })
    }

    /// When a copy expires whose original had `left` to live after it was begun; the first `None`:
    /// it cannot be kept.
    pub fn expiry(&self, begun: Begun, left: Lifetime) -> Option<Option<Instant>> {
        let left = match left {
            Lifetime::Forever => None,
            Lifetime::For(left) => Some(left),
            Lifetime::Expired => return None,
        };
        let life = left.into_iter().chain(self.most).min();
        Some(life.map(|life| begun.at.after(life)))
    }

    /// The entry under `key`, as its server knows it, has changed, or may have.
    pub fn invalidate(&self, key: &[u8]) {
        if let Some(key) = key.strip_prefix(&*self.prefix) {
            self.marks.invalidate(key);
        }
    }

    /// Anything may have changed.
    pub fn invalidate_all(&self) {
        self.marks.invalidate_all();
    }

    /// Somebody listens from now on, in this process: what was missed until now is invalidated.
    pub fn begin_listening(&self) {
        self.marks.invalidate_all();
        self.generation
            .store(FORKS.load(Ordering::Acquire), Ordering::Release);
    }

    /// Every change before `until`, on the real clock, would have been heard of; 0: nobody listens.
    pub fn heard_until(&self, until: Instant) {
        self.heard_until.store(until.0, Ordering::Release);
    }
}
