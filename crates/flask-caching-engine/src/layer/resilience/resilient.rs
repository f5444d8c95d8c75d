//! A backend that survives its server.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Deadline, Health, Part, Probe, ServerHealth, Settings, Taken, Turn, Undelivered};
use crate::backend::{Backend, Copied, Presence, Value};
use crate::per_process::PerProcess;
use crate::{Error, ErrorKind, Lifetime, Result, clock};

/// Wraps a backend on a server that can fail.
///
/// A deletion that cannot be delivered is an error for its caller and is remembered; it is
/// delivered before anything else is once the server is back, so that no deleted value comes back
/// to life from this process. Until then a read of such a key fails, even where other servers of
/// the backend still answer.
///
/// All steps of an operation, the deliveries before it included, end by one deadline. Where there is
/// more to deliver than half of that time allows, what the operation touches is delivered before it
/// and the rest before the next ones.
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
    /// Whoever has it delivers.
    turn: Turn,
    /// In clock nanoseconds, when delivery may be tried again, where operations on other keys go on.
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

    /// The same, where `probe` says whether the server answers; see [`Health::probed`].
    pub fn probed(backend: B, target: impl Into<String>, settings: Settings, probe: Probe) -> Self {
        let target = target.into();
        Self::with_state(backend, Keeper::Wrapper, settings, move || {
            Some(Health::new(target.clone(), &settings).probed(Probe::clone(&probe)))
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

    /// Does what only the backend inside can by `call`, as every `operation` on `keys`: after what is
    /// owed, within one deadline. `stores`: it writes.
    ///
    /// # Errors
    /// Those of `call`, and that the server is being left alone.
    pub fn with<T>(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        stores: bool,
        call: impl FnOnce(&B) -> Result<T>,
    ) -> Result<T> {
        self.settled(operation, keys, stores, || call(&self.backend))
    }

    fn with_state(
        backend: B,
        servers: Keeper,
        settings: Settings,
        health: impl Fn() -> Option<Health> + Send + Sync + 'static,
    ) -> Self {
        let state = PerProcess::new(move || State {
            health: health(),
            undelivered: Undelivered::new(settings.owed_bytes),
            turn: Turn::default(),
            next_delivery: AtomicU64::new(0),
        });
        Self {
            backend,
            servers,
            settings,
            state,
        }
    }

    /// Does `operation` on `keys` by `call`, after what is owed, within one deadline.
    fn settled<T>(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        stores: bool,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let deadline = Deadline::of_operation(self.settings.operation_timeout);
        deadline.during(|| {
            self.settle(operation, keys, deadline)?;
            self.call(operation, stores, call)
        })
    }

    /// [`settled`](Self::settled), of an operation that removes `keys`: they are owed where it fails.
    fn removed<T>(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let outcome = self.settled(operation, keys, false, call);
        self.keep(outcome, keys)
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
    fn settle(&self, operation: &'static str, keys: &[&[u8]], deadline: Deadline) -> Result<()> {
        let state = self.state.get();
        if !state.undelivered.any() {
            return Ok(());
        }
        let touched = state.undelivered.covers(keys);
        if self.is_left_alone() && touched {
            let why = "the server is being left alone";
            return Err(self.undelivered(ErrorKind::Unavailable, operation, why));
        }
        // The operation goes on where nothing can be done: to another server, or to be refused and
        // counted. So it does where somebody else is delivering, and not to the key of it.
        let turn = if touched {
            let late = |_| self.undelivered(ErrorKind::Timeout, operation, "others are at it");
            Some(state.turn.take(deadline).map_err(late)?)
        } else if self.is_left_alone() || !state.is_delivery_due() {
            None
        } else {
            state.turn.try_take()
        };
        let Some(turn) = turn else {
            return Ok(());
        };
        // A clear first, then what was deleted after it.
        while let Some(part) = state.undelivered.of(keys) {
            self.deliver(&part)?;
        }
        match self.deliver_others(&turn, touched, deadline) {
            // What another server does, or one that refuses only to delete, is not this key's affair.
            Err(error)
                if !touched
                    && self.servers != Keeper::OfEach
                    && error.kind() != ErrorKind::Refused =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Delivers what is owed beside the keys of an operation, in the time that it can spare.
    fn deliver_others(&self, _turn: &Taken<'_>, touched: bool, deadline: Deadline) -> Result<()> {
        let state = self.state.get();
        if touched && !state.is_delivery_due() {
            return Ok(());
        }
        let half = deadline.remaining().unwrap_or_default() / 2;
        let spared = deadline.at_most(half);
        // Another server that hangs leaves the operation its half; its own may as well use all.
        let limit = if self.servers == Keeper::OfEach {
            spared
        } else {
            deadline
        };
        while spared.remaining().is_ok()
            && let Some(part) = state.undelivered.next()
        {
            let delivered = limit.during(|| self.deliver(&part));
            if let Err(error) = &delivered
                && (self.servers == Keeper::OfEach || error.kind() == ErrorKind::Refused)
            {
                let next = clock::steady().after(self.settings.breaker_reset);
                state.next_delivery.store(next.0, Ordering::Relaxed);
            }
            delivered?;
        }
        Ok(())
    }

    /// Delivers `part` of what is owed.
    fn deliver(&self, part: &Part) -> Result<()> {
        self.call("delete", false, || match part {
            Part::Everything(_) => self.backend.clear().map(drop),
            Part::Keys(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(|(key, _)| &**key).collect();
                self.backend.delete_many(&keys).map(drop)
            }
        })?;
        self.state.get().undelivered.forget(part);
        Ok(())
    }

    fn undelivered(&self, kind: ErrorKind, operation: &'static str, why: &str) -> Error {
        Error::new(
            kind,
            operation,
            self.target(),
            format!("not tried: a deletion has not been delivered yet, and {why}"),
        )
    }

    fn target(&self) -> &str {
        match &self.state.get().health {
            Some(health) => health.target(),
            None => "the cache server",
        }
    }

    /// Remembers `keys` where `outcome` says that their deletion may not have happened.
    fn keep<T>(&self, outcome: Result<T>, keys: &[&[u8]]) -> Result<T> {
        outcome.map_err(|error| {
            if is_final(&error) {
                return error;
            }
            let remembered = self.state.get().undelivered.remember(keys.iter().copied());
            match remembered {
                Ok(()) => error,
                Err(full) => error.saying(&format!("; {full}")),
            }
        })
    }
}

impl State {
    fn is_delivery_due(&self) -> bool {
        clock::steady().0 >= self.next_delivery.load(Ordering::Relaxed)
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

    fn server_health(&self) -> Vec<ServerHealth> {
        match &self.state.get().health {
            Some(health) => vec![health.report()],
            None => self.backend.server_health(),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.settled("get", &[key], false, || self.backend.get(key))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let set = || self.backend.set(key, value, lifetime);
        if lifetime == Lifetime::Expired {
            return self.removed("set", &[key], set);
        }
        self.settled("set", &[key], true, set)
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
        let outcome = self.settled("set", &keys, true, || {
            self.backend.set_extending(key, value, lifetime, extended)
        });
        if lifetime == Lifetime::Expired {
            return self.keep(outcome, &[key]);
        }
        outcome
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.settled("add", &[key], true, || {
            self.backend.add(key, value, lifetime)
        })
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        self.settled("add", &[key], true, || {
            self.backend.add_or_tell(key, value, lifetime)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.removed("delete", &[key], || self.backend.delete(key))
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        let remembered = self.state.get().undelivered.remember(keys.iter().copied());
        remembered.map_err(|full| {
            let kind = ErrorKind::Unavailable;
            Error::new(kind, "delete", self.target(), full.to_string())
        })
    }

    fn owes(&self) -> bool {
        self.state.get().undelivered.any()
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.settled("has", &[key], false, || self.backend.has(key))
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        self.settled("has", &[key], false, || self.backend.presence(key))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        self.settled("has", &[key], false, || self.backend.remaining(key))
    }

    fn clear(&self) -> Result<bool> {
        // Nothing to settle: clearing delivers every deletion.
        let undelivered = &self.state.get().undelivered;
        let mark = undelivered.mark();
        let deadline = Deadline::of_operation(self.settings.operation_timeout);
        let outcome = deadline.during(|| self.call("clear", false, || self.backend.clear()));
        match &outcome {
            Ok(_) => undelivered.forget_all(mark),
            Err(error) if !is_final(error) => undelivered.remember_everything(),
            Err(_) => {}
        }
        outcome
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.settled("incr", &[key], true, || {
            self.backend.incr(key, delta, lifetime)
        })
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        self.settled("extend", &[key], false, || {
            self.backend.extend(key, lifetime)
        })
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.settled("compare_exchange", &[key], true, || {
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
        self.settled("set_if", &[key], true, || {
            self.backend.set_if(key, expected, value, lifetime)
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.settled("get_many", keys, false, || self.backend.get_many(keys))
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        self.settled("get_many", keys, false, || self.backend.copies(keys))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
        let set = || self.backend.set_many(entries, lifetime);
        if lifetime == Lifetime::Expired {
            return self.removed("set_many", &keys, set);
        }
        self.settled("set_many", &keys, true, set)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        self.removed("delete_many", keys, || self.backend.delete_many(keys))
    }
}

#[cfg(test)]
#[path = "resilient_tests.rs"]
mod tests;
