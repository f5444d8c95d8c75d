//! The only mapping from engine errors to Python exceptions.

use flask_caching_engine::{Error, ErrorKind};
use pyo3::exceptions::PyException;
use pyo3::import_exception;
use pyo3::prelude::*;

import_exception!(flask_caching.errors, CacheBackendError);
import_exception!(flask_caching.errors, CacheConfigError);
import_exception!(flask_caching.errors, CacheKeyError);
import_exception!(flask_caching.errors, UnstorableValueError);

/// The Python exception for an engine error.
pub(crate) fn to_py(error: &Error) -> PyErr {
    let message = describe(error);
    match error.kind() {
        ErrorKind::Config => CacheConfigError::new_err(message),
        ErrorKind::Key => CacheKeyError::new_err(message),
        ErrorKind::Value => pyo3::exceptions::PyTypeError::new_err(message),
        _ => CacheBackendError::new_err(message),
    }
}

/// What an attempt found; nothing where it raised an exception: what failed here fails again the
/// ordinary way, which knows what to do about it. `KeyboardInterrupt` and its like are passed on.
#[inline]
pub(crate) fn unless_raised<T>(
    py: Python<'_>,
    attempt: PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    match attempt {
        Ok(found) => Ok(found),
        Err(error) => unless_exception(py, error).map(|()| None),
    }
}

#[cold]
fn unless_exception(py: Python<'_>, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyException>(py) {
        Ok(())
    } else {
        Err(error)
    }
}

fn describe(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = inner.source();
    }
    message
}
