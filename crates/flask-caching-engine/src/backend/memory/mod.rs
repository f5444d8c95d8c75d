//! The in-process store: a sharded table of values of any type, with a lifetime for each entry and
//! a limit on their number, and where it is asked for on their bytes.
//!
//! - Lifetimes are on the monotonic clock. An expired entry is freed by the operations that come
//!   after it, a few at a time; none waits for the store to be full.
//! - A full store drops what has expired, then what is least used (SIEVE); both in bounded time.
//! - A value is never dropped, and nothing the caller did not pass in is called, under a lock.

mod budget;
mod bytes;
mod guards;
mod handle;
mod key;
mod marks;
mod reader;
mod shard;
mod writing;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

pub use self::budget::LARGEST_PART;
pub use self::handle::Handle;
pub use self::marks::Marks;
pub use self::reader::Reader;

use self::budget::Budget;
use self::guards::Guards;
use self::marks::halves;
use self::shard::{Entry, NEVER, Removed, Shard, expiry};
use crate::Lifetime;
use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, RandomState};

/// The threshold of a store that is asked for one of 0.
pub const DEFAULT_THRESHOLD: usize = 500;

/// Slots are numbered by `u32`.
const LARGEST_THRESHOLD: usize = u32::MAX as usize - 1;

/// Up to this threshold one shard does: evicting over all entries is worth more than parallel locks.
const ONE_SHARD: usize = if cfg!(feature = "shuttle") { 2 } else { 4096 };

const SHARDS: usize = 1 << SHARD_BITS;
/// A model has two shards, so that few steps meet all there is.
const SHARD_BITS: u32 = if cfg!(feature = "shuttle") { 1 } else { 4 };

/// One operation in this many also looks after another shard's expired entries.
const SWEEP_EVERY: u32 = if cfg!(feature = "shuttle") { 2 } else { 32 };

/// An in-process store of at most `threshold` entries. See the [module](self).
pub struct MemoryStore<V> {
    /// Unlike that of any other store of the process, shifted to leave room for a shard's number.
    number: u32,
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
    /// Entries in all shards; a new one is let in by counting it here first.
    len: AtomicUsize,
    threshold: AtomicUsize,
    budget: Budget<V>,
    /// How many entries had to make room.
    evictions: AtomicU64,
    /// The shard whose turn it is to be swept or to give up an entry.
    turn: AtomicUsize,
    guards: Guards,
}

/// A key with its hash, and the shard it belongs to.
#[derive(Clone, Copy)]
struct Place<'k> {
    key: &'k [u8],
    hash: u32,
    shard: usize,
}

impl<V> MemoryStore<V> {
    /// An empty store of at most `threshold` entries; 0 means [`DEFAULT_THRESHOLD`].
    pub fn new(threshold: usize) -> Self {
        Self::with(threshold, Budget::unlimited(), RandomState::default(), None)
    }

    /// An empty store, as [`new`](Self::new) makes it, whose entries weigh no more than `max_bytes` together: their keys, what `weigh` says
    /// of their values, and a fixed number of bytes for each. `weigh` may be called under a shard's
    /// lock, as in [`read`](Self::read).
    pub fn bounded(threshold: usize, max_bytes: usize, weigh: fn(&V) -> usize) -> Self {
        let budget = Budget::new(max_bytes, weigh);
        Self::with(threshold, budget, RandomState::default(), None)
    }

