//! What `inc` and `dec` take as a number, and their arithmetic: Python's own.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt};

/// `(key, value under it or None, delta)` to the new value.
pub(super) type Operation<'py> = fn(
    &Bound<'py, PyAny>,
    Option<&Bound<'py, PyAny>>,
    &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>>;

/// The default delta.
pub(super) fn one(py: Python<'_>) -> Bound<'_, PyAny> {
    PyInt::new(py, 1).into_any()
}

/// `value + delta`; a missing value is 0.
///
/// # Errors
/// `TypeError` where the value under `key` is not a number.
pub(super) fn add<'py>(
    key: &Bound<'py, PyAny>,
    value: Option<&Bound<'py, PyAny>>,
    delta: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    checked(key, value)?.add(delta)
}

/// `value - delta`; otherwise as [`add`].
pub(super) fn subtract<'py>(
    key: &Bound<'py, PyAny>,
    value: Option<&Bound<'py, PyAny>>,
    delta: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    checked(key, value)?.sub(delta)
}

fn checked<'py>(
    key: &Bound<'py, PyAny>,
    value: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static NUMBER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = key.py();
    let Some(value) = value else {
        return Ok(PyInt::new(py, 0).into_any());
    };
    let is_number = value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance(NUMBER.import(py, "numbers", "Number")?)?;
    if is_number {
        return Ok(value.clone());
    }
    Err(PyTypeError::new_err(format!(
        "the value under {} is a {}, not a number",
        key.repr()?,
        value.get_type().name()?
    )))
}
