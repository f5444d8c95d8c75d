//! Deletions of entries whose keys are made of what other entries hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Deadline, Full, ServerHealth, Settings, Turn};
use crate::backend::{Backend, Copied, Presence, Value};
use crate::per_process::PerProcess;
use crate::{Error, ErrorKind, Lifetime, Result, clock};

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
    fn cost(&self) -> usize {
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

/// Wraps a backend and remembers deletions of entries under [`GuardedKey`]s: during an outage their
/// guards cannot be read either. Until such a deletion is delivered no entry is read or written whose
/// key begins with its prefix.
pub struct GuardedDeletions<B> {
    backend: B,
    settings: Settings,
    state: PerProcess<State>,
}

struct State {
    /// Read on every operation, so that owing nothing costs one load.
    any: AtomicBool,
    owed: Mutex<Owed>,
    /// Whoever has it delivers.
    turn: Turn,
    /// In clock nanoseconds, when delivery may be tried again by operations on other keys.
    next_delivery: AtomicU64,
}

#[derive(Default)]
struct Owed {
    deletions: BTreeMap<GuardedKey, Deletion>,
    /// How many of the prefixes are so long.
    lengths: BTreeMap<usize, usize>,
    /// What `deletions` take.
    bytes: usize,
    last: u64,
}

#[derive(Clone)]
struct Deletion {
    read: ReadGuard,
    /// When it was remembered, in the order of all that were.
    mark: u64,
}

/// How many deletions one step delivers.
const STEP: usize = 500;

type Part = Vec<(GuardedKey, Deletion)>;

fn copied<'a>(owed: impl Iterator<Item = (&'a GuardedKey, &'a Deletion)>) -> Part {
    owed.map(|(key, deletion)| (key.clone(), deletion.clone()))
        .collect()
}

impl Owed {
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
    fn of(&self, keys: &[&[u8]]) -> Part {
        let prefixes: BTreeSet<&[u8]> = keys.iter().flat_map(|key| self.prefixes_of(key)).collect();
        let owed = prefixes.into_iter().flat_map(|prefix| self.under(prefix));
        copied(owed)
    }

