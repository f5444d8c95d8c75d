//! A backend that survives its server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::{Health, Settings, Undelivered};
use crate::backend::{Backend, Value};
use crate::per_process::PerProcess;
use crate::resilience::Pending;
use crate::{Error, ErrorKind, Lifetime, Result, clock};

/// Wraps a backend on a server that can fail.
///
/// A deletion that cannot be delivered is an error for its caller and is remembered; it is
/// delivered before anything else is once the server is back, so that no deleted value comes back
/// to life from this process. Until then a read of such a key fails, even where other servers of
/// the backend still answer.
pub struct Resilient<B> {
    backend: B,
    servers: Keeper,
    settings: Settings,
    state: PerProcess<State>,
}

/// Who keeps the health of which servers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The wrapper, of the one server there is.
    Wrapper,
    /// The backend, of its one server.
    OfOne,
    /// The backend, of each of its servers.
    OfEach,
}

struct State {
    health: Option<Health>,
    undelivered: Undelivered,
    /// Whoever holds it delivers.
    turn: Mutex<()>,
    /// In clock nanoseconds, when delivery may be tried again, where reads of other keys go on.
    next_delivery: AtomicU64,
}

impl<B: Backend> Resilient<B> {
    /// Wraps `backend`, which talks to the one server that errors and logs call `target`, and
    /// keeps that server's [`Health`].
    pub fn new(backend: B, target: impl Into<String>, settings: Settings) -> Self {
        let target = target.into();
        Self::with_state(backend, Keeper::Wrapper, settings, move || {
            Some(Health::new(target.clone(), &settings))
        })
    }

    /// Wraps a `backend` of one server that keeps the [`Health`] of it itself, and says so by
    /// [`Backend::is_left_alone`].
    pub fn of_server(backend: B, settings: Settings) -> Self {
        Self::with_state(backend, Keeper::OfOne, settings, || None)
    }

    /// Wraps a `backend` that keeps the [`Health`] of each of its servers itself.
    pub fn of_servers(backend: B, settings: Settings) -> Self {
        Self::with_state(backend, Keeper::OfEach, settings, || None)
    }

    /// The backend inside.
    pub fn inner(&self) -> &B {
        &self.backend
    }

    fn with_state(
        backend: B,
        servers: Keeper,
        settings: Settings,
        health: impl Fn() -> Option<Health> + Send + Sync + 'static,
    ) -> Self {
        let state = PerProcess::new(move || State {
            health: health(),
            undelivered: Undelivered::new(settings.remembered_deletions),
            turn: Mutex::new(()),
            next_delivery: AtomicU64::new(0),
        });
        Self {
            backend,
            servers,
            settings,
            state,
        }
    }

    fn call<T>(
        &self,
        operation: &'static str,
        stores: bool,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match &self.state.get().health {
            Some(health) => health.call(operation, stores, call),
            None => call(),
        }
    }

    /// Delivers what is owed before an operation on `keys`.
    ///
    /// # Errors
    /// What delivery failed with, where one of `keys` is owed a deletion, or where the operation
    /// would go to the same server.
    fn settle(&self, operation: &'static str, keys: &[&[u8]]) -> Result<()> {
        let state = self.state.get();
        if !state.undelivered.any() {
            return Ok(());
        }
        let several = self.servers == Keeper::OfEach;
        let touched = state.undelivered.covers(keys);
        if self.is_left_alone() || !state.is_delivery_due() {
            // The operation goes on: to another server, or to be refused and counted.
            return if touched {
                Err(self.undelivered(operation))
            } else {
                Ok(())
            };
        }
        let Some(_turn) = state.take_turn(touched) else {
            // Somebody else is delivering, and not to the key of this operation.
            return Ok(());
        };
        // What another server does, or one that refuses only to delete, is not this key's affair.
        self.deliver().or_else(|error| {
            if touched || !(several || error.kind() == ErrorKind::Refused) {
                Err(error)
            } else {
                Ok(())
            }
        })
    }

