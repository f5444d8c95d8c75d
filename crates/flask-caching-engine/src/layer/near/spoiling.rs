//! What this process changes is spoiled at once.

use std::sync::Arc;

use super::Near;
use crate::backend::{Backend, Copied, Presence, Value};
use crate::resilience::{GuardedKey, ReadGuard, ServerHealth};
use crate::{Lifetime, Result};

/// Wraps a backend and spoils the copies of what is changed through it: before, so that nobody reads
/// what is being replaced, and after, as a copy that was begun meanwhile may be of it.
pub struct Spoiling<B> {
    backend: B,
    near: Arc<Near>,
}

impl<B: Backend> Spoiling<B> {
    /// `backend`, with copies of its entries that `near` knows of.
    pub fn new(backend: B, near: Arc<Near>) -> Self {
        Self { backend, near }
    }

    fn changing<T>(&self, keys: &[&[u8]], change: impl FnOnce(&B) -> T) -> T {
        let after = Spoil(&self.near, Some(keys));
        after.spoil();
        change(&self.backend)
    }

    fn changing_all<T>(&self, change: impl FnOnce(&B) -> T) -> T {
        let after = Spoil(&self.near, None);
        after.spoil();
        change(&self.backend)
    }
}

/// Spoils once more when it is dropped, in a panic too. `None`: everything.
struct Spoil<'a>(&'a Near, Option<&'a [&'a [u8]]>);

impl Spoil<'_> {
    fn spoil(&self) {
        match self.1 {
            Some(keys) => keys.iter().for_each(|key| self.0.spoil(key)),
            None => self.0.spoil_all(),
        }
    }
}

impl Drop for Spoil<'_> {
    fn drop(&mut self) {
        self.spoil();
    }
}

impl<B: Backend> Backend for Spoiling<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.backend.get(key)
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.changing(&[key], |backend| backend.set(key, value, lifetime))
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.changing(&[key], |backend| backend.add(key, value, lifetime))
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.changing(&[key], |backend| backend.delete(key))
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        self.changing(keys, |backend| backend.delete_each(keys))
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.changing(keys, |backend| backend.owe(keys))
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        // Which entry it is, is not known yet.
        self.changing_all(|backend| backend.owe_guarded(key, read))
    }

    fn owes(&self) -> bool {
        self.backend.owes()
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.backend.has(key)
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        self.backend.presence(key)
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        self.changing(&[key], |backend| backend.add_or_tell(key, value, lifetime))
    }

    fn clear(&self) -> Result<bool> {
        self.changing_all(B::clear)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.changing(&[key], |backend| backend.incr(key, delta, lifetime))
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        // The value stays what it is; the server tells of the longer lifetime.
        self.backend.extend(key, lifetime)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.changing(&[key], |backend| {
            backend.compare_exchange(key, expected, new, lifetime)
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.changing(&[key], |backend| {
            backend.set_if(key, expected, value, lifetime)
        })
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        self.backend.remaining(key)
    }

    fn is_left_alone(&self) -> bool {
        self.backend.is_left_alone()
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.backend.server_health()
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        self.changing(&[key], |backend| {
            backend.set_extending(key, value, lifetime, extended)
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.backend.get_many(keys)
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        self.backend.copies(keys)
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        self.changing(&keys, |backend| backend.set_many(entries, lifetime))
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        self.changing(keys, |backend| backend.delete_many(keys))
    }
}
