//! Timeouts as Python writes them: None, a number of seconds, a `timedelta`.

use flask_caching_engine::{Lifetime, Timeout};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The engine's reading of a Python timeout.
pub(crate) fn from_python(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(timeout) = timeout.filter(|t| !t.is_none()) else {
        return Ok(Timeout::Default);
    };
    let seconds = timeout_seconds(timeout)?;
    Lifetime::from_seconds(seconds)
        .map(Timeout::Of)
        .ok_or_else(|| PyValueError::new_err("a timeout must be a number of seconds, not NaN"))
}

/// The seconds of a timeout: an int, a float, a `timedelta`, or a string of digits.
#[pyfunction]
pub(crate) fn timeout_seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(seconds) = timeout.extract::<f64>() {
        return Ok(seconds);
    }
    if timeout.hasattr("total_seconds")? {
        return timeout.call_method0("total_seconds")?.extract();
    }
    Err(PyTypeError::new_err(format!(
        "a timeout must be None, a number of seconds or a timedelta, not {}",
        timeout.get_type().name()?
    )))
}
