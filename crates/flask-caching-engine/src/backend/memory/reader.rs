//! Reads of several keys as of one moment.

use super::{Handle, MemoryStore};
use crate::clock::{self, Instant};

/// Reads as of the moment it was made at: the clock is read once for many keys, and before any lock
/// that its user takes. A clock that is followed may run anything.
pub struct Reader<'s, V> {
    pub(super) store: &'s MemoryStore<V>,
    pub(super) now: u64,
}

impl<V> MemoryStore<V> {
    /// Reads of many keys as of one moment.
    pub fn reader(&self) -> Reader<'_, V> {
        Reader {
            store: self,
            now: clock::monotonic().0,
        }
    }
}

impl<V> Reader<'_, V> {
    /// The moment that it reads as of.
    #[inline]
    pub fn now(&self) -> Instant {
        Instant(self.now)
    }

    /// See [`MemoryStore::read_with_handle`].
    #[inline]
    pub fn read_with_handle<R>(&self, key: &[u8], read: impl FnOnce(&V, Handle) -> R) -> Option<R> {
        let place = self.store.place(key);
        self.store
            .with_shard_at(self.now, place.shard, |shard, now, _| {
                let (slot, entry) = shard.find_live(place.hash, key, now)?;
                let handle = self.store.handle(place, slot, entry.stamp);
                Some(read(&entry.value, handle))
            })
    }

    /// Hands the value of each of `keys`, in their order, to `read`; `None` for a miss. Neighbours in
    /// one shard are read under one lock, under which `read` is called: it must not call the store,
    /// block, or drop a value.
    pub fn read_each<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        mut read: impl FnMut(Option<(&V, Handle)>),
    ) {
        let mut places = keys
            .iter()
            .map(|key| self.store.place(key.as_ref()))
            .peekable();
        while let Some(index) = places.peek().map(|place| place.shard) {
            self.store.with_shard_at(self.now, index, |shard, now, _| {
                while let Some(place) = places.next_if(|place| place.shard == index) {
                    let found = shard.find_live(place.hash, place.key, now);
                    read(found.map(|(slot, entry)| {
                        (&entry.value, self.store.handle(place, slot, entry.stamp))
                    }));
                }
            });
        }
    }
}
