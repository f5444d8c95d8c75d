//! The backend that stores nothing.

use super::{Backend, Value};
use crate::{Lifetime, Result};

/// A cache that never holds anything: every read is a miss, every write is accepted and forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Backend for Null {
    fn get(&self, _key: &[u8]) -> Result<Option<Value>> {
        Ok(None)
    }

    fn set(&self, _key: &[u8], _value: &Value, _lifetime: Lifetime) -> Result<bool> {
        Ok(true)
    }

    fn add(&self, _key: &[u8], _value: &Value, _lifetime: Lifetime) -> Result<bool> {
        Ok(true)
    }

    fn delete(&self, _key: &[u8]) -> Result<bool> {
        Ok(true)
    }

    fn has(&self, _key: &[u8]) -> Result<bool> {
        Ok(false)
    }

    fn clear(&self) -> Result<bool> {
        Ok(true)
    }

    fn incr(&self, _key: &[u8], delta: i64, _lifetime: Lifetime) -> Result<i64> {
        Ok(delta)
    }

    fn extend(&self, _key: &[u8], _lifetime: Lifetime) -> Result<bool> {
        Ok(false)
    }

    fn compare_exchange(
        &self,
        _key: &[u8],
        _expected: &Value,
        _new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        Ok(false)
    }

    fn set_if(&self, _: &[u8], _: &Value, _: &Value, _: Lifetime) -> Result<bool> {
        Ok(false)
    }
}
