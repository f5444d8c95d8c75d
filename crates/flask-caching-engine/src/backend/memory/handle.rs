//! Handles: a value found again without its key.

use super::{MemoryStore, Place, Reader};
use crate::sync::atomic::Ordering;

/// A place in a store that held one value: found again without its key, as long as it holds the
/// very value that was found when the handle was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The store's number and, in the low bits, the shard's: a handle of another store is stale.
    owner: u32,
    slot: u32,
    stamp: u64,
}

impl<V> MemoryStore<V> {
    /// What `read` makes of the value that `handle` was made for; `None` where it is expired,
    /// overwritten or removed. `read` is called under the shard's lock, as in [`read`](Self::read).
    #[inline]
    pub fn read_handle<R>(&self, handle: Handle, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.reader().read_handle(handle, read)
    }

    /// The key of the value that `handle` was made for; `None` where that is expired, overwritten or
    /// removed.
    pub fn key_of(&self, handle: Handle) -> Option<Vec<u8>> {
        let index = self.shard_of(handle)?;
        self.with_shard(index, |shard, now, _| {
            let entry = shard.live_at(handle.slot, now)?;
            (entry.stamp == handle.stamp).then(|| entry.key.as_bytes().to_vec())
        })
    }

    /// Replaces the value `handle` was made for, if it is still there; the entry keeps its expiry.
    /// `false`: it is expired, overwritten or removed. What all entries weigh may be above the bound
    /// then, until the next write.
    pub fn replace(&self, handle: Handle, value: V) -> bool {
        let Some(index) = self.shard_of(handle) else {
            return false;
        };
        let weight = self.budget.weigh(&[], &value);
        self.with_shard(index, |shard, now, removed| {
            let stamp = shard.next_stamp();
            let old = shard.weights.get(handle.slot);
            match shard.live_at(handle.slot, now) {
                Some(entry) if entry.stamp == handle.stamp => {
                    entry.stamp = stamp;
                    removed.push(std::mem::replace(&mut entry.value, value));
                    if weight > 0 {
                        let weight = weight + entry.key.as_bytes().len();
                        self.budget.exchange(old, weight);
                        self.budget.note(&mut shard.weights, handle.slot, weight);
                    }
                    true
                }
                _ => {
                    removed.push(value);
                    false
                }
            }
        })
    }

    /// Removes the value that `handle` was made for, if it is still there under `key`; whether it was.
    pub fn delete_handle(&self, key: &[u8], handle: Handle) -> bool {
        let place = self.place(key);
        self.with_shard(place.shard, |shard, now, removed| {
            let is_same = shard
                .find_live(place.hash, key, now)
                .is_some_and(|(slot, entry)| self.handle(place, slot, entry.stamp) == handle);
            if is_same {
                shard.remove(place.hash, key, now, removed);
                self.len.fetch_sub(1, Ordering::AcqRel);
            }
            is_same
        })
    }

    /// Whether there is, live or expired, the value that `handle` was made for. This is no use of it.
    pub(super) fn holds(&self, handle: Handle) -> bool {
        let index = self.shard_of(handle);
        index.is_some_and(|index| self.lock(index).holds(handle.slot, handle.stamp))
    }

    /// Removes the value that `handle` was made for, if it is still there.
    pub(super) fn remove_at(&self, handle: Handle) {
        let Some(index) = self.shard_of(handle) else {
            return;
        };
        self.with_shard(index, |shard, _, removed| {
            if shard.remove_at(handle.slot, handle.stamp, removed) {
                self.len.fetch_sub(1, Ordering::AcqRel);
            }
        });
    }

    #[inline]
    pub(super) fn handle(&self, place: Place<'_>, slot: u32, stamp: u64) -> Handle {
        Handle {
            // There are fewer than 2^32 shards.
            owner: self.number | u32::try_from(place.shard).unwrap_or(0),
            slot,
            stamp,
        }
    }

    /// The shard that `handle` points into; `None` where it is of another store.
    #[inline]
    fn shard_of(&self, handle: Handle) -> Option<usize> {
        let index = (handle.owner ^ self.number) as usize;
        (index < self.shards.len()).then_some(index)
    }
}

impl<V> Reader<'_, V> {
    /// See [`MemoryStore::read_handle`].
    #[inline]
    pub fn read_handle<R>(&self, handle: Handle, read: impl FnOnce(&V) -> R) -> Option<R> {
        let index = self.store.shard_of(handle)?;
        self.store.with_shard_at(self.now, index, |shard, now, _| {
            let entry = shard.live_at(handle.slot, now)?;
            (entry.stamp == handle.stamp).then(|| read(&entry.value))
        })
    }

    /// As [`read_handle`](Self::read_handle), where each of `guards` still finds its value, too.
    /// All count as used.
    #[inline]
    pub fn read_guarded<R>(
        &self,
        guards: &[Handle],
        value: Handle,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        for guard in guards.iter().filter(|guard| guard.owner != value.owner) {
            self.read_handle(*guard, |_| ())?;
        }
        let index = self.store.shard_of(value)?;
        self.store.with_shard_at(self.now, index, |shard, now, _| {
            for guard in guards.iter().filter(|guard| guard.owner == value.owner) {
                shard
                    .live_at(guard.slot, now)
                    .filter(|entry| entry.stamp == guard.stamp)?;
            }
            let entry = shard.live_at(value.slot, now)?;
            (entry.stamp == value.stamp).then(|| read(&entry.value))
        })
    }
}
