//! Flights: computations under way, so that a deletion wins over a result that comes late.
//!
//! A flight begins where a value was looked for and not found, and lands where the computed value is
//! stored. A deletion in between *supersedes* it: its result goes to whoever asked for it and is
//! not stored. Invariants:
//!
//! 1. A result is stored only inside of [`Flight::begin_write`], which a superseded flight is refused.
//! 2. When [`Overtaken::wait`] returns, no flight that was superseded is writing or taking back what it
//!    wrote, unless it does so for longer than [`LONGEST_WAIT`] or on this very thread (see
//!    [`Overtaken::let_write`]). A superseded write is always [taken back](Write::end).
//! 3. No lock is held while a caller's code runs. The end of a flight is its drop, so that none stays
//!    registered.
//!
//! A key is known by its hash and its scope. Two keys of one hash supersede each other, which costs a
//! result its place in the store and nothing else.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use smallvec::SmallVec;

use crate::resilience::Deadline;
use crate::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RandomState, this_thread};

/// The longest time that a deletion waits for a write under way.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

const SHARDS: usize = 16;

/// The flight may not store its result any more.
const SUPERSEDED: u8 = 1;
/// The flight is storing its result.
const WRITING: u8 = 2;

/// Under which hash: as a rule, the one flight.
type Registered = HashMap<u64, SmallVec<[Arc<Progress>; 1]>, foldhash::fast::FixedState>;

/// The computations under way. Shared by all stores whose scopes differ.
#[derive(Default)]
pub struct Flights {
    shards: [Mutex<Registered>; SHARDS],
    hasher: RandomState,
    count: AtomicUsize,
    /// The hashes under which flights are superseded as they begin, and how many hold each.
    held: Mutex<HashMap<u64, usize>>,
    holds: AtomicUsize,
}

/// How far a flight is.
struct Progress {
    scope: u64,
    state: AtomicU8,
    /// What tells the writing thread from others.
    writer: AtomicUsize,
    lock: Mutex<()>,
    written: Condvar,
}

/// One computation, until it is dropped.
pub struct Flight {
    flights: Arc<Flights>,
    hashes: SmallVec<[u64; 3]>,
    progress: Arc<Progress>,
}

/// The time in which a flight stores its result.
pub struct Write<'f>(&'f Progress);

/// The flights that a deletion found writing.
#[derive(Default)]
#[must_use = "a deletion waits for the writes that it has overtaken"]
pub struct Overtaken {
    elsewhere: SmallVec<[Arc<Progress>; 1]>,
    /// Those of this very thread.
    here: SmallVec<[Arc<Progress>; 1]>,
}

/// While it lives, flights under its keys are superseded as they begin.
pub struct Hold<'f> {
    flights: &'f Flights,
    hashes: Vec<u64>,
}

