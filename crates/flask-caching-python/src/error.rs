//! The only mapping from engine errors to Python exceptions.

use flask_caching_engine::{Error, ErrorKind};
use pyo3::import_exception;
use pyo3::prelude::*;

import_exception!(flask_caching.errors, CacheBackendError);
import_exception!(flask_caching.errors, CacheConfigError);
import_exception!(flask_caching.errors, CacheKeyError);

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