    fn with(
        threshold: usize,
        budget: Budget<V>,
        hasher: RandomState,
        marks: Option<&Arc<Marks>>,
    ) -> Self {
        static STORES: AtomicU32 = AtomicU32::new(0);
        let threshold = effective(threshold);
        let shards = if threshold <= ONE_SHARD { 1 } else { SHARDS };
        Self {
            number: STORES.fetch_add(1, Ordering::Relaxed) << SHARD_BITS,
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(marks.cloned())))
                .collect(),
            hasher,
            len: AtomicUsize::new(0),
            threshold: AtomicUsize::new(threshold),
            turn: AtomicUsize::new(0),
            budget,
            evictions: AtomicU64::new(0),
            guards: Guards::default(),
        }
    }

    /// How many entries had to make room for others since the store was made.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Entries in the store, those included that are expired and not yet freed. Never more than
    /// the threshold.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether the store holds no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest number of entries the store holds.
    pub fn threshold(&self) -> usize {
        self.threshold.load(Ordering::Relaxed)
    }

    /// Changes the threshold (0 means [`DEFAULT_THRESHOLD`]) and evicts what is above it.
    pub fn set_threshold(&self, threshold: usize) {
        self.threshold
            .store(effective(threshold), Ordering::Relaxed);
        for index in 0..self.shards.len() {
            // A write that still goes by the former threshold holds the lock of its shard.
            drop(self.lock(index));
        }
        while self.len() > self.threshold() {
            self.evict_anywhere();
        }
    }

    /// What `read` makes of the value of `key`. It is called under the shard's lock: it must not
    /// call the store, block, or drop a value.
    #[inline]
    pub fn read<R>(&self, key: &[u8], read: impl FnOnce(&V) -> R) -> Option<R> {
        self.read_with_handle(key, |value, _| read(value))
    }

    /// As [`read`](Self::read), with a handle to the value.
    #[inline]
    pub fn read_with_handle<R>(&self, key: &[u8], read: impl FnOnce(&V, Handle) -> R) -> Option<R> {
        self.reader().read_with_handle(key, read)
    }

    /// Whether `key` has a live entry. This does not count as a use of it.
    pub fn contains(&self, key: &[u8]) -> bool {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, _| {
            shard.has_live(place.hash, key, now)
        })
    }

    /// How long the entry of `key` has left; `None`: it has none. Counts as a use of it.
    pub fn remaining(&self, key: &[u8]) -> Option<Lifetime> {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, _| {
            let (_, entry) = shard.find_live(place.hash, key, now)?;
            Some(match entry.expires {
                NEVER => Lifetime::Forever,
                expires => Lifetime::For(Instant(expires).since(Instant(now))),
            })
        })
    }

    /// Stores `value` under `key`. Returns a handle to it; `None` where `lifetime` is
    /// [`Lifetime::Expired`], or where the entry would take too much of the bound in bytes
    /// ([`excess`](Self::excess)); both remove what was there.
    pub fn set(&self, key: &[u8], value: V, lifetime: Lifetime) -> Option<Handle> {
        let terms = self.own_terms(key, &value, lifetime);
        self.write(key, value, terms, |_, _, _| true).1
    }

    /// Stores `value` where `key` has no live entry and the bound in bytes allows it
    /// ([`excess`](Self::excess)); whether it did. A key that has one costs no
    /// other entry its place.
    pub fn add(&self, key: &[u8], value: V, lifetime: Lifetime) -> bool {
        let terms = self.own_terms(key, &value, lifetime);
        self.write(key, value, terms, |shard, place, now| {
            !shard.has_live(place.hash, place.key, now)
        })
        .0
    }

    /// Stores `value` where the live entry of `key` is `expected`, in one atomic step; whether it did.
    pub fn set_if(&self, key: &[u8], expected: &V, value: V, lifetime: Lifetime) -> bool
    where
        V: PartialEq,
    {
        let terms = self.own_terms(key, &value, lifetime);
        self.write(key, value, terms, |shard, place, now| {
            shard
                .peek_live(place.hash, place.key, now)
                .is_some_and(|there| there == expected)
        })
        .0
    }

    /// Changes the value of `key` in place, in one atomic step; the entry keeps its expiry. `None`
    /// where `key` has no live entry. `change` is called under the shard's lock, as in
    /// [`read`](Self::read).
    pub fn modify<R>(&self, key: &[u8], change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, _| {
            let stamp = shard.next_stamp();
            let (slot, entry) = shard.find_live(place.hash, key, now)?;
            entry.stamp = stamp;
            let changed = change(&mut entry.value);
            if !self.budget.is_unlimited() {
                let weight = self.budget.weigh(key, &entry.value);
                self.budget.exchange(shard.weights.get(slot), weight);
                self.budget.note(&mut shard.weights, slot, weight);
            }
            Some(changed)
        })
    }

    /// Lets the entry of `key` live for `lifetime` from now where it would end sooner; whether it has
    /// a live entry. Its value is not touched, and handles to it stay valid.
    pub fn extend(&self, key: &[u8], lifetime: Lifetime) -> bool {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, _| {
            let expires = expiry(lifetime, now).unwrap_or(now);
            shard.extend(place.hash, key, expires, now)
        })
    }

    /// Removes `key`; whether it had a live entry.
    pub fn delete(&self, key: &[u8]) -> bool {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, removed| {
            let was_live = shard.remove(place.hash, key, now, removed);
            if was_live.is_some() {
                self.len.fetch_sub(1, Ordering::AcqRel);
            }
            was_live == Some(true)
        })
    }

    /// Removes every entry. Handles stay invalid.
    pub fn clear(&self) {
        // Dropped after the last lock is released.
        let mut emptied = Vec::with_capacity(self.shards.len());
        for index in 0..self.shards.len() {
            let mut shard = self.lock(index);
            let old = shard.clear();
            // Under the lock, or a write could look for something to evict where nothing is.
            self.len.fetch_sub(old.len(), Ordering::AcqRel);
            self.budget.release(old.weights.total());
            drop(shard);
            emptied.push(old);
        }
        // Not before: a deletion of what they depend on would go past entries that are still there.
        self.forget_guards_of_gone();
    }

    /// What `look` makes of every live entry: its key, the time it has left (`None`: for ever) and
    /// its value. `look` is called under a shard's lock, as in [`read`](Self::read).
    pub fn collect<R>(&self, mut look: impl FnMut(&[u8], Option<Duration>, &V) -> R) -> Vec<R> {
        let now = clock::monotonic().0;
        let mut found = Vec::new();
        for index in 0..self.shards.len() {
            let shard = self.lock(index);
            found.extend(shard.iter(now).map(|entry: &Entry<V>| {
                let left = match entry.expires {
                    NEVER => None,
                    expires => Some(Duration::from_nanos(expires - now)),
                };
                look(entry.key.as_bytes(), left, &entry.value)
            }));
        }
        found
    }

    #[inline]
    fn place<'k>(&self, key: &'k [u8]) -> Place<'k> {
        let (high, low) = halves(self.hasher.hash_one(key));
        Place {
            key,
            hash: low,
            // The number of shards is a power of two.
            shard: high as usize & (self.shards.len() - 1),
        }
    }

    /// Runs `operate` on a locked shard, with the time and a place for what it removes; frees a few
    /// expired entries after it. What was removed is dropped after the lock is released.
    #[inline]
    fn with_shard<R>(
        &self,
        index: usize,
        operate: impl FnOnce(&mut Shard<V>, u64, &mut Removed<V>) -> R,
    ) -> R {
        self.with_shard_at(clock::monotonic().0, index, operate)
    }

    #[inline]
    fn with_shard_at<R>(
        &self,
        now: u64,
        index: usize,
        operate: impl FnOnce(&mut Shard<V>, u64, &mut Removed<V>) -> R,
    ) -> R {
        let mut removed = Removed::new();
        let mut shard = self.lock(index);
        let result = operate(&mut shard, now, &mut removed);
        self.free_expired(&mut shard, now, &mut removed);
        shard.operations = shard.operations.wrapping_add(1);
        let sweep = self.shards.len() > 1 && shard.operations.is_multiple_of(SWEEP_EVERY);
        drop(shard);
        if sweep {
            self.sweep(now, &mut removed);
        }
        result
    }

    /// Frees a few expired entries of the shard whose turn it is, so that none waits for an
    /// operation on its own shard.
    #[cold]
    fn sweep(&self, now: u64, removed: &mut Removed<V>) {
        let index = self.turn.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        // A shard that is locked is in use, and frees its own.
        if let Ok(mut shard) = self.shards[index].try_lock() {
            for _ in 0..SWEEP_EVERY {
                self.free_expired(&mut shard, now, removed);
            }
        }
    }

    #[inline]
    fn free_expired(&self, shard: &mut Shard<V>, now: u64, removed: &mut Removed<V>) {
        let freed = shard.free_expired(now, removed);
        if freed > 0 {
            self.len.fetch_sub(freed, Ordering::AcqRel);
        }
        if shard.weights.freed > 0 {
            let freed = std::mem::take(&mut shard.weights.freed);
            self.budget.release(freed);
        }
    }

    /// A panic under the lock can only come from a caller's closure, before or after a change.
    fn lock(&self, index: usize) -> MutexGuard<'_, Shard<V>> {
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn effective(threshold: usize) -> usize {
    match threshold {
        0 => DEFAULT_THRESHOLD,
        threshold => threshold.min(LARGEST_THRESHOLD),
    }
}
