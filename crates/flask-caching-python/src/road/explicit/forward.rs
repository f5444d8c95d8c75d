//! Calls of a backend's methods with whatever an application gave.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::mistakes::explained;

/// What `method` of `backend` returns.
pub(crate) fn forward<'py>(
    backend: &Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let outcome = backend.call_method(method, args, kwargs);
    outcome.map_err(|error| explained(error, backend, method, args, kwargs))
}
