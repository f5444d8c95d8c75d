//! A backend that fails on command, for the tests of what wraps one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::backend::{Backend, Value};
use crate::{Error, ErrorKind, Lifetime, Result};

/// A map that can be switched off, counting the calls that reach it.
#[derive(Default)]
pub(super) struct Flaky {
    entries: Mutex<BTreeMap<Vec<u8>, Value>>,
    fails_with: Mutex<Option<ErrorKind>>,
    /// Only this key fails, as when one server of several is away.
    failing_key: Mutex<Option<Vec<u8>>>,
    calls: AtomicU32,
}

impl Flaky {
    /// Has every call fail with `kind`, or none.
    pub(super) fn fail(&self, kind: Option<ErrorKind>) {
        *self.fails_with.lock().unwrap() = kind;
    }

    fn reach(&self, key: &[u8]) -> Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let spared = self
            .failing_key
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(|failing| failing != key);
        match *self.fails_with.lock().unwrap() {
            Some(kind) if !spared => Err(Error::new(kind, "test", "flaky", "switched off")),
            _ => Ok(()),
        }
    }

    /// Has only calls on `key` fail.
    pub(super) fn only(&self, key: &[u8]) {
        *self.failing_key.lock().unwrap() = Some(key.to_vec());
    }

    pub(super) fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// How many calls there were since it was last asked.
    pub(super) fn calls(&self) -> u32 {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

impl Backend for Flaky {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.reach(key)?;
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &[u8], value: &Value, _lifetime: Lifetime) -> Result<bool> {
        self.reach(key)?;
        self.entries
            .lock()
            .unwrap()
            .insert(key.to_vec(), value.clone());
        Ok(true)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.set(key, value, lifetime)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.reach(key)?;
        Ok(self.entries.lock().unwrap().remove(key).is_some())
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    fn clear(&self) -> Result<bool> {
        self.reach(b"")?;
        self.entries.lock().unwrap().clear();
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, _lifetime: Lifetime) -> Result<i64> {
        self.reach(key)?;
        Ok(delta)
    }

    fn extend(&self, key: &[u8], _lifetime: Lifetime) -> Result<bool> {
        self.has(key)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        self.reach(key)?;
        let mut entries = self.entries.lock().unwrap();
        if entries.get(key) != Some(expected) {
            return Ok(false);
        }
        match new {
            Some(new) => entries.insert(key.to_vec(), new.clone()),
            None => entries.remove(key),
        };
        Ok(true)
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.compare_exchange(key, expected, Some(value), lifetime)
    }
}

pub(super) fn value(text: &str) -> Value {
    Value::from(text.as_bytes().to_vec())
}