impl Flights {
    /// Nothing under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many flights are under way.
    #[inline]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether none is: a deletion has nothing to supersede then.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins the computation of what belongs under `key` of the store `scope`. `guards`: the keys of
    /// the versions that are part of it; deleting one of them supersedes it as well.
    pub fn begin<'k>(
        self: &Arc<Self>,
        scope: u64,
        key: &[u8],
        guards: impl IntoIterator<Item = &'k [u8]>,
    ) -> Flight {
        let progress = Arc::new(Progress {
            scope,
            state: AtomicU8::new(0),
            writer: AtomicUsize::new(0),
            lock: Mutex::new(()),
            written: Condvar::new(),
        });
        let mut hashes = SmallVec::new();
        hashes.push(self.hash(scope, key));
        hashes.extend(guards.into_iter().map(|guard| self.hash(scope, guard)));
        // Before it is registered: where the count is 0, nothing is.
        self.count.fetch_add(1, Ordering::SeqCst);
        for hash in &hashes {
            self.shard(*hash)
                .entry(*hash)
                .or_default()
                .push(Arc::clone(&progress));
        }
        // After it is registered: a hold that begins now finds it.
        if self.holds.load(Ordering::SeqCst) > 0 {
            let held = lock(&self.held);
            if hashes.iter().any(|hash| held.contains_key(hash)) {
                progress.state.fetch_or(SUPERSEDED, Ordering::SeqCst);
            }
        }
        Flight {
            flights: Arc::clone(self),
            hashes,
            progress,
        }
    }

    /// Supersedes the flights under `keys` of the store `scope`, which the caller is about to delete.
    pub fn supersede<'k>(&self, scope: u64, keys: impl IntoIterator<Item = &'k [u8]>) -> Overtaken {
        let mut overtaken = Overtaken::default();
        if self.is_empty() {
            return overtaken;
        }
        for key in keys {
            let hash = self.hash(scope, key);
            if let Some(flights) = self.shard(hash).get(&hash) {
                overtaken.supersede(flights);
            }
        }
        overtaken
    }

    /// Supersedes all flights of the store `scope`, which the caller is about to empty.
    pub fn supersede_all(&self, scope: u64) -> Overtaken {
        let mut overtaken = Overtaken::default();
        if self.is_empty() {
            return overtaken;
        }
        for shard in &self.shards {
            for flights in lock(shard).values() {
                for flight in flights.iter().filter(|flight| flight.scope == scope) {
                    overtaken.supersede(std::slice::from_ref(flight));
                }
            }
        }
        overtaken
    }

    /// As [`supersede`](Self::supersede), and until the hold is dropped for flights that begin as
    /// well: they may have read what is being replaced.
    pub fn hold<'k>(
        &self,
        scope: u64,
        keys: impl IntoIterator<Item = &'k [u8]> + Clone,
    ) -> (Hold<'_>, Overtaken) {
        let hashes: Vec<_> = keys
            .clone()
            .into_iter()
            .map(|key| self.hash(scope, key))
            .collect();
        let mut held = lock(&self.held);
        for hash in &hashes {
            *held.entry(*hash).or_default() += 1;
        }
        self.holds.fetch_add(1, Ordering::SeqCst);
        drop(held);
        let guard = Hold {
            flights: self,
            hashes,
        };
        (guard, self.supersede(scope, keys))
    }

    /// Forgets all flights: those of a process that was forked belong to threads it does not have. The
    /// one that the forking thread goes on with is superseded, as deletions do not find it any more.
    pub fn forget(&self) {
        for shard in &self.shards {
            let forgotten = std::mem::take(&mut *lock(shard));
            for flight in forgotten.values().flatten() {
                flight.state.fetch_or(SUPERSEDED, Ordering::SeqCst);
            }
        }
        self.count.store(0, Ordering::SeqCst);
        lock(&self.held).clear();
        self.holds.store(0, Ordering::SeqCst);
    }

    fn end(&self, hashes: &[u64], progress: &Arc<Progress>) {
        let mut was_registered = false;
        for hash in hashes {
            let mut shard = self.shard(*hash);
            let Some(flights) = shard.get_mut(hash) else {
                continue;
            };
            let before = flights.len();
            flights.retain(|flight| !Arc::ptr_eq(flight, progress));
            was_registered |= flights.len() < before;
            if flights.is_empty() {
                shard.remove(hash);
            }
        }
        // It was not where the process was forked meanwhile.
        if was_registered {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn hash(&self, scope: u64, key: &[u8]) -> u64 {
        self.hasher.hash_one((scope, key))
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Registered> {
        // The hash map takes its buckets from other bits.
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl Flight {
    /// Whether something was deleted since the flight began, so that its result may not be stored.
    pub fn is_superseded(&self) -> bool {
        self.progress.state.load(Ordering::SeqCst) & SUPERSEDED != 0
    }

    /// Begins to store the result; `None` where that may not be stored any more.
    ///
    /// Until the [`Write`] is dropped, deletions on other threads wait: the caller guarantees that it
    /// does not wait for them.
    pub fn begin_write(&self) -> Option<Write<'_>> {
        self.progress.writer.store(this_thread(), Ordering::SeqCst);
        self.progress
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
                (state & SUPERSEDED == 0).then_some(state | WRITING)
            })
            .ok()
            .map(|_| Write(&self.progress))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.end(&self.hashes, &self.progress);
    }
}

impl Write<'_> {
    /// Ends the write; whether what was written stands. Where something was deleted while it went on,
    /// `undo` takes back what was written. Who deletes waits for that, too: or it could take back what
    /// is stored after the deletion.
    pub fn end<E>(self, undo: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        // What supersedes from then on deletes what was written.
        let stands = self
            .0
            .state
            .compare_exchange(WRITING, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if !stands {
            undo()?;
        }
        Ok(stands)
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let before = self.0.state.fetch_and(!WRITING, Ordering::SeqCst);
        if before & SUPERSEDED != 0 {
            // Whoever waits has looked at the state under the lock.
            drop(lock(&self.0.lock));
            self.0.written.notify_all();
        }
    }
}

impl Overtaken {
    /// Whether no write of another thread has to be waited for.
    pub fn is_empty(&self) -> bool {
        self.elsewhere.is_empty()
    }

    /// Lets those write that share this very thread, as greenlets do, [`LONGEST_WAIT`] at most;
    /// `pause` lets others go on for a moment.
    ///
    /// # Errors
    /// Those of `pause`.
    pub fn let_write<E>(&self, mut pause: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let deadline = Deadline::after(LONGEST_WAIT);
        while self.here.iter().any(|flight| flight.is_writing()) && deadline.remaining().is_ok() {
            pause()?;
        }
        Ok(())
    }

    /// Waits until the flights of other threads have written, [`LONGEST_WAIT`] at most for all of them.
    pub fn wait(self) {
        let deadline = Deadline::after(LONGEST_WAIT);
        for progress in self.elsewhere {
            let Ok(left) = deadline.remaining() else {
                return;
            };
            let guard = lock(&progress.lock);
            let waited = progress
                .written
                .wait_timeout_while(guard, left, |()| progress.is_writing());
            drop(waited);
        }
    }

    fn supersede(&mut self, flights: &[Arc<Progress>]) {
        for flight in flights {
            let before = flight.state.fetch_or(SUPERSEDED, Ordering::SeqCst);
            if before & WRITING == 0 {
                continue;
            }
            // A thread that waits for itself waits for ever.
            let is_here = flight.writer.load(Ordering::SeqCst) == this_thread();
            let writing = if is_here {
                &mut self.here
            } else {
                &mut self.elsewhere
            };
            writing.push(Arc::clone(flight));
        }
    }
}

impl Progress {
    fn is_writing(&self) -> bool {
        self.state.load(Ordering::SeqCst) & WRITING != 0
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = lock(&self.flights.held);
        for hash in &self.hashes {
            if let Some(count) = held.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    held.remove(hash);
                }
            }
        }
        // A forked child has forgotten the holds of its parent.
        let _ = self
            .flights
            .holds
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |holds| {
                holds.checked_sub(1)
            });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
