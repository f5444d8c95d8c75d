//! Where the calls that were answered before are kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flask_caching_engine::backend::memory::Handle;
use hashbrown::HashTable;

/// A table that is full is emptied: its entries are quickly learned again.
const MOST_ENTRIES: usize = 16_384;

/// One call, and what is known of it.
struct Entry<K, P> {
    hash: u64,
    /// The backend ([`crate::memory::MemoryBackend::serial`]), or [`of_settings`].
    backend: u64,
    call: K,
    known: P,
}

/// In place of a backend's serial: what is known depends on an application's settings alone.
pub(super) fn of_settings(number: u32) -> u64 {
    1 << 63 | u64::from(number)
}

/// The slots of a result.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The versions that the result's key was made with.
    guards: [Option<Handle>; 2],
    pub(super) value: Handle,
}

impl Place {
    /// The place of a result under at most two versions.
    pub(super) fn new(guards: &[Handle], value: Handle) -> Self {
        Self {
            guards: [guards.first().copied(), guards.get(1).copied()],
            value,
        }
    }

    /// What guards the result.
    #[inline]
    pub(super) fn guards(&self) -> GuardSlice {
        match self.guards {
            [Some(one), Some(two)] => GuardSlice([one, two], 2),
            [Some(one), None] | [None, Some(one)] => GuardSlice([one, one], 1),
            [None, None] => GuardSlice([self.value, self.value], 0),
        }
    }
}

/// At most two handles.
pub(super) struct GuardSlice([Handle; 2], usize);

impl GuardSlice {
    #[inline]
    pub(super) fn as_slice(&self) -> &[Handle] {
        &self.0[..self.1]
    }
}

/// The calls of one function. `K` is a call as it is kept, `P` what is known of it.
pub(super) struct Table<K, P> {
    entries: Mutex<HashTable<Entry<K, P>>>,
}

impl<K, P> Table<K, P> {
    pub(super) fn new() -> Self {
        Self {
            entries: Mutex::new(HashTable::new()),
        }
    }

    /// What `read` makes of what is known of a call, found by what `is` says of the calls that have
    /// its hash. Both are called under the lock.
    #[inline]
    pub(super) fn find<R>(
        &self,
        hash: u64,
        backend: u64,
        is: impl Fn(&K) -> bool,
        read: impl FnOnce(&P) -> R,
    ) -> Option<R> {
        self.lock()
            .find(hash, |entry| {
                entry.hash == hash && entry.backend == backend && is(&entry.call)
            })
            .map(|entry| read(&entry.known))
    }

    /// Remembers a call. What it replaces is dropped after the lock is released.
    pub(super) fn insert(
        &self,
        hash: u64,
        backend: u64,
        call: K,
        known: P,
        is: impl Fn(&K) -> bool,
    ) {
        let mut entries = self.lock();
        let emptied = (entries.len() >= MOST_ENTRIES)
            .then(|| std::mem::replace(&mut *entries, HashTable::new()));
        let old = entries.find_mut(hash, |entry| {
            entry.hash == hash && entry.backend == backend && is(&entry.call)
        });
        let unused = if let Some(entry) = old {
            (Some(call), Some(std::mem::replace(&mut entry.known, known)))
        } else {
            let entry = Entry {
                hash,
                backend,
                call,
                known,
            };
            entries.insert_unique(hash, entry, |entry| entry.hash);
            (None, None)
        };
        drop(entries);
        drop((emptied, unused));
    }

    /// Forgets every call.
    pub(super) fn clear(&self) {
        let emptied = std::mem::replace(&mut *self.lock(), HashTable::new());
        drop(emptied);
    }

    /// Calls `visit` with every call, unless the table is in use, as it is where the garbage
    /// collector runs while it is changed.
    pub(super) fn try_each<E>(&self, mut visit: impl FnMut(&K) -> Result<(), E>) -> Result<(), E> {
        match self.entries.try_lock() {
            Ok(entries) => entries.iter().try_for_each(|entry| visit(&entry.call)),
            Err(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashTable<Entry<K, P>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
