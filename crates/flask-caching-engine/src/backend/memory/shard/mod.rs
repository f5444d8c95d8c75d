//! One shard: an index from keys to slots, the slots, their order of eviction and their expiries.
//!
//! Nothing here drops a value: what is removed goes to the caller's [`Removed`], which drops it
//! when the shard's lock is free again. A value may be a foreign object whose drop runs anything,
//! this store included.

mod expiry;
mod index;
mod order;

pub(super) use self::expiry::{NEVER, expiry};

use self::expiry::{Due, Expiries};
use self::index::Index;
use self::order::Order;
use super::budget::Weights;
use super::key::StoredKey;
use super::marks::Marks;
use crate::sync::Arc;

/// How many slots that came up an ordinary operation looks at, at most.
const DUE_STEPS: usize = 4;

/// How many of them an eviction looks at before it takes a living entry.
const DUE_STEPS_OF_EVICTION: usize = 1024;

/// Values to be dropped after the lock is released.
pub(super) struct Removed<V> {
    first: Option<V>,
    more: Vec<V>,
}

impl<V> Removed<V> {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, value: V) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.more.push(value);
        }
    }
}

/// A stored entry.
pub(super) struct Entry<V> {
    pub(super) key: StoredKey,
    pub(super) value: V,
    /// Nanoseconds on the monotonic clock; [`NEVER`] for none.
    pub(super) expires: u64,
    /// Unlike that of any other entry this shard ever held, and of any other write to this one.
    pub(super) stamp: u64,
    hash: u32,
    /// Uses since the eviction's hand passed, saturating.
    uses: u8,
}

impl<V> Entry<V> {
    fn is_live(&self, now: u64) -> bool {
        now < self.expires
    }

    fn used(&mut self) {
        self.uses = self.uses.saturating_add(1);
    }
}

/// Whether an entry still is what it is a copy of, as far as `marks` say.
#[inline]
fn stands<V>(marks: Option<&Marks>, entry: &Entry<V>) -> bool {
    marks.is_none_or(|marks| marks.stands(entry.hash, entry.stamp))
}

/// See the module.
pub(super) struct Shard<V> {
    index: Index,
    slots: Vec<Option<Entry<V>>>,
    free: Vec<u32>,
    order: Order,
    expiries: Expiries,
    last_stamp: u64,
    pub(super) weights: Weights,
    /// Operations so far, for work that is done once in a while.
    pub(super) operations: u32,
    /// Says which entries are no more what they are copies of, where they are copies.
    marks: Option<Arc<Marks>>,
}