    /// Delivers what is owed. The caller guarantees that it has the turn.
    fn deliver(&self) -> Result<()> {
        let state = self.state.get();
        let Some(owed) = state.undelivered.owed() else {
            return Ok(());
        };
        let outcome = self.call("delete", false, || match &owed.pending {
            Pending::Everything => self.backend.clear().map(drop),
            Pending::Keys(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                self.backend.delete_many(&keys).map(drop)
            }
        });
        if let Err(error) = &outcome {
            if self.servers == Keeper::OfEach || error.kind() == ErrorKind::Refused {
                let next = clock::steady().after(self.settings.breaker_reset);
                state.next_delivery.store(next.0, Ordering::Relaxed);
            }
        } else {
            state.undelivered.forget(&owed);
        }
        outcome
    }

    fn undelivered(&self, operation: &'static str) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            operation,
            match &self.state.get().health {
                Some(health) => health.target(),
                None => "the cache server",
            },
            "not tried: a deletion has not been delivered yet, and the server is being left alone",
        )
    }

    /// Remembers `keys` where `outcome` says that their deletion may not have happened.
    fn keep<T>(&self, outcome: Result<T>, keys: &[&[u8]]) -> Result<T> {
        if outcome.as_ref().is_err_and(|error| !is_final(error)) {
            self.state.get().undelivered.remember(keys.iter().copied());
        }
        outcome
    }
}

impl State {
    fn is_delivery_due(&self) -> bool {
        clock::steady().0 >= self.next_delivery.load(Ordering::Relaxed)
    }

    /// The turn to deliver, waiting for it (one deadline at most) where `patient`.
    fn take_turn(&self, patient: bool) -> Option<MutexGuard<'_, ()>> {
        if patient {
            return Some(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Whether the same deletion cannot succeed later either.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Config | ErrorKind::Key | ErrorKind::Value
    )
}

impl<B: Backend> Backend for Resilient<B> {
    fn is_left_alone(&self) -> bool {
        match &self.state.get().health {
            Some(health) => health.is_left_alone(),
            None => self.backend.is_left_alone(),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.settle("get", &[key])?;
        self.call("get", false, || self.backend.get(key))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.settle("set", &[key])?;
        let outcome = self.call("set", true, || self.backend.set(key, value, lifetime));
        if lifetime == Lifetime::Expired {
            return self.keep(outcome, &[key]);
        }
        outcome
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        let keys: Vec<&[u8]> = std::iter::once(key)
            .chain(extended.iter().copied())
            .collect();
        self.settle("set", &keys)?;
        let outcome = self.call("set", true, || {
            self.backend.set_extending(key, value, lifetime, extended)
        });
        if lifetime == Lifetime::Expired {
            return self.keep(outcome, &[key]);
        }
        outcome
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.settle("add", &[key])?;
        self.call("add", true, || self.backend.add(key, value, lifetime))
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let outcome = self
            .settle("delete", &[key])
            .and_then(|()| self.call("delete", false, || self.backend.delete(key)));
        self.keep(outcome, &[key])
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.settle("has", &[key])?;
        self.call("has", false, || self.backend.has(key))
    }

    fn clear(&self) -> Result<bool> {
        // Nothing to settle: clearing delivers every deletion.
        let undelivered = &self.state.get().undelivered;
        let owed = undelivered.owed();
        let outcome = self.call("clear", false, || self.backend.clear());
        match &outcome {
            Ok(_) => {
                if let Some(owed) = owed {
                    undelivered.forget(&owed);
                }
            }
            Err(error) if !is_final(error) => {
                undelivered.remember_everything();
            }
            Err(_) => {}
        }
        outcome
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.settle("incr", &[key])?;
        self.call("incr", true, || self.backend.incr(key, delta, lifetime))
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        self.settle("extend", &[key])?;
        self.call("extend", false, || self.backend.extend(key, lifetime))
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.settle("compare_exchange", &[key])?;
        self.call("compare_exchange", true, || {
            self.backend.compare_exchange(key, expected, new, lifetime)
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.settle("get_many", keys)?;
        self.call("get_many", false, || self.backend.get_many(keys))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        self.settle("set_many", &keys)?;
        let outcome = self.call("set_many", true, || {
            self.backend.set_many(entries, lifetime)
        });
        if lifetime == Lifetime::Expired {
            return self.keep(outcome, &keys);
        }
        outcome
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let outcome = self
            .settle("delete_many", keys)
            .and_then(|()| self.call("delete_many", false, || self.backend.delete_many(keys)));
        self.keep(outcome, keys)
    }
}

#[cfg(test)]
#[path = "resilient_tests.rs"]
mod tests;
