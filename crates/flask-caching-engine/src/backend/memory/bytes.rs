//! The in-process store as a backend of bytes.

use super::MemoryStore;
use crate::backend::{Backend, Value};
use crate::{Error, ErrorKind, Lifetime, Result};

impl Backend for MemoryStore<Value> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.read(key, Value::clone))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        Self::set(self, key, value.clone(), lifetime);
        Ok(true)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        Ok(Self::add(self, key, value.clone(), lifetime))
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(Self::delete(self, key))
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.contains(key))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        Ok(Self::remaining(self, key))
    }

    fn clear(&self) -> Result<bool> {
        Self::clear(self);
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        loop {
            if let Some(sum) = self.modify(key, |value| add_to(value, delta)) {
                return sum;
            }
            // Another thread may have created it between the two steps; then it is added to.
            if Self::add(self, key, delta.to_string().into_bytes().into(), lifetime) {
                return Ok(delta);
            }
        }
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        Ok(Self::extend(self, key, lifetime))
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        loop {
            let found =
                self.read_with_handle(key, |value, handle| (value == expected).then_some(handle));
            let Some(handle) = found.flatten() else {
                return Ok(false);
            };
            let done = match new {
                Some(new) => self.replace(handle, new.clone()),
                None => self.delete_handle(key, handle),
            };
            // Not done: another write came between, perhaps of the expected value.
            if done {
                return Ok(true);
            }
        }
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        Ok(Self::set_if(self, key, expected, value.clone(), lifetime))
    }
}

/// Adds to an integer in ASCII digits, as Redis and memcached keep theirs.
fn add_to(value: &mut Value, delta: i64) -> Result<i64> {
    let refuse = |why| Err(Error::new(ErrorKind::Value, "incr", "memory", why));
    let number: Option<i64> = std::str::from_utf8(&value.data)
        .ok()
        .and_then(|text| text.parse().ok());
    let Some(number) = number else {
        return refuse("the stored value is not an integer");
    };
    let Some(sum) = number.checked_add(delta) else {
        return refuse("the sum does not fit into 64 bits");
    };
    value.data = sum.to_string().into_bytes();
    Ok(sum)
}
