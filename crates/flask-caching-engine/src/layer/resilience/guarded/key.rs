//! A key made of what other entries hold.

use std::sync::Arc;

use crate::Result;
use crate::backend::{Backend, Value};

/// The key of an entry: a prefix, and the texts that its guards hold when it is read, in their order.
///
/// Guards are entries of the same backend. Where one of them is not there, or holds no text, nobody
/// can make the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuardedKey {
    /// How every such key begins, whatever the guards hold. The caller guarantees that no other keys
    /// begin like it.
    pub prefix: Vec<u8>,
    /// The keys of the guards.
    pub guards: Vec<Vec<u8>>,
}

/// Reads the text that a guard holds from its key and what is stored there; `None`: it holds none.
///
/// Called without any lock of the engine's but the turn to deliver, for which nobody waits longer
/// than for a server.
pub type ReadGuard = Arc<dyn Fn(&[u8], &Value) -> Result<Option<Vec<u8>>> + Send + Sync>;

impl GuardedKey {
    /// The key, by what its guards hold now. `None`: there is none.
    ///
    /// # Errors
    /// What reading the guards fails with.
    fn resolve(&self, guards: &[Option<Value>], read: &ReadGuard) -> Result<Option<Vec<u8>>> {
        let mut key = self.prefix.clone();
        for (guard, stored) in self.guards.iter().zip(guards) {
            let text = match stored {
                Some(stored) => read(guard, stored)?,
                None => None,
            };
            match text {
                Some(text) => key.extend_from_slice(&text),
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// What remembering it costs: the bytes of its keys, their places, its reader.
    pub(super) fn cost(&self) -> usize {
        let guards = self.guards.iter().map(|guard| guard.len() + 40);
        self.prefix.len() + guards.sum::<usize>() + 400
    }
}

/// Deletes the entries under `keys`, read by `read`, from `backend`.
///
/// # Errors
/// What `backend` fails with: then it is not known which are deleted.
pub(crate) fn delete_guarded(
    backend: &(impl Backend + ?Sized),
    keys: &[(&GuardedKey, &ReadGuard)],
) -> Result<()> {
    let guards: Vec<&[u8]> = keys
        .iter()
        .flat_map(|(key, _)| key.guards.iter().map(Vec::as_slice))
        .collect();
    let held = backend.get_many(&guards)?;
    let mut held = held.as_slice();
    let mut entries = Vec::with_capacity(keys.len());
    for (key, read) in keys {
        let (own, others) = held.split_at(key.guards.len().min(held.len()));
        held = others;
        entries.extend(key.resolve(own, read)?);
    }
    if entries.is_empty() {
        return Ok(());
    }
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    backend.delete_many(&entries).map(drop)
}
