//! The bound of a store in bytes: what each entry weighs, and what all may weigh together.
//!
//! A store without a bound weighs nothing and keeps no weights.

use super::MemoryStore;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// An entry may take this part of the bound, at most: what is larger would push out so many others
/// that it is worth less than they are.
pub const LARGEST_PART: usize = 4;

/// What takes a larger part of the bound counts as large: it makes its room by the large ones that
/// nobody has used, before it costs many small ones theirs.
const SMALL_PART: usize = 64;

/// What an entry takes beside its key and its value: its slot, its place in the index, in the order
/// of eviction and among the expiries.
const OVERHEAD: usize = 128;

/// What all entries weigh, and may weigh.
pub(super) struct Budget<V> {
    bound: Option<Bound<V>>,
    held: AtomicUsize,
}

struct Bound<V> {
    most: usize,
    weigh: fn(&V) -> usize,
}

impl<V> Budget<V> {
    pub(super) fn unlimited() -> Self {
        Self {
            bound: None,
            held: AtomicUsize::new(0),
        }
    }

    pub(super) fn new(most: usize, weigh: fn(&V) -> usize) -> Self {
        Self {
            bound: Some(Bound { most, weigh }),
            held: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(super) fn is_unlimited(&self) -> bool {
        self.bound.is_none()
    }

    pub(super) fn most(&self) -> Option<usize> {
        self.bound.as_ref().map(|bound| bound.most)
    }

    /// What all entries weigh.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// What an entry weighs; 0 where nothing is weighed.
    #[inline]
    pub(super) fn weigh(&self, key: &[u8], value: &V) -> usize {
        match &self.bound {
            None => 0,
            Some(bound) => self.weight(key, (bound.weigh)(value)),
        }
    }

    /// What an entry weighs whose value takes so many `bytes`; 0 where nothing is weighed.
    pub(super) fn weight(&self, key: &[u8], bytes: usize) -> usize {
        match &self.bound {
            None => 0,
            Some(_) => OVERHEAD.saturating_add(key.len()).saturating_add(bytes),
        }
    }

    /// Whether an entry of this weight may be stored at all.
    #[inline]
    pub(super) fn admits(&self, weight: usize) -> bool {
        match &self.bound {
            None => true,
            Some(bound) => weight <= bound.most / LARGEST_PART,
        }
    }

    #[inline]
    pub(super) fn is_large(&self, weight: usize) -> bool {
        self.bound
            .as_ref()
            .is_some_and(|bound| weight > bound.most / SMALL_PART)
    }

    /// Notes what the entry in `slot` weighs; it is counted already.
    #[inline]
    pub(super) fn note(&self, weights: &mut Weights, slot: u32, weight: usize) {
        if weight > 0 {
            weights.put(slot, weight, self.is_large(weight));
        }
    }

    /// Takes the place of an entry of weight `old` for one of weight `new`; `false`: all would weigh
    /// too much.
    #[inline]
    pub(super) fn reserve(&self, old: usize, new: usize) -> bool {
        let Some(bound) = &self.bound else {
            return true;
        };
        let reserved = self
            .held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
                let sum = held - old + new;
                (new <= old || sum <= bound.most).then_some(sum)
            });
        reserved.is_ok()
    }

    /// Counts what an entry weighs now that was changed where it is, whatever all weigh then.
    pub(super) fn exchange(&self, old: usize, new: usize) {
        if new >= old {
            self.held.fetch_add(new - old, Ordering::AcqRel);
        } else {
            self.held.fetch_sub(old - new, Ordering::AcqRel);
        }
    }

    /// Gives back what entries weighed that are gone.
    pub(super) fn release(&self, weight: usize) {
        self.held.fetch_sub(weight, Ordering::AcqRel);
    }
}

impl<V> MemoryStore<V> {
    /// What all entries weigh together, in bytes; 0 where the store has no bound.
    pub fn bytes(&self) -> usize {
        self.budget.held()
    }

    /// What all entries may weigh together, in bytes.
    pub fn max_bytes(&self) -> Option<usize> {
        self.budget.most()
    }

    /// What the entry of `key` would weigh with `value`, where that is more than the part of the bound
    /// ([`LARGEST_PART`]) that one entry may take: then it is not stored.
    #[inline]
    pub fn excess(&self, key: &[u8], value: &V) -> Option<usize> {
        if self.budget.is_unlimited() {
            return None;
        }
        let weight = self.budget.weigh(key, value);
        (!self.budget.admits(weight)).then_some(weight)
    }

    /// Evicts one of the large entries that nobody has used since another one came; whether there was
    /// one.
    pub(super) fn evict_large(&self) -> bool {
        (0..self.shards.len()).any(|index| {
            self.with_shard(index, |shard, now, removed| {
                let is_evicted = shard.evict_large(now, removed);
                if is_evicted {
                    self.len.fetch_sub(1, Ordering::AcqRel);
                    self.evictions.fetch_add(1, Ordering::Relaxed);
                }
                is_evicted
            })
        })
    }
}

/// What the entries of a shard weigh, by their slots.
pub(super) struct Weights {
    of: Vec<usize>,
    /// The slots of the large ones, the oldest first. There is no room for many.
    pub(super) large: Vec<u32>,
    /// What entries weighed that are gone, and which the budget has not been given back.
    pub(super) freed: usize,
}

impl Weights {
    pub(super) fn new() -> Self {
        Self {
            of: Vec::new(),
            large: Vec::new(),
            freed: 0,
        }
    }

    pub(super) fn get(&self, slot: u32) -> usize {
        self.of.get(slot as usize).copied().unwrap_or(0)
    }

    fn put(&mut self, slot: u32, weight: usize, is_large: bool) {
        let at = slot as usize;
        if at >= self.of.len() {
            self.of.resize(at + 1, 0);
        }
        self.of[at] = weight;
        self.large.retain(|large| *large != slot);
        if is_large {
            self.large.push(slot);
        }
    }

    /// Notes that the entry in `slot` is gone.
    #[inline]
    pub(super) fn take(&mut self, slot: u32) {
        if let Some(weight) = self.of.get_mut(slot as usize) {
            self.freed += std::mem::take(weight);
            self.large.retain(|large| *large != slot);
        }
    }

    /// What all of them weigh.
    pub(super) fn total(&self) -> usize {
        self.of.iter().sum()
    }
}
