//! Values that were read from the shared store and cannot be changed: as long as nobody writes to it, they
//! are handed out again.

use std::sync::{Mutex, PoisonError};

use flask_caching_engine::backend::lmdb::{LmdbStore, Seen};
use hashbrown::HashTable;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// How many are kept, and how many bytes they take; then all are dropped, as the next write drops them.
const MOST: usize = 4096;
const MOST_BYTES: usize = 4 << 20;
/// One that is larger costs little to read, measured by its size.
const LARGEST: usize = 64 << 10;

struct Copy {
    hash: u64,
    key: Py<PyString>,
    value: Py<PyAny>,
    seen: Seen,
}

#[derive(Default)]
struct Kept {
    table: HashTable<Copy>,
    bytes: usize,
}

/// Copies of strings, bytes and numbers, by exact strings: nothing runs where one is compared or dropped.
#[derive(Default)]
pub(crate) struct SharedCopies(Mutex<Kept>);

impl SharedCopies {
    /// The value under `key`, where it is what it was when it was read.
    #[inline]
    pub(crate) fn find<'py>(
        &self,
        store: &LmdbStore,
        key: &Bound<'py, PyString>,
    ) -> Option<Bound<'py, PyAny>> {
        let py = key.py();
        let hash = hash_of(key)?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = kept.table.find(hash, |copy| copy.is(hash, key))?;
        store
            .still_stands(&copy.seen)
            .then(|| copy.value.bind(py).clone())
    }

    /// Keeps a value that was read, with `bytes` stored bytes.
    pub(crate) fn keep(
        &self,
        key: &Bound<'_, PyString>,
        value: &Bound<'_, PyAny>,
        seen: Seen,
        bytes: usize,
    ) {
        let bytes = bytes + size_of::<Copy>();
        let Some(hash) = hash_of(key).filter(|_| bytes <= LARGEST) else {
            return;
        };
        let copy = Copy {
            hash,
            key: key.clone().unbind(),
            value: value.clone().unbind(),
            seen,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = HashTable::new();
        if kept.table.len() >= MOST || kept.bytes + bytes > MOST_BYTES {
            dropped = std::mem::take(&mut *kept).table;
        }
        // One that is replaced stays counted: what counts is emptied all the sooner.
        kept.bytes += bytes;
        let former = if let Ok(found) = kept.table.find_entry(hash, |copy| copy.is(hash, key)) {
            Some(std::mem::replace(found.into_mut(), copy))
        } else {
            kept.table.insert_unique(hash, copy, |copy| copy.hash);
            None
        };
        drop(kept);
        drop((former, dropped));
    }
}

impl Copy {
    #[inline]
    fn is(&self, hash: u64, key: &Bound<'_, PyString>) -> bool {
        // Both are exact strings: comparing them runs nothing else.
        self.hash == hash
            && (self.key.as_ptr() == key.as_ptr() || key.as_any().eq(&self.key).unwrap_or(false))
    }
}

/// The hash of an exact string, which it keeps.
#[inline]
fn hash_of(key: &Bound<'_, PyString>) -> Option<u64> {
    let hash = key.is_exact_instance_of::<PyString>().then(|| key.hash())?;
    hash.ok().map(|hash| hash.cast_unsigned() as u64)
}
