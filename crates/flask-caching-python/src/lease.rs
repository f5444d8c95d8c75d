//! `_engine.Patience`: waiting for what another process has a lease of, as Python sees it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flask_caching_engine::lease;
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

/// The seconds after which a lease is renewed that lives for `ttl` seconds.
#[pyfunction]
pub(crate) fn renewal_pause(ttl: f64) -> f64 {
    let ttl = Duration::try_from_secs_f64(ttl).unwrap_or(Duration::MAX);
    lease::renewal_pause(ttl).as_secs_f64()
}