    /// Remembers a deletion; returns the reader of the same one remembered before.
    ///
    /// # Errors
    /// There is no room for it in `most_bytes`.
    fn remember(
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

impl State {
    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Strikes out those of `delivered` that have not been remembered again since.
    fn forget(&self, delivered: &[(GuardedKey, Deletion)]) {
        // Dropped without the lock: a reader may be the application's.
        let mut struck = Vec::with_capacity(delivered.len());
        let mut owed = self.lock();
        for (key, deletion) in delivered {
            let known = owed.deletions.get(key);
            if known.is_some_and(|known| known.mark == deletion.mark) {
                struck.extend(owed.remove(key));
            }
        }
        self.any
            .store(!owed.deletions.is_empty(), Ordering::Release);
        drop(owed);
    }
}

impl<B: Backend> GuardedDeletions<B> {
    /// Wraps `backend`; `settings` say how long it may take to deliver, and how much to remember.
    pub fn new(backend: B, settings: Settings) -> Self {
        Self {
            backend,
            settings,
            state: PerProcess::new(|| State {
                any: AtomicBool::new(false),
                owed: Mutex::default(),
                turn: Turn::default(),
                next_delivery: AtomicU64::new(0),
            }),
        }
    }

    /// The backend inside.
    pub fn inner(&self) -> &B {
        &self.backend
    }

    /// Does what only the backend inside can by `call`, as every `operation` on `keys`: after what is
    /// owed.
    ///
    /// # Errors
    /// Those of `call`, and of a deletion that has to be delivered before.
    pub fn with<T>(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        call: impl FnOnce(&B) -> Result<T>,
    ) -> Result<T> {
        self.settled(operation, keys, || call(&self.backend))
    }

    /// Does an operation on `keys` by `call`, after the deletions that are owed of them.
    fn settled<T>(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if !self.state.get().any.load(Ordering::Acquire) {
            return call();
        }
        let deadline = Deadline::of_operation(self.settings.operation_timeout);
        deadline.during(|| {
            self.settle(operation, keys, deadline)?;
            call()
        })
    }

    /// Delivers what is owed of `keys`, and a step of the rest where there is time.
    ///
    /// # Errors
    /// What delivery fails with, where a deletion of one of `keys` is owed.
    fn settle(&self, operation: &'static str, keys: &[&[u8]], deadline: Deadline) -> Result<()> {
        let state = self.state.get();
        if !state.lock().of(keys).is_empty() {
            let late = |_| {
                let why = "not tried: a deletion has not been delivered yet, and others are at it";
                Error::new(ErrorKind::Timeout, operation, "the cache server", why)
            };
            let _turn = state.turn.take(deadline).map_err(late)?;
            let part = state.lock().of(keys);
            return self.deliver(&part);
        }
        let due = clock::steady().0 >= state.next_delivery.load(Ordering::Relaxed);
        if due
            && !self.backend.is_left_alone()
            && let Some(_turn) = state.turn.try_take()
        {
            let part = copied(state.lock().deletions.iter().take(STEP));
            // A server that hangs leaves an operation on another one its half of the time.
            let half = deadline.remaining().unwrap_or_default() / 2;
            let delivered = deadline.at_most(half).during(|| self.deliver(&part));
            if let Err(error) = delivered {
                // It is not this operation's affair, which finds out by itself how its server is.
                log::debug!("deletions stay owed: {error}");
                let next = clock::steady().after(self.settings.breaker_reset);
                state.next_delivery.store(next.0, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Delivers `part` of what is owed. The caller guarantees that it has the turn.
    fn deliver(&self, part: &Part) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = part.iter().map(|(key, owed)| (key, &owed.read)).collect();
        delete_guarded(&self.backend, &keys)?;
        self.state.get().forget(part);
        Ok(())
    }
}

impl<B: Backend> Backend for GuardedDeletions<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.settled("get", &[key], || self.backend.get(key))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.settled("set", &[key], || self.backend.set(key, value, lifetime))
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        self.settled("set", &[key], || {
            self.backend.set_extending(key, value, lifetime, extended)
        })
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.settled("add", &[key], || self.backend.add(key, value, lifetime))
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        self.settled("add", &[key], || {
            self.backend.add_or_tell(key, value, lifetime)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.backend.delete(key)
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        self.backend.delete_each(keys)
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.backend.owe(keys)
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        let state = self.state.get();
        let mut owed = state.lock();
        let before = owed.remember(key, read, self.settings.owed_bytes);
        state
            .any
            .store(!owed.deletions.is_empty(), Ordering::Release);
        drop(owed);
        // What it takes the place of is dropped here, without the lock: a reader may be the
        // application's.
        before.map(drop).map_err(|full| {
            let kind = ErrorKind::Unavailable;
            Error::new(kind, "delete", "the cache server", full.to_string())
        })
    }

    fn owes(&self) -> bool {
        self.state.get().any.load(Ordering::Acquire) || self.backend.owes()
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.settled("has", &[key], || self.backend.has(key))
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        self.settled("has", &[key], || self.backend.presence(key))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        self.settled("has", &[key], || self.backend.remaining(key))
    }

    fn clear(&self) -> Result<bool> {
        // Nothing to settle: clearing delivers every deletion.
        let state = self.state.get();
        let owed = copied(state.lock().deletions.iter());
        let outcome = self.backend.clear()?;
        state.forget(&owed);
        Ok(outcome)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.settled("incr", &[key], || self.backend.incr(key, delta, lifetime))
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        self.settled("extend", &[key], || self.backend.extend(key, lifetime))
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.settled("compare_exchange", &[key], || {
            self.backend.compare_exchange(key, expected, new, lifetime)
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.settled("set_if", &[key], || {
            self.backend.set_if(key, expected, value, lifetime)
        })
    }

    fn is_left_alone(&self) -> bool {
        self.backend.is_left_alone()
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.backend.server_health()
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.settled("get_many", keys, || self.backend.get_many(keys))
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        self.settled("get_many", keys, || self.backend.copies(keys))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        self.settled("set_many", &keys, || {
            self.backend.set_many(entries, lifetime)
        })
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        self.backend.delete_many(keys)
    }
}

#[cfg(test)]
#[path = "guarded_tests.rs"]
mod tests;
