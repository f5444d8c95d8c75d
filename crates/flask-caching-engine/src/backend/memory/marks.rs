//! Which copies of entries still stand, told by whoever hears that an original has changed.
//!
//! Everything that happens gets a number of one count: a copy the one at which it was begun, before
//! its original was read; a change the one at which it was heard of. A copy stands while nothing was
//! heard since it was begun, whenever it lands: one that is fetched before a change and lands after it
//! never stands. Copies are marked by the hash of their keys, in more stripes than there are copies;
//! those that share a stripe are invalidated together, which costs them another question and nothing else.
//!
//! There is no lock: whoever hears of changes never waits for whoever reads, nor at a `fork()`.

use std::hash::BuildHasher;
use std::time::Duration;

use super::budget::Budget;
use super::shard::Shard;
use super::writing::Terms;
use super::{Handle, MemoryStore, Place};
use crate::Lifetime;
use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, RandomState};

/// How many stripes there are for each copy that may be kept.
const STRIPES: usize = 4;
const FEWEST: usize = 1 << 10;
const MOST: usize = 1 << 20;

/// Which copies of entries still stand: those that were begun after the last change of their originals
/// was heard of.
pub struct Marks {
    hasher: RandomState,
    count: AtomicU64,
    /// When everything was invalidated last.
    all: AtomicU64,
    stripes: Box<[AtomicU64]>,
}

impl Marks {
    /// Marks for up to `copies` copies.
    pub fn new(copies: usize) -> Self {
        let stripes = copies.saturating_mul(STRIPES).clamp(FEWEST, MOST);
        let stripes = stripes.next_power_of_two();
        Self {
            hasher: RandomState::default(),
            count: AtomicU64::new(0),
            all: AtomicU64::new(0),
            stripes: (0..stripes).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Begins `copies` copies, whose originals are about to be read. Returns the stamp of the first;
    /// the others have those that follow it.
    pub fn begin(&self, copies: u64) -> u64 {
        self.count.fetch_add(copies, Ordering::AcqRel) + 1
    }

    /// The original of the copy under `key` has changed, or may have: no copy of it that was begun
    /// before stands.
    pub fn invalidate(&self, key: &[u8]) {
        let (_, hash) = halves(self.hasher.hash_one(key));
        let now = self.begin(1);
        self.stripe(hash).fetch_max(now, Ordering::AcqRel);
    }

    /// Every original may have changed: no copy that was begun before stands.
    pub fn invalidate_all(&self) {
        let now = self.begin(1);
        self.all.fetch_max(now, Ordering::AcqRel);
    }

    /// When everything was invalidated last.
    pub fn last_invalidated(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    /// Whether the copy with `stamp` under the key of `hash` stands.
    #[inline]
    pub(super) fn stands(&self, hash: u32, stamp: u64) -> bool {
        stamp > self.stripe(hash).load(Ordering::Acquire)
            && stamp > self.all.load(Ordering::Acquire)
    }

    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    #[inline]
    fn stripe(&self, hash: u32) -> &AtomicU64 {
        // Their number is a power of two.
        &self.stripes[hash as usize & (self.stripes.len() - 1)]
    }
}

/// The two halves of a hash: that of the shard, and that of the key in it.
#[inline]
pub(super) fn halves(hash: u64) -> (u32, u32) {
    let low = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
    (u32::try_from(hash >> 32).unwrap_or(0), low)
}

impl<V> MemoryStore<V> {
    /// An empty store of copies, which are there while `marks` say that they stand. They get in by
    /// [`keep`](Self::keep), which says what they weigh; 0 `max_bytes`: they may weigh what they like.
    pub fn of_copies(threshold: usize, max_bytes: usize, marks: &Arc<Marks>) -> Self {
        let budget = match max_bytes {
            0 => Budget::unlimited(),
            most => Budget::new(most, |_| 0),
        };
        Self::with(threshold, budget, marks.hasher().clone(), Some(marks))
    }

    /// Stores a copy until `until` (`None`: for ever). `stamp`: one of [`Marks::begin`], which no
    /// other copy has; from before the original was read. `bytes`: what the value counts for. Returns a
    /// handle to it; `None`: its time is over, or it is too large.
    pub fn keep(
        &self,
        key: &[u8],
        value: V,
        bytes: usize,
        until: Option<Instant>,
        stamp: u64,
    ) -> Option<Handle> {
        let lifetime = match until {
            None => Lifetime::Forever,
            Some(until) => match until.0.saturating_sub(clock::monotonic().0) {
                0 => Lifetime::Expired,
                left => Lifetime::For(Duration::from_nanos(left)),
            },
        };
        let terms = Terms {
            lifetime,
            weight: self.budget.weight(key, bytes),
            stamp: Some(stamp),
        };
        self.write(key, value, terms, |_, _, _| true).1
    }

    /// A handle to what was just written with the stamp `own`, and is to have `stamp`.
    pub(super) fn stamped(
        &self,
        shard: &mut Shard<V>,
        place: Place<'_>,
        slot: u32,
        stamp: Option<u64>,
        own: u64,
    ) -> Handle {
        if let Some(stamp) = stamp {
            shard.restamp(slot, stamp);
        }
        self.handle(place, slot, stamp.unwrap_or(own))
    }
}