impl<V> Shard<V> {
    pub(super) fn new(marks: Option<Arc<Marks>>) -> Self {
        Self {
            marks,
            index: Index::new(),
            slots: Vec::new(),
            free: Vec::new(),
            order: Order::new(),
            expiries: Expiries::new(),
            last_stamp: 0,
            weights: Weights::new(),
            operations: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The live entry of `key`, counted as used, and its slot.
    #[inline]
    pub(super) fn find_live(
        &mut self,
        hash: u32,
        key: &[u8],
        now: u64,
    ) -> Option<(u32, &mut Entry<V>)> {
        let slot = self.find(hash, key)?;
        self.live_at(slot, now).map(|entry| (slot, entry))
    }

    /// The live entry in `slot`, counted as used.
    #[inline]
    pub(super) fn live_at(&mut self, slot: u32, now: u64) -> Option<&mut Entry<V>> {
        let entry = self.slots.get_mut(slot as usize)?.as_mut()?;
        if !entry.is_live(now) || !stands(self.marks.as_deref(), entry) {
            return None;
        }
        entry.used();
        Some(entry)
    }

    /// Whether `key` has a live entry; this is no use of it.
    pub(super) fn has_live(&self, hash: u32, key: &[u8], now: u64) -> bool {
        self.peek_live(hash, key, now).is_some()
    }

    /// The value of the live entry of `key`; this is no use of it.
    pub(super) fn peek_live(&self, hash: u32, key: &[u8], now: u64) -> Option<&V> {
        let entry = self.slots[self.find(hash, key)? as usize].as_ref()?;
        (entry.is_live(now) && stands(self.marks.as_deref(), entry)).then_some(&entry.value)
    }

    /// What the entry of `key` weighs, live or expired; 0: there is none.
    pub(super) fn weight_of(&self, hash: u32, key: &[u8]) -> usize {
        self.find(hash, key)
            .map_or(0, |slot| self.weights.get(slot))
    }

    /// Writes a new value into the entry of `key`, live or expired. Gives the value back where
    /// `key` has no entry.
    pub(super) fn overwrite(
        &mut self,
        hash: u32,
        key: &[u8],
        value: V,
        expires: u64,
        now: u64,
        removed: &mut Removed<V>,
    ) -> Result<(u32, u64), V> {
        let Some(slot) = self.find(hash, key) else {
            return Err(value);
        };
        let stamp = self.next_stamp();
        let Some(entry) = self.slots[slot as usize].as_mut() else {
            return Err(value);
        };
        if entry.is_live(now) {
            entry.used();
        } else {
            entry.uses = 0;
        }
        removed.push(std::mem::replace(&mut entry.value, value));
        entry.expires = expires;
        entry.stamp = stamp;
        self.expiries.watch(slot, expires);
        Ok((slot, stamp))
    }

    /// Stores a new entry. The caller guarantees that `key` has none.
    pub(super) fn insert(&mut self, hash: u32, key: &[u8], value: V, expires: u64) -> (u32, u64) {
        let stamp = self.next_stamp();
        let entry = Some(Entry {
            key: key.into(),
            value,
            expires,
            stamp,
            hash,
            uses: 0,
        });
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            slot
        } else {
            self.slots.push(entry);
            // The store's threshold is below u32::MAX.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        self.index.insert(hash, slot);
        self.order.push(slot);
        self.expiries.watch(slot, expires);
        (slot, stamp)
    }

    /// Moves the expiry of the live entry of `key` to `expires` where that is later; whether there is
    /// one.
    pub(super) fn extend(&mut self, hash: u32, key: &[u8], expires: u64, now: u64) -> bool {
        let Some((slot, entry)) = self.find_live(hash, key, now) else {
            return false;
        };
        entry.expires = entry.expires.max(expires);
        let expires = entry.expires;
        self.expiries.watch(slot, expires);
        true
    }

    /// Removes the entry of `key`. `None`: there was none; else whether it was live.
    pub(super) fn remove(
        &mut self,
        hash: u32,
        key: &[u8],
        now: u64,
        removed: &mut Removed<V>,
    ) -> Option<bool> {
        let slot = self.find(hash, key)?;
        let entry = self.take(slot)?;
        let live = entry.is_live(now);
        removed.push(entry.value);
        Some(live)
    }

    /// Whether `slot` has the entry that was given this stamp, live or expired.
    pub(super) fn holds(&self, slot: u32, stamp: u64) -> bool {
        let entry = self.slots.get(slot as usize).and_then(Option::as_ref);
        entry.is_some_and(|entry| entry.stamp == stamp)
    }

    /// Removes the entry in `slot` where it was given this stamp; whether it was.
    pub(super) fn remove_at(&mut self, slot: u32, stamp: u64, removed: &mut Removed<V>) -> bool {
        let entry = self.holds(slot, stamp).then(|| self.take(slot)).flatten();
        let is_removed = entry.is_some();
        if let Some(entry) = entry {
            removed.push(entry.value);
        }
        is_removed
    }

    /// Removes an expired entry; where there is none, the one least worth keeping. `false`: the
    /// shard is empty.
    pub(super) fn evict(&mut self, now: u64, removed: &mut Removed<V>) -> bool {
        for _ in 0..DUE_STEPS_OF_EVICTION {
            match self.take_due(now, removed) {
                None => break,
                Some(true) => return true,
                Some(false) => {}
            }
        }
        let slots = &mut self.slots;
        let victim = self.order.victim(|slot| {
            slots[slot as usize].as_mut().map_or(0, |entry| {
                let uses = entry.uses;
                entry.uses /= 2;
                uses
            })
        });
        let Some(entry) = victim.and_then(|slot| self.take(slot)) else {
            return false;
        };
        removed.push(entry.value);
        true
    }

    /// Removes the oldest of the large entries that is expired or was not used since the last call.
    /// `false`: there is none.
    pub(super) fn evict_large(&mut self, now: u64, removed: &mut Removed<V>) -> bool {
        let slots = &mut self.slots;
        let victim = self.weights.large.iter().find(|slot| {
            slots[**slot as usize].as_mut().is_some_and(|entry| {
                let is_unused = entry.uses == 0 || !entry.is_live(now);
                entry.uses /= 2;
                is_unused
            })
        });
        let Some(entry) = victim.copied().and_then(|slot| self.take(slot)) else {
            return false;
        };
        removed.push(entry.value);
        true
    }

    /// Frees a few entries that have expired by `now`; how many.
    #[inline]
    pub(super) fn free_expired(&mut self, now: u64, removed: &mut Removed<V>) -> usize {
        if !self.expiries.is_due(now) {
            return 0;
        }
        (0..DUE_STEPS)
            .map_while(|_| self.take_due(now, removed))
            .filter(|&freed| freed)
            .count()
    }

    /// Empties the shard and returns what it held. Stamps go on where they were.
    pub(super) fn clear(&mut self) -> Self {
        let stamps = self.last_stamp;
        let old = std::mem::replace(self, Self::new(self.marks.clone()));
        self.last_stamp = stamps;
        old
    }

    /// The entries that are live at `now`.
    pub(super) fn iter(&self, now: u64) -> impl Iterator<Item = &Entry<V>> {
        self.slots
            .iter()
            .flatten()
            .filter(move |entry| entry.is_live(now) && stands(self.marks.as_deref(), entry))
    }

    /// Gives the entry in `slot`, which was just written, the stamp that its caller has for it.
    pub(super) fn restamp(&mut self, slot: u32, stamp: u64) {
        if let Some(Some(entry)) = self.slots.get_mut(slot as usize) {
            entry.stamp = stamp;
        }
    }

    pub(super) fn next_stamp(&mut self) -> u64 {
        self.last_stamp += 1;
        self.last_stamp
    }

    #[inline]
    fn find(&self, hash: u32, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |slot| {
            self.slots[slot as usize]
                .as_ref()
                .is_some_and(|entry| entry.key.as_bytes() == key)
        })
    }

    fn take_due(&mut self, now: u64, removed: &mut Removed<V>) -> Option<bool> {
        let mut freed = None;
        let Self {
            slots, expiries, ..
        } = self;
        let taken = expiries.take_due(now, |slot| match &slots[slot as usize] {
            Some(entry) if entry.is_live(now) => match entry.expires {
                NEVER => Due::Gone,
                expires => Due::Later(expires),
            },
            Some(_) => {
                freed = Some(slot);
                Due::Gone
            }
            None => Due::Gone,
        });
        taken?;
        let entry = freed.and_then(|slot| self.take(slot));
        let found = entry.is_some();
        if let Some(entry) = entry {
            removed.push(entry.value);
        }
        Some(found)
    }

    fn take(&mut self, slot: u32) -> Option<Entry<V>> {
        let entry = self.slots[slot as usize].take()?;
        self.index.remove(entry.hash, slot);
        self.order.remove(slot);
        self.weights.take(slot);
        self.free.push(slot);
        Some(entry)
    }
}
