//! Flights: computations under way, so that a deletion wins over a result that comes late.
//!
//! A flight begins where a value was looked for and not found, and lands where the computed value is
//! stored. A deletion in between *supersedes* it: its result goes to its own caller alone and is not
//! stored. Whoever looks for the same value meanwhile may *follow* the flight in place of beginning
//! another one: one computes, the others get its result (single flight, see [`Follower`]), or, where it
//! was superseded, look once more. Invariants:
//!
//! 1. A result is stored only inside of [`Flight::begin_write`], which a superseded flight is refused.
//! 2. When [`Overtaken::wait`] returns, no flight that was superseded is writing or taking back what it
//!    wrote, unless it does so for longer than [`LONGEST_WAIT`] or on this very thread (see
//!    [`Overtaken::let_write`]). A superseded write is always [taken back](Write::end).
//! 3. No lock is held while a caller's code runs. The end of a flight is its drop, so that none stays
//!    registered, and nobody follows it for ever.
//! 4. A flight that was superseded is followed by nobody who asks after that.
//!
//! A key is known by its hash and its scope. Two keys of one hash supersede each other, which costs a
//! result its place in the store and nothing else.

mod follow;
mod refusals;
mod writes;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use smallvec::SmallVec;

use self::follow::{End, Waits};
pub use self::follow::{Follower, Landing, Payload, Waiting};
pub(crate) use self::refusals::Landings;
use self::refusals::Refusals;
pub use self::writes::{Hold, Overtaken, Write};

use crate::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
pub use crate::sync::this_thread;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RandomState};

/// The longest time that a deletion waits for a write under way.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

const SHARDS: usize = 16;

/// The flight may not store its result any more.
const SUPERSEDED: u8 = 1;
/// The flight is storing its result.
const WRITING: u8 = 2;
/// Nobody may begin to follow it.
const CLOSED: u8 = 4;

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
    /// Who waits for which flight.
    waits: Waits,
    refusals: Refusals,
    landings: Landings,
}

/// How far a flight is.
struct Progress {
    scope: u64,
    state: AtomicU8,
    /// What tells the writing thread from others.
    writer: AtomicUsize,
    /// The hash of the key that it may be followed under; 0: it may not.
    followed_under: u64,
    /// The hash of what it saw of the versions beside its key.
    seen: u64,
    /// Who computes: a number that no other computing thread, greenlet or task has.
    leader: AtomicUsize,
    /// The thread that the computation began on.
    thread: usize,
    /// Guards the ends of writes and of the flight.
    lock: Mutex<End>,
    /// The write, or the flight, has ended.
    ended: Condvar,
}

/// What became of an attempt to compute something alone.
pub enum Joined {
    /// Nobody is computing it: the caller does.
    Lead(Flight),
    /// Somebody is.
    Follow(Follower),
}

/// One computation, until it is dropped.
pub struct Flight {
    flights: Arc<Flights>,
    hashes: SmallVec<[u64; 3]>,
    progress: Arc<Progress>,
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

