//! The keys of a store.

use super::LmdbStore;
use super::entry::{self, Head};
use super::pieces::entry_of;
use crate::Result;

impl LmdbStore {
    /// The keys of the live entries that start with `prefix`, in their order; about `most` where there are
    /// more. None counts as read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>> {
        let now = entry::now();
        let mut keys = self.read("keys", |parts, txn| {
            let mut keys = Vec::new();
            for stored in parts.entries.iter(txn)? {
                // What is damaged is no entry.
                let Some((head, rest)) = Head::read(stored?.1) else {
                    continue;
                };
                let entry = entry_of(parts, txn, &head, rest)?;
                let live =
                    entry.filter(|entry| entry.is_live(now) && entry.key().starts_with(prefix));
                keys.extend(live.map(|entry| entry.key().to_vec()));
                if keys.len() >= most {
                    break;
                }
            }
            Ok(keys)
        })?;
        keys.sort_unstable();
        Ok(keys)
    }
}
