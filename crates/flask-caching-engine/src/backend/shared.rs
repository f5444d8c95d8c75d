//! A backend behind an [`Arc`] is one, so that layers can be put around what is shared.

use std::sync::Arc;

use super::{Backend, Copied, Presence, Value};
use crate::resilience::{GuardedKey, ReadGuard, ServerHealth};
use crate::{Lifetime, Result};

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        (**self).get(key)
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        (**self).set(key, value, lifetime)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        (**self).add(key, value, lifetime)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        (**self).delete(key)
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        (**self).delete_each(keys)
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        (**self).owe(keys)
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        (**self).owe_guarded(key, read)
    }

    fn owes(&self) -> bool {
        (**self).owes()
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        (**self).has(key)
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        (**self).presence(key)
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        (**self).add_or_tell(key, value, lifetime)
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        (**self).remaining(key)
    }

    fn clear(&self) -> Result<bool> {
        (**self).clear()
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        (**self).incr(key, delta, lifetime)
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        (**self).extend(key, lifetime)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        (**self).compare_exchange(key, expected, new, lifetime)
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        (**self).set_if(key, expected, value, lifetime)
    }

    fn is_left_alone(&self) -> bool {
        (**self).is_left_alone()
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        (**self).server_health()
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        (**self).set_extending(key, value, lifetime, extended)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        (**self).get_many(keys)
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        (**self).copies(keys)
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        (**self).set_many(entries, lifetime)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        (**self).delete_many(keys)
    }
}