    /// Begins the computation of what belongs under `key` of the store `scope`, beside others of it.
    /// `guards`: the keys of the versions that are part of it; deleting one of them supersedes it as
    /// well.
    pub fn begin<'k>(
        self: &Arc<Self>,
        scope: u64,
        key: &[u8],
        guards: impl IntoIterator<Item = &'k [u8]>,
    ) -> Flight {
        let hash = self.hash(scope, key);
        let progress = Arc::new(Progress::new(scope, 0, 0, this_thread()));
        // Before it is registered: where the count is 0, nothing is.
        self.count.fetch_add(1, Ordering::SeqCst);
        self.shard(hash)
            .entry(hash)
            .or_default()
            .push(Arc::clone(&progress));
        self.take_off(hash, guards, progress)
    }

    /// As [`begin`](Self::begin), unless the same is being computed, and may be followed. `leader`: see
    /// [`Flight::lead_as`].
    pub fn join<'k>(
        self: &Arc<Self>,
        scope: u64,
        key: &[u8],
        guards: impl IntoIterator<Item = &'k [u8]>,
        leader: usize,
    ) -> Joined {
        self.join_seeing(scope, key, guards, leader, b"")
    }

    /// As [`join`](Self::join), and follows only who has `seen` the same: the versions that an entry
    /// depends on and that are no part of its key, which another process may have deleted meanwhile.
    pub fn join_seeing<'k>(
        self: &Arc<Self>,
        scope: u64,
        key: &[u8],
        guards: impl IntoIterator<Item = &'k [u8]>,
        leader: usize,
        seen: &[u8],
    ) -> Joined {
        let hash = self.hash(scope, key);
        let seen = self.hash(scope, seen);
        let followed_under = if self.refusals.has(hash) { 0 } else { hash };
        let progress = Arc::new(Progress::new(scope, followed_under, seen, leader));
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut shard = self.shard(hash);
        let registered = shard.entry(hash).or_default();
        let other = registered
            .iter()
            .find(|other| followed_under != 0 && other.may_be_followed(hash, seen));
        if let Some(other) = other.cloned() {
            drop(shard);
            self.count.fetch_sub(1, Ordering::SeqCst);
            return Joined::Follow(Follower::new(Arc::clone(self), other));
        }
        registered.push(Arc::clone(&progress));
        drop(shard);
        Joined::Lead(self.take_off(hash, guards, progress))
    }

    /// How many results have landed that others may have; for [`has_landed_since`](Self::has_landed_since).
    pub fn landings(&self) -> u64 {
        self.landings.count()
    }

    /// Whether a result under `key` may have landed after the first `landings`: whoever has looked for it
    /// before that finds it now.
    pub fn has_landed_since(&self, scope: u64, key: &[u8], landings: u64) -> bool {
        self.landings.has_since(self.hash(scope, key), landings)
    }

    /// The flight of a computation that is registered under the hash of its key.
    fn take_off<'k>(
        self: &Arc<Self>,
        hash: u64,
        guards: impl IntoIterator<Item = &'k [u8]>,
        progress: Arc<Progress>,
    ) -> Flight {
        let mut hashes = SmallVec::new();
        hashes.push(hash);
        for guard in guards {
            let hash = self.hash(progress.scope, guard);
            hashes.push(hash);
            self.shard(hash)
                .entry(hash)
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
        self.waits.forget();
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

    /// Never 0.
    fn hash(&self, scope: u64, key: &[u8]) -> u64 {
        self.hasher.hash_one((scope, key)) | 1
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Registered> {
        // The hash map takes its buckets from other bits.
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

impl Flight {
    /// Lets `leader` count as the one who computes: a number that no other thread, greenlet or task has
    /// that computes at the same time. Without it, it is the present thread.
    pub fn lead_as(&self, leader: usize) {
        self.progress.leader.store(leader, Ordering::SeqCst);
    }

    /// Whether somebody waits for its result.
    pub fn is_followed(&self) -> bool {
        self.progress.is_followed()
    }

    /// Says what its followers get when the flight ends; without it, the computation has failed, and
    /// one of them is the next to compute.
    pub fn land(&self, landing: Landing) {
        if self.progress.followed_under == 0 {
            return;
        }
        match landing {
            Landing::Refused => self.flights.refusals.note(self.progress.followed_under),
            Landing::Shared(_) => self.flights.landings.note(self.progress.followed_under),
            Landing::Failed => {}
        }
        let before = lock(&self.progress.lock).landing.replace(landing);
        drop(before);
    }

    /// Lets nobody follow it from now on. Before a result is stored that another process may delete at once:
    /// whoever asks after that deletion, which this process does not hear of, must not have it.
    pub fn close(&self) {
        self.progress.state.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Whether something was deleted since the flight began, so that its result may not be stored.
    pub fn is_superseded(&self) -> bool {
        self.progress.state.load(Ordering::SeqCst) & SUPERSEDED != 0
    }

    /// Supersedes those computations of the same that began before this one. A result that was asked for
    /// though there was one, or though another was under way, is not to be replaced by an older one.
    pub fn supersede_earlier(&self) -> Overtaken {
        let mut overtaken = Overtaken::default();
        let hash = self.hashes[0];
        if let Some(flights) = self.flights.shard(hash).get(&hash) {
            // They are registered in the order in which they began.
            let mut all = flights.iter();
            let own = all.position(|flight| Arc::ptr_eq(flight, &self.progress));
            overtaken.supersede(&flights[..own.unwrap_or_default()]);
        }
        overtaken
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
        self.progress.end();
    }
}

impl Progress {
    fn new(scope: u64, followed_under: u64, seen: u64, leader: usize) -> Self {
        Self {
            scope,
            state: AtomicU8::new(0),
            writer: AtomicUsize::new(0),
            followed_under,
            seen,
            leader: AtomicUsize::new(leader),
            thread: this_thread(),
            lock: Mutex::new(End::default()),
            ended: Condvar::new(),
        }
    }

    /// Whether somebody who asks now may have its result.
    fn may_be_followed(&self, hash: u64, seen: u64) -> bool {
        self.followed_under == hash
            && self.seen == seen
            && self.state.load(Ordering::SeqCst) & (SUPERSEDED | CLOSED) == 0
    }

    fn is_writing(&self) -> bool {
        self.state.load(Ordering::SeqCst) & WRITING != 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
