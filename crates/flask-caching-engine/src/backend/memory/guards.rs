//! Names that entries depend on: whoever deletes a name deletes these entries with it.
//!
//! The table is beside the entries, which know nothing of it: that of one which is gone is found to be so when
//! the table has grown to a multiple of what was alive in it, so that it takes no more than in proportion
//! to the store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use smallvec::SmallVec;

use super::{Handle, MemoryStore};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Entries that are noted before the first look for those that are gone.
const FEW: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Guards(Mutex<Rows>);

/// The entries that depend on each name, by its hash, which is random.
#[derive(Default)]
struct Rows {
    by_name: HashMap<u64, SmallVec<[Handle; 1]>, foldhash::fast::FixedState>,
    /// Handles in all rows.
    count: usize,
    /// At how many those of entries that are gone are looked for.
    look_at: usize,
}

impl Guards {
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> MemoryStore<V> {
    /// Lets an entry depend on `names`: [`delete_guarded`](Self::delete_guarded) of one of them removes it.
    ///
    /// Between storing an entry and this, a deletion goes past it: the caller sees to that none happens
    /// meanwhile, or notices ([`Flight::begin_write`](crate::flight::Flight::begin_write)).
    pub fn guard<'n>(&self, entry: Handle, names: impl IntoIterator<Item = &'n [u8]>) {
        let mut rows = self.guards.lock();
        for name in names {
            let row = rows.by_name.entry(self.hasher.hash_one(name)).or_default();
            row.push(entry);
            rows.count += 1;
        }
        if rows.count > rows.look_at.max(FEW) {
            rows.forget_where(|handle| !self.holds(handle));
        }
    }

    /// Removes the entries that depend on `name`.
    pub fn delete_guarded(&self, name: &[u8]) {
        let name = self.hasher.hash_one(name);
        let Some(entries) = self.guards.lock().by_name.get(&name).cloned() else {
            return;
        };
        for entry in entries {
            self.remove_at(entry);
        }
        // Not before they are gone: whoever deletes the name meanwhile does not go past them.
        let is_gone = |entry| !self.holds(entry);
        self.guards.lock().forget_of(name, is_gone);
    }

    /// Forgets the entries that are gone, and gives back what their rows took.
    pub(super) fn forget_guards_of_gone(&self) {
        let mut rows = self.guards.lock();
        rows.forget_where(|entry| !self.holds(entry));
        rows.by_name.shrink_to_fit();
    }

    /// Whether there is an entry, live or expired, that depends on `name`.
    pub fn has_guarded(&self, name: &[u8]) -> bool {
        let rows = self.guards.lock();
        let row = rows.by_name.get(&self.hasher.hash_one(name));
        row.is_some_and(|row| row.iter().any(|entry| self.holds(*entry)))
    }
}

impl Rows {
    fn forget_where(&mut self, is_gone: impl Fn(Handle) -> bool) {
        let mut count = 0;
        self.by_name.retain(|_, row| {
            row.retain(|entry| !is_gone(*entry));
            count += row.len();
            !row.is_empty()
        });
        self.count = count;
        self.look_at = 2 * count;
    }

    /// Of one name, by its hash.
    fn forget_of(&mut self, name: u64, is_gone: impl Fn(Handle) -> bool) {
        let Entry::Occupied(mut row) = self.by_name.entry(name) else {
            return;
        };
        let before = row.get().len();
        row.get_mut().retain(|entry| !is_gone(*entry));
        self.count -= before - row.get().len();
        if row.get().is_empty() {
            row.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lifetime;

    fn stored(store: &MemoryStore<u32>, key: &[u8], names: &[&[u8]]) -> Handle {
        let handle = store.set(key, 1, Lifetime::Forever).unwrap();
        store.guard(handle, names.iter().copied());
        handle
    }

    #[test]
    fn a_name_takes_its_entries_with_it_and_no_others() {
        let store = MemoryStore::new(10_000);
        stored(&store, b"one", &[b"path", b"host"]);
        stored(&store, b"other", &[b"path"]);
        stored(&store, b"third", &[b"elsewhere"]);
        assert!(store.has_guarded(b"host"));
        store.delete_guarded(b"host");
        assert!(!store.has_guarded(b"host"));
        assert_eq!(store.read(b"one", |_| ()), None);
        assert_eq!(store.len(), 2);
        store.delete_guarded(b"path");
        assert_eq!(store.read(b"other", |_| ()), None);
        assert_eq!(store.read(b"third", |value| *value), Some(1));
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn what_was_stored_anew_depends_on_nothing() {
        let store = MemoryStore::new(10);
        stored(&store, b"key", &[b"path"]);
        store.set(b"key", 2, Lifetime::Forever);
        store.delete_guarded(b"path");
        assert_eq!(store.read(b"key", |value| *value), Some(2));
    }

    #[test]
    fn entries_that_are_gone_leave_nothing() {
        let store = MemoryStore::new(10);
        for number in 0..10_000_u32 {
            let (key, own) = (number.to_le_bytes(), (number, "own"));
            let own = format!("{own:?}");
            stored(&store, &key, &[b"path", own.as_bytes()]);
        }
        let rows = store.guards.lock();
        assert!(rows.count <= FEW + 2);
        assert!(rows.by_name.len() <= FEW + 2);
        drop(rows);
        store.clear();
        assert_eq!(store.guards.lock().count, 0);
    }

    #[test]
    fn every_byte_of_a_budget_is_given_back() {
        let store = MemoryStore::bounded(10, 1 << 20, |_| 1000);
        stored(&store, b"key", &[b"path"]);
        assert!(store.bytes() > 1000);
        store.delete_guarded(b"path");
        assert_eq!(store.bytes(), 0);
    }
}
