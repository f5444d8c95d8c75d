//! What makes a backend of a layer: every operation is what it is in the backend inside, and goes
//! through [`Layer::around`].

use std::sync::Arc;

use crate::backend::{Backend, Copied, Presence, Value};
use crate::resilience::{GuardedKey, ReadGuard, ServerHealth};
use crate::{Lifetime, Result};

/// An operation on entries, as a layer sees it.
pub struct Operation<'a> {
    /// How errors and logs call it.
    pub name: &'static str,
    /// The keys of all entries that it touches.
    pub keys: &'a [&'a [u8]],
    /// How many of them, from the first on, have another value after it, or none.
    pub changed: usize,
    /// What it does to those.
    pub effect: Effect,
}

/// What an operation does to the entries that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes none: it reads, or lets one live longer.
    Keeps,
    /// It stores values.
    Stores,
    /// It removes them, whatever the backend may have to say about values.
    Removes,
}

impl Effect {
    fn of_writing(lifetime: Lifetime) -> Self {
        if lifetime == Lifetime::Expired {
            Self::Removes
        } else {
            Self::Stores
        }
    }
}

/// A backend around another. It names only what it does beside handing on.
pub trait Layer: Send + Sync {
    /// What it is around.
    type Inner: Backend + ?Sized;

    /// The backend inside.
    fn inner(&self) -> &Self::Inner;

    /// Does `operation` by `call` of the backend inside, which is called once at most.
    ///
    /// # Errors
    /// Those of `call`, and its own.
    fn around<T>(
        &self,
        operation: &Operation<'_>,
        call: impl FnOnce(&Self::Inner) -> Result<T>,
    ) -> Result<T>;

    /// See [`Backend::delete_each`].
    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        self.inner().delete_each(keys)
    }

    /// See [`Backend::clear`].
    ///
    /// # Errors
    /// As there.
    fn clear(&self) -> Result<bool> {
        self.inner().clear()
    }

    /// See [`Backend::owe`].
    ///
    /// # Errors
    /// As there.
    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.inner().owe(keys)
    }

    /// See [`Backend::owe_guarded`].
    ///
    /// # Errors
    /// As there.
    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        self.inner().owe_guarded(key, read)
    }

    /// See [`Backend::owes`].
    fn owes(&self) -> bool {
        self.inner().owes()
    }

    /// See [`Backend::is_left_alone`].
    fn is_left_alone(&self) -> bool {
        self.inner().is_left_alone()
    }

    /// See [`Backend::server_health`].
    fn server_health(&self) -> Vec<ServerHealth> {
        self.inner().server_health()
    }
}

/// A backend that is shared is one.
impl<B: Backend + ?Sized> Layer for Arc<B> {
    type Inner = B;

    fn inner(&self) -> &B {
        self
    }

    fn around<T>(&self, _: &Operation<'_>, call: impl FnOnce(&B) -> Result<T>) -> Result<T> {
        call(self)
    }
}

/// Does an operation that changes no entry.
fn reading<L: Layer, T>(
    layer: &L,
    name: &'static str,
    keys: &[&[u8]],
    call: impl FnOnce(&L::Inner) -> Result<T>,
) -> Result<T> {
    let operation = Operation {
        name,
        keys,
        changed: 0,
        effect: Effect::Keeps,
    };
    layer.around(&operation, call)
}

/// Does an operation that changes all entries that it touches.
fn changing<L: Layer, T>(
    layer: &L,
    name: &'static str,
    keys: &[&[u8]],
    effect: Effect,
    call: impl FnOnce(&L::Inner) -> Result<T>,
) -> Result<T> {
    let operation = Operation {
        name,
        keys,
        changed: keys.len(),
        effect,
    };
    layer.around(&operation, call)
}

impl<L: Layer> Backend for L {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        reading(self, "get", &[key], |inner| inner.get(key))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let effect = Effect::of_writing(lifetime);
        changing(self, "set", &[key], effect, |inner| {
            inner.set(key, value, lifetime)
        })
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        changing(self, "add", &[key], Effect::Stores, |inner| {
            inner.add(key, value, lifetime)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        changing(self, "delete", &[key], Effect::Removes, |inner| {
            inner.delete(key)
        })
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        Layer::delete_each(self, keys)
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        Layer::owe(self, keys)
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        Layer::owe_guarded(self, key, read)
    }

    fn owes(&self) -> bool {
        Layer::owes(self)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        reading(self, "has", &[key], |inner| inner.has(key))
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        reading(self, "has", &[key], |inner| inner.presence(key))
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        changing(self, "add", &[key], Effect::Stores, |inner| {
            inner.add_or_tell(key, value, lifetime)
        })
    }

    fn clear(&self) -> Result<bool> {
        Layer::clear(self)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        changing(self, "incr", &[key], Effect::Stores, |inner| {
            inner.incr(key, delta, lifetime)
        })
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        reading(self, "extend", &[key], |inner| inner.extend(key, lifetime))
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let effect = Effect::Stores;
        changing(self, "compare_exchange", &[key], effect, |inner| {
            inner.compare_exchange(key, expected, new, lifetime)
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        changing(self, "set_if", &[key], Effect::Stores, |inner| {
            inner.set_if(key, expected, value, lifetime)
        })
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        reading(self, "has", &[key], |inner| inner.remaining(key))
    }

    fn is_left_alone(&self) -> bool {
        Layer::is_left_alone(self)
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        Layer::server_health(self)
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        let keys: Vec<&[u8]> = [&[key], extended].concat();
        let operation = Operation {
            name: "set",
            keys: &keys,
            changed: 1,
            effect: Effect::of_writing(lifetime),
        };
        self.around(&operation, |inner| {
            inner.set_extending(key, value, lifetime, extended)
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        reading(self, "get_many", keys, |inner| inner.get_many(keys))
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        reading(self, "get_many", keys, |inner| inner.copies(keys))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        let effect = Effect::of_writing(lifetime);
        changing(self, "set_many", &keys, effect, |inner| {
            inner.set_many(entries, lifetime)
        })
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        changing(self, "delete_many", keys, Effect::Removes, |inner| {
            inner.delete_many(keys)
        })
    }
}
