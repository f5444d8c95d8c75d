//! `_engine.Patience` and `_engine.Renewals`: waiting for what another process has a lease of, and renewing
//! what this one has, as Python sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flask_caching_engine::{clock, lease};
use pyo3::prelude::*;

/// Waiting for `longest` seconds at most; None: for as long as it takes.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Patience(Mutex<lease::Patience>);

#[pymethods]
impl Patience {
    #[new]
    fn new(longest: Option<f64>) -> Self {
        let longest =
            longest.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        Self(Mutex::new(lease::Patience::new(longest)))
    }

    /// The seconds to wait before the next question: ever more, up to a quarter of one, and no two who
    /// wait ask in step; None: the time is over. It is real time, also while a test has stopped the clock.
    fn next_pause(&self) -> Option<f64> {
        let mut patience = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        patience.next_pause().map(|pause| pause.as_secs_f64())
    }
}

/// When the leases of this process are to be renewed. They are known by numbers. It counts real time.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Renewals(Mutex<lease::Renewals>);

#[pymethods]
impl Renewals {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Renews a lease that lives for `ttl` seconds; whether it is the next one.
    fn keep(&self, lease: u64, ttl: f64) -> bool {
        let ttl = Duration::try_from_secs_f64(ttl).unwrap_or(Duration::MAX);
        self.lock().keep(lease, ttl, clock::real())
    }

    /// Renews a lease no more; whether it was.
    fn end(&self, lease: u64) -> bool {
        self.lock().end(lease)
    }

    /// The seconds in which nothing is to be done; None: there is nothing to renew.
    fn pause(&self) -> Option<f64> {
        let pause = self.lock().pause(clock::real());
        pause.map(|pause| pause.as_secs_f64())
    }

    /// The leases that are to be renewed now, which are due again later.
    fn take_due(&self) -> Vec<u64> {
        self.lock().take_due(clock::real())
    }
}

impl Renewals {
    fn lock(&self) -> MutexGuard<'_, lease::Renewals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
