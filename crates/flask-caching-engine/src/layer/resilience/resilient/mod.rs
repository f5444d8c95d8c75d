//! A backend that survives its server.

mod settling;

use std::sync::atomic::AtomicU64;

use super::{Deadline, DeadlineLock, Health, Probe, ServerHealth, Settings, Undelivered};
use crate::backend::Backend;
use crate::layer::{self, Effect, Operation};
use crate::per_process::PerProcess;
use crate::resilience::{GuardedKey, ReadGuard, delete_guarded};
use crate::{Error, ErrorKind, Result};

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
    turn: DeadlineLock,
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

    /// As [`new`](Self::new), with a `probe` that says whether the server answers; see [`Health::probed`].
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
        let deadline = Deadline::of_operation(self.settings.operation_timeout);
        deadline.during(|| {
            self.settle(operation, keys, deadline)?;
            self.call(operation, stores, || call(&self.backend))
        })
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
            turn: DeadlineLock::default(),
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

/// Whether the same deletion cannot succeed later either.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Config | ErrorKind::Key | ErrorKind::Value
    )
}

impl<B: Backend> layer::Layer for Resilient<B> {
    type Inner = B;

    fn inner(&self) -> &B {
        &self.backend
    }

    fn around<T>(
        &self,
        operation: &Operation<'_>,
        call: impl FnOnce(&B) -> Result<T>,
    ) -> Result<T> {
        let stores = operation.effect == Effect::Stores;
        let outcome = self.with(operation.name, operation.keys, stores, call);
        if operation.effect == Effect::Removes {
            return self.keep(outcome, &operation.keys[..operation.changed]);
        }
        outcome
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        keys.iter().map(|key| self.delete(key)).collect()
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

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        let remembered = self.state.get().undelivered.remember(keys.iter().copied());
        remembered.map_err(|full| {
            let kind = ErrorKind::Unavailable;
            Error::new(kind, "delete", self.target(), full.to_string())
        })
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        delete_guarded(self, &[(&key, &read)])
    }

    fn owes(&self) -> bool {
        self.state.get().undelivered.any()
    }

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
}

#[cfg(test)]
mod tests;
