//! The engine's clock, for `flask_caching.testing.manual_clock`.

use std::time::Duration;

use flask_caching_engine::clock;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Stops the engine's clocks for this process.
#[pyfunction]
pub(crate) fn clock_stop() {
    clock::stop();
}

/// Moves the stopped clocks forward by `seconds`.
#[pyfunction]
pub(crate) fn clock_advance(seconds: f64) -> PyResult<()> {
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("seconds must be a positive number, not {seconds}"))
    })?;
    clock::advance(duration);
    Ok(())
}

/// The seconds since 1970-01-01 UTC, on the engine's clock.
#[pyfunction]
pub(crate) fn clock_wall() -> f64 {
    clock::wall().as_secs_f64()
}

/// Lets the engine's clocks run again.
#[pyfunction]
pub(crate) fn clock_resume() {
    clock::resume();
}
