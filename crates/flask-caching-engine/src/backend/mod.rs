//! Backends: where entries live. One contract, one module a backend.

pub mod file;
pub mod lmdb;
pub mod memcached;
pub mod memory;
mod net;
mod null;
pub mod redis;

pub use lmdb::LmdbStore;
pub use memory::MemoryStore;
pub use null::Null;

use crate::resilience::{GuardedKey, ReadGuard, ServerHealth, delete_guarded};
use crate::{Lifetime, Result};

/// A stored value: opaque bytes, and the flags that protocols with typed values keep beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The serialized value.
    pub data: Vec<u8>,
    /// The client flags of the memcached protocol; 0 and ignored elsewhere.
    pub flags: u32,
}

impl From<Vec<u8>> for Value {
    fn from(data: Vec<u8>) -> Self {
        Self { data, flags: 0 }
    }
}

/// What can be told of an entry without reading all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is no live entry.
    Missing,
    /// There is one, and nothing but its lifetime ends it.
    Plain,
    /// There is one, and only who reads it can tell whether it is current: it has metadata, or is
    /// compressed.
    Sealed,
}

impl Presence {
    /// That of a live entry with `data`, or with what that begins and ends with.
    pub fn of(beginning: &[u8], end: &[u8]) -> Self {
        if beginning.starts_with(crate::envelope::compression::MARK)
            || end.ends_with(crate::envelope::metadata::MAGIC)
        {
            Self::Sealed
        } else {
            Self::Plain
        }
    }
}

/// An entry that somebody wants to keep a copy of; see [`crate::layer::near`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What is stored.
    pub value: Value,
    /// How long it lived on after it was asked for; [`Lifetime::Expired`]: no copy can be kept, as
    /// nobody would hear of its changes, or its lifetime is not known.
    pub left: Lifetime,
}

/// What every backend does, and the contract it keeps.
///
/// - A miss is `Ok(None)` or `Ok(false)`, never an error. An entry that is expired, damaged or not
///   ours is a miss.
/// - Every method may be called from many threads at once, and in a child process after `fork()`:
///   connections and threads belong to the process that made them and are made anew in another.
/// - Keys are arbitrary bytes. What a protocol cannot carry is encoded, the same way in every method.
/// - [`Lifetime::Expired`] stores nothing and removes what was there; the write counts as done.
/// - `Ok(false)` from a write says that the value was refused and nothing is stored under the key;
///   the reason is logged. An `Err` says that it is unknown or known not to be stored.
/// - No method blocks longer than the backend's deadlines.
pub trait Backend: Send + Sync {
    /// The value stored under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>>;

    /// Stores `value` under `key`, replacing what was there.
    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool>;

    /// Stores `value` only where `key` has no live entry; one atomic step. `false`: it had one.
    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool>;

    /// Removes `key`. `true`: there was a live entry.
    fn delete(&self, key: &[u8]) -> Result<bool>;

    /// Removes all `keys`, whatever becomes of one of them; for each, whether there was a live entry,
    /// or why that is not known.
    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        keys.iter().map(|key| self.delete(key)).collect()
    }

    /// Remembers that `keys` are to be deleted before any of them is read or written again, without
    /// trying it now: a server has just failed to be asked. A backend that needs no server deletes
    /// them at once.
    ///
    /// # Errors
    /// They could not be remembered, or deleted.
    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.delete_many(keys).map(drop)
    }

    /// [`owe`](Self::owe), of an entry whose key is made when it can be: of a prefix and of what
    /// `read` finds in other entries, which cannot be read now either.
    ///
    /// # Errors
    /// It could not be remembered, or deleted.
    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        delete_guarded(self, &[(&key, &read)])
    }

    /// Whether a deletion has not been delivered yet.
    fn owes(&self) -> bool {
        false
    }

    /// Whether `key` has a live entry.
    fn has(&self, key: &[u8]) -> Result<bool>;

    /// What can be told of the entry under `key`, in one round trip where the backend waits for a
    /// server.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    fn presence(&self, key: &[u8]) -> Result<Presence> {
        let found = self.get(key)?;
        Ok(found.map_or(Presence::Missing, |value| {
            Presence::of(&value.data, &value.data)
        }))
    }

    /// [`add`](Self::add), which tells of the entry that is there: [`Presence::Missing`] where `value`
    /// was stored, or there is none any more.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        if self.add(key, value, lifetime)? {
            return Ok((true, Presence::Missing));
        }
        Ok((false, self.presence(key)?))
    }

    /// Removes every entry of this cache.
    fn clear(&self) -> Result<bool>;

    /// Adds `delta` to the integer under `key`, in one atomic step, and returns the sum. The entry
    /// keeps its lifetime; a missing one is created from 0 with `lifetime`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Value`] where the stored value is not an integer.
    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64>;

    /// Lets the entry under `key` live for at least `lifetime` from now where it would end sooner,
    /// without touching its value: a concurrent write or deletion is never undone. `false`: no live
    /// entry.
    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool>;

    /// Where `key` still holds exactly `expected`, puts `new` in its place, or removes the entry
    /// where `new` is `None`; one atomic step. `false`: there is something else, or nothing.
    ///
    /// The entry keeps what is left of its lifetime where the backend can tell; elsewhere it gets
    /// `lifetime`. It is how a damaged entry is removed without removing its replacement, and how a
    /// value that only the caller can read is changed atomically.
    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool>;

    /// [`set`](Self::set), where `key` still holds exactly `expected`; one atomic step. `false`: there is
    /// something else, or nothing, or `value` was refused. It is how a result is stored only while nothing
    /// was deleted.
    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool>;

    /// How long the entry under `key` has left: [`Lifetime::Forever`] or [`Lifetime::For`]. `None`: it
    /// has no live entry, or that cannot be told here.
    ///
    /// # Errors
    /// As every read.
    fn remaining(&self, _key: &[u8]) -> Result<Option<Lifetime>> {
        Ok(None)
    }

    /// Whether the one server behind it has failed and is being left alone, so that nothing would
    /// be tried now. A backend without a server, or of several, says `false`.
    fn is_left_alone(&self) -> bool {
        false
    }

    /// What this process knows of each server behind it, without asking any; those that it has not
    /// heard of yet are missing. A backend without a server has none.
    fn server_health(&self) -> Vec<ServerHealth> {
        Vec::new()
    }

    /// [`set`](Self::set), and [`extend`](Self::extend) of the entries under `extended` by the same
    /// lifetime where the value is stored; in one round trip where the backend waits for a server.
    /// Returns whether the value was stored, and for each of `extended` whether it has a live entry.
    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        if !self.set(key, value, lifetime)? {
            return Ok((false, Vec::new()));
        }
        let live = extended
            .iter()
            .map(|key| self.extend(key, lifetime))
            .collect::<Result<_>>()?;
        Ok((true, live))
    }

    /// The values of `keys`, in their order.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The entries of `keys`, in their order, and how long a copy of each may be kept; in one round trip
    /// where the backend waits for a server. A backend that tells nobody of changes keeps this.
    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        let left = Lifetime::Expired;
        let values = self.get_many(keys)?.into_iter();
        Ok(values
            .map(|value| value.map(|value| Copied { value, left }))
            .collect())
    }

    /// Stores all `entries`; for each, whether it was stored.
    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        entries
            .iter()
            .map(|(key, value)| self.set(key, value, lifetime))
            .collect()
    }

    /// Removes all `keys`; for each, whether there was a live entry. Where one command removes
    /// several, how many of the answers are `true` is exact, which ones may not be.
    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        keys.iter().map(|key| self.delete(key)).collect()
    }
}
