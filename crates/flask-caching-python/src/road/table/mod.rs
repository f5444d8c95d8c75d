//! The calls that were answered before: what each is found by, and where its result is.
//!
//! A store has one table for all functions, so that what it forgets is forgotten here, too: a row whose
//! entry or function is gone goes when the table grows, and every row goes when the store is emptied.
//! No Python code runs, and no object that could run some is dropped, under the table's lock.

mod recall;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use flask_caching_engine::backend::memory::Handle;
use hashbrown::HashTable;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

use crate::road::parts::{Part, Parts};

/// What all rows may keep alive, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// A row that keeps more alive is not worth the place of so many others.
const LARGEST_ROW: usize = MOST_BYTES / 256;
/// Rows that are kept before the first look for dead ones.
const FEW: usize = 64;

/// What a call is found by, and by whom: the number of its road, which changes with the epoch.
pub(crate) struct Row {
    pub(in crate::road) road: u64,
    /// The number of that road at present, while it lives: nobody asks for its other rows.
    pub(in crate::road) current: Weak<AtomicU64>,
    pub(in crate::road) hash: u64,
    pub(in crate::road) parts: Box<[Part]>,
}

/// Where the result of a call is.
pub(crate) struct Found {
    /// The versions and tags that the result depends on: while all are what they were, it stands.
    pub(crate) guards: SmallVec<[Handle; 2]>,
    pub(crate) value: Handle,
    /// Its key, where somebody wants to hear of it.
    pub(in crate::road) key: Option<Py<PyAny>>,
}

/// The key of a call, where that leads to its result.
pub(crate) struct Key(pub(in crate::road) Py<PyString>);

struct Entry<T> {
    row: Row,
    found: T,
    weight: usize,
}

struct Entries<T> {
    table: HashTable<Entry<T>>,
    bytes: usize,
    /// At how many rows the dead ones are looked for.
    look_at: usize,
}

/// The table of one store.
pub(crate) struct Table<T = Found> {
    entries: Mutex<Entries<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            bytes: 0,
            look_at: 0,
        }
    }
}

impl<T> Table<T> {
    /// What `look` makes of the place of a call's result; it is called under the lock.
    #[inline]
    pub(in crate::road) fn find<R>(
        &self,
        py: Python<'_>,
        road: u64,
        parts: &Parts,
        look: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        self.lock()
            .table
            .find(parts.hash, |entry| {
                entry.row.is(py, road, parts.hash, parts.list())
            })
            .map(|entry| look(&entry.found))
    }

    /// Remembers where the result of a call is. `is_there` says of the place of another result
    /// whether that is still there.
    pub(crate) fn insert(&self, py: Python<'_>, row: Row, found: T, is_there: impl Fn(&T) -> bool) {
        let parts = row.parts.iter().map(|part| part.weight(py));
        let weight = size_of::<Entry<T>>() + parts.sum::<usize>();
        if weight > LARGEST_ROW {
            return;
        }
        let mut entries = self.lock();
        // Whatever is taken out is dropped after the lock is released.
        let dead = entries.make_room(weight, is_there);
        let old = entries
            .table
            .find_entry(row.hash, |entry| {
                entry.row.is(py, row.road, row.hash, &row.parts)
            })
            .ok()
            .map(|old| old.remove().0);
        entries.bytes -= old.as_ref().map_or(0, |old| old.weight);
        entries.bytes += weight;
        let entry = Entry { row, found, weight };
        entries
            .table
            .insert_unique(entry.row.hash, entry, |entry| entry.row.hash);
        drop(entries);
        drop((dead, old));
    }

    /// Forgets every call.
    pub(crate) fn clear(&self) {
        let emptied = std::mem::take(&mut *self.lock());
        drop(emptied);
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Shows the garbage collector what is held; nothing while the table is in use, as it is where the
    /// collector runs while it is changed.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Ok(entries) = self.entries.try_lock() else {
            return Ok(());
        };
        entries.table.iter().try_for_each(|entry| {
            if let Some(key) = &entry.found.key {
                visit.call(key)?;
            }
            entry
                .row
                .parts
                .iter()
                .try_for_each(|part| part.traverse(visit))
        })
    }
}

impl<T> Entries<T> {
    /// Takes out rows whose results are gone where there are many rows, and all where the others are
    /// still too many: they are quickly learned again.
    fn make_room(&mut self, weight: usize, is_there: impl Fn(&T) -> bool) -> Vec<Entry<T>> {
        let is_heavy = self.bytes + weight > MOST_BYTES;
        if !is_heavy && self.table.len() < self.look_at.max(FEW) {
            return Vec::new();
        }
        let mut dead: Vec<_> = self
            .table
            .extract_if(|entry| !entry.row.is_of_use() || !is_there(&entry.found))
            .collect();
        self.bytes -= dead.iter().map(|entry| entry.weight).sum::<usize>();
        if self.bytes + weight > MOST_BYTES / 2 && is_heavy {
            dead.extend(self.table.drain());
            self.bytes = 0;
        }
        self.look_at = 4 * self.table.len();
        dead
    }
}

impl Row {
    /// Whether somebody may still ask for it.
    fn is_of_use(&self) -> bool {
        let current = self.current.upgrade();
        current.is_some_and(|number| number.load(Ordering::Relaxed) == self.road)
    }

    #[inline]
    fn is(&self, py: Python<'_>, road: u64, hash: u64, parts: &[Part]) -> bool {
        self.hash == hash
            && self.road == road
            && self.parts.len() == parts.len()
            && parts
                .iter()
                .zip(&self.parts)
                .all(|(one, other)| one.is(py, other))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flask_caching_engine::Lifetime;
    use flask_caching_engine::backend::memory::MemoryStore;

    use super::*;

    #[test]
    fn rows_of_roads_that_are_gone_make_room() {
        let store = MemoryStore::new(1);
        let value = store.set(b"key", (), Lifetime::Forever).unwrap();
        let (alive, gone) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(1)));
        let mut entries = Entries::default();
        // The last ones are of an earlier epoch of the road that is alive.
        for (road, number) in [(0, &alive), (1, &gone), (2, &alive)] {
            for hash in 0..FEW as u64 {
                let row = Row {
                    road,
                    current: Arc::downgrade(number),
                    hash,
                    parts: Box::default(),
                };
                let found = Found {
                    guards: SmallVec::new(),
                    value,
                    key: None,
                };
                let weight = size_of::<Entry<Found>>();
                entries.bytes += weight;
                let entry = Entry { row, found, weight };
                entries
                    .table
                    .insert_unique(hash, entry, |entry| entry.row.hash);
            }
        }
        drop(gone);
        let dead = entries.make_room(1, |_| true);
        assert_eq!((dead.len(), entries.table.len()), (2 * FEW, FEW));
        assert!(entries.table.iter().all(|entry| entry.row.road == 0));
        assert_eq!(entries.bytes, FEW * size_of::<Entry<Found>>());
    }
}
