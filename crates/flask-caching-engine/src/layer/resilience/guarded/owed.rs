//! What is owed, in a bound of bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::{GuardedKey, ReadGuard};
use crate::resilience::Full;

/// Deletions that are owed.
#[derive(Default)]
pub(super) struct OwedGuarded {
    deletions: BTreeMap<GuardedKey, Deletion>,
    /// How many of the prefixes are so long.
    lengths: BTreeMap<usize, usize>,
    /// What `deletions` take.
    bytes: usize,
    last: u64,
}

#[derive(Clone)]
pub(super) struct Deletion {
    pub(super) read: ReadGuard,
    /// When it was remembered, in the order of all that were.
    mark: u64,
}

/// How many deletions one step delivers.
const STEP: usize = 500;

pub(super) type Delivery = Vec<(GuardedKey, Deletion)>;

fn copied<'a>(owed: impl Iterator<Item = (&'a GuardedKey, &'a Deletion)>) -> Delivery {
    owed.map(|(key, deletion)| (key.clone(), deletion.clone()))
        .collect()
}

impl OwedGuarded {
    pub(super) fn is_empty(&self) -> bool {
        self.deletions.is_empty()
    }

    pub(super) fn all(&self) -> Delivery {
        copied(self.deletions.iter())
    }

    /// So many of them as one step delivers.
    pub(super) fn step(&self) -> Delivery {
        copied(self.deletions.iter().take(STEP))
    }

    /// The beginnings of `key` that may be prefixes.
    fn prefixes_of<'a>(&self, key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.lengths
            .range(..=key.len())
            .map(|(length, _)| &key[..*length])
    }

    /// The deletions of keys that begin with `prefix`, and with no more.
    fn under(&self, prefix: &[u8]) -> impl Iterator<Item = (&GuardedKey, &Deletion)> {
        let from = GuardedKey {
            prefix: prefix.to_vec(),
            guards: Vec::new(),
        };
        self.deletions
            .range(from.clone()..)
            .take_while(move |(key, _)| key.prefix == from.prefix)
    }

    /// The deletions that may be of one of `keys`.
    pub(super) fn of(&self, keys: &[&[u8]]) -> Delivery {
        let prefixes: BTreeSet<&[u8]> = keys.iter().flat_map(|key| self.prefixes_of(key)).collect();
        let owed = prefixes.into_iter().flat_map(|prefix| self.under(prefix));
        copied(owed)
    }

    /// Remembers a deletion; returns the reader of the same one remembered before.
    ///
    /// # Errors
    /// There is no room for it in `most_bytes`.
    pub(super) fn remember(
        &mut self,
        key: GuardedKey,
        read: ReadGuard,
        most_bytes: usize,
    ) -> Result<Option<Deletion>, Full> {
        if !self.deletions.contains_key(&key) {
            let bytes = self.bytes;
            if bytes + key.cost() > most_bytes {
                let forgotten = 1;
                return Err(Full { forgotten, bytes });
            }
            self.bytes += key.cost();
            *self.lengths.entry(key.prefix.len()).or_default() += 1;
        }
        self.last += 1;
        let mark = self.last;
        Ok(self.deletions.insert(key, Deletion { read, mark }))
    }

    /// Strikes out those of `delivered` that have not been remembered again since. They are returned,
    /// to be dropped without a lock: a reader may be the application's.
    pub(super) fn strike_out(&mut self, delivered: &Delivery) -> Vec<Deletion> {
        let mut struck = Vec::with_capacity(delivered.len());
        for (key, deletion) in delivered {
            let known = self.deletions.get(key);
            if known.is_some_and(|known| known.mark == deletion.mark) {
                struck.extend(self.remove(key));
            }
        }
        struck
    }

    fn remove(&mut self, key: &GuardedKey) -> Option<Deletion> {
        let deletion = self.deletions.remove(key)?;
        self.bytes -= key.cost();
        let length = key.prefix.len();
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
        Some(deletion)
    }
}
