//! When a shard's entries expire: a heap with lazy deletion.
//!
//! Each slot has at most one valid item in the heap; an entry that is overwritten with a later
//! expiry leaves its item where it is, and the item is put back at the right time when it comes up.
//! A later item than needed never exists: an earlier expiry pushes an item of its own and makes
//! the old one stale. Stale items are dropped when they come up, or all at once when there are
//! more of them than slots, so that memory is bounded by the slots.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Lifetime;
use crate::clock::Instant;

/// The expiry of an entry that never expires.
pub(in crate::backend::memory) const NEVER: u64 = u64::MAX;

/// When an entry expires that is to live for `lifetime` from `now`; `None`: it is expired.
pub(in crate::backend::memory) fn expiry(lifetime: Lifetime, now: u64) -> Option<u64> {
    match lifetime {
        Lifetime::Forever => Some(NEVER),
        Lifetime::For(duration) => Some(Instant(now).after(duration).0),
        Lifetime::Expired => None,
    }
}

/// Below this many items, stale ones are not worth a rebuild.
const SMALL: usize = 64;

/// Points in time (nanoseconds on the monotonic clock) at which slots must be looked at.
#[derive(Debug)]
pub(super) struct Expiries {
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// For each slot the time of its valid item in the heap; [`NEVER`]: it has none.
    queued: Vec<u64>,
    /// When the heap's first item comes up. Every operation asks, most when nothing has: it is kept
    /// here so that they need not look into the heap's memory.
    next: u64,
}

/// What became of a slot that came up.
pub(super) enum Due {
    /// The slot's entry is expired: it was removed, or there was none.
    Gone,
    /// The slot's entry expires at this time.
    Later(u64),
}

impl Expiries {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            queued: Vec::new(),
            next: NEVER,
        }
    }

    /// Makes sure that `slot` comes up at `expires` or before.
    #[inline]
    pub(super) fn watch(&mut self, slot: u32, expires: u64) {
        if expires == NEVER {
            return;
        }
        let at = slot as usize;
        if at >= self.queued.len() {
            self.queued.resize(at + 1, NEVER);
        }
        if expires < self.queued[at] {
            self.queued[at] = expires;
            self.heap.push(Reverse((expires, slot)));
            self.next = self.next.min(expires);
            if self.heap.len() > SMALL + 2 * self.queued.len() {
                self.drop_stale();
            }
        }
    }

    /// Whether a slot has come up by `now`.
    #[inline]
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.next <= now
    }

    /// Takes one item that has come up by `now`, and asks `look` what is to become of its slot.
    /// `None`: none has come up. `Some(true)`: the slot's entry was gone.
    pub(super) fn take_due(&mut self, now: u64, look: impl FnOnce(u32) -> Due) -> Option<bool> {
        if self.next > now {
            return None;
        }
        let Reverse((expires, slot)) = self.heap.pop()?;
        self.look_ahead();
        if self.queued[slot as usize] != expires {
            return Some(false);
        }
        self.queued[slot as usize] = NEVER;
        match look(slot) {
            Due::Gone => Some(true),
            Due::Later(expires) => {
                self.watch(slot, expires);
                Some(false)
            }
        }
    }

    fn drop_stale(&mut self) {
        let queued = &self.queued;
        self.heap
            .retain(|&Reverse((expires, slot))| queued[slot as usize] == expires);
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        self.next = self
            .heap
            .peek()
            .map_or(NEVER, |&Reverse((expires, _))| expires);
    }

    #[cfg(test)]
    pub(super) fn items(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_up_in_the_order_of_their_expiry() {
        let mut expiries = Expiries::new();
        for (slot, expires) in [(0, 30), (1, 10), (2, NEVER), (3, 20)] {
            expiries.watch(slot, expires);
        }
        let mut seen = Vec::new();
        while expiries
            .take_due(25, |slot| {
                seen.push(slot);
                Due::Gone
            })
            .is_some()
        {}
        assert_eq!(seen, [1, 3]);
        assert!(!expiries.is_due(29));
        assert!(expiries.is_due(30));
    }

    #[test]
    fn a_slot_whose_expiry_moved_back_comes_up_again() {
        let mut expiries = Expiries::new();
        expiries.watch(0, 10);
        expiries.watch(0, 50);
        assert_eq!(expiries.items(), 1);
        assert_eq!(expiries.take_due(10, |_| Due::Later(50)), Some(false));
        assert!(!expiries.is_due(49));
        assert_eq!(expiries.take_due(50, |_| Due::Gone), Some(true));
    }

    #[test]
    fn a_slot_whose_expiry_moved_forward_comes_up_once() {
        let mut expiries = Expiries::new();
        expiries.watch(0, 50);
        expiries.watch(0, 10);
        assert_eq!(expiries.take_due(10, |_| Due::Gone), Some(true));
        assert_eq!(
            expiries.take_due(50, |_| unreachable!("its item is stale")),
            Some(false)
        );
        assert_eq!(expiries.take_due(50, |_| Due::Gone), None);
    }

    #[test]
    fn items_are_bounded_by_slots_under_overwrites() {
        let mut expiries = Expiries::new();
        for expires in (1..100_000).rev() {
            expiries.watch(7, expires);
        }
        assert!(expiries.items() <= SMALL + 2 * 8);
    }
}
