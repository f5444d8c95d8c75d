//! Deletions of entries whose keys are made of what other entries hold.

mod key;
mod owed;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::key::delete_guarded;
pub use self::key::{GuardedKey, ReadGuard};

use self::owed::{Delivery, OwedGuarded};
use super::{Deadline, DeadlineLock, Settings};
use crate::backend::Backend;
use crate::layer::{self, Effect, Operation};
use crate::per_process::PerProcess;
use crate::{Error, ErrorKind, Result, clock};

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
    owed: Mutex<OwedGuarded>,
    /// Whoever has it delivers.
    turn: DeadlineLock,
    /// In clock nanoseconds, when delivery may be tried again by operations on other keys.
    next_delivery: AtomicU64,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, OwedGuarded> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Strikes out those of `delivered` that have not been remembered again since.
    fn forget(&self, delivered: &Delivery) {
        let mut owed = self.lock();
        let struck = owed.strike_out(delivered);
        self.any.store(!owed.is_empty(), Ordering::Release);
        drop(owed);
        drop(struck);
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
                turn: DeadlineLock::default(),
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
        if !self.state.get().any.load(Ordering::Acquire) {
            return call(&self.backend);
        }
        let deadline = Deadline::of_operation(self.settings.operation_timeout);
        deadline.during(|| {
            self.settle(operation, keys, deadline)?;
            call(&self.backend)
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
            let part = state.lock().step();
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
    fn deliver(&self, part: &Delivery) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = part.iter().map(|(key, owed)| (key, &owed.read)).collect();
        delete_guarded(&self.backend, &keys)?;
        self.state.get().forget(part);
        Ok(())
    }
}

impl<B: Backend> layer::Layer for GuardedDeletions<B> {
    type Inner = B;

    fn inner(&self) -> &B {
        &self.backend
    }

    fn around<T>(
        &self,
        operation: &Operation<'_>,
        call: impl FnOnce(&B) -> Result<T>,
    ) -> Result<T> {
        if operation.effect == Effect::Removes {
            return call(&self.backend);
        }
        self.with(operation.name, operation.keys, call)
    }

    fn clear(&self) -> Result<bool> {
        // Nothing to settle: clearing delivers every deletion.
        let state = self.state.get();
        let owed = state.lock().all();
        let outcome = self.backend.clear()?;
        state.forget(&owed);
        Ok(outcome)
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        let state = self.state.get();
        let mut owed = state.lock();
        let before = owed.remember(key, read, self.settings.owed_bytes);
        state.any.store(!owed.is_empty(), Ordering::Release);
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
}

#[cfg(test)]
mod tests;
