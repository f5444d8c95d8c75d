//! The engine's clock, for `flask_caching.testing.manual_clock`, and Python's, where that is moved.

mod builtin;

use std::sync::Mutex;
use std::time::Duration;

use flask_caching_engine::clock;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What Python code calls to know the time: `time.time`, or what stands in its place.
static PYTHONS: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

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

/// Tells the engine what Python code calls to know the time.
///
/// :param function: what it calls, without arguments, for seconds since 1970.
/// :param is_moved: whether that is not the time of the system. False: it is, as long as nobody
///     changes the function itself, which is then noticed.
#[pyfunction]
pub(crate) fn clock_follow(function: Bound<'_, PyAny>, is_moved: bool) {
    if !is_moved && let Some((word, usual)) = builtin::implementation(&function) {
        clock::watch(word, usual);
    }
    let replaced = lock().replace(function.unbind());
    // Not under the lock: it may be the last reference.
    drop(replaced);
    clock::set_source(pythons_time);
    clock::follow(is_moved);
}

/// Microseconds since 1970, as Python code is told. `None`: there is none that can tell.
fn pythons_time() -> Option<i64> {
    Python::try_attach(|py| {
        let function = lock().as_ref()?.clone_ref(py);
        let seconds = function.call0(py).and_then(|time| time.extract::<f64>(py));
        match seconds {
            Ok(seconds) => Some(to_micros(seconds)),
            Err(error) => {
                error.write_unraisable(py, Some(function.bind(py)));
                None
            }
        }
    })?
}

/// The microsecond that is meant: what moves time counts in them, and a float is near it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is out of range ends at its end, and no number is 1970"
)]
fn to_micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn lock() -> std::sync::MutexGuard<'static, Option<Py<PyAny>>> {
    PYTHONS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
