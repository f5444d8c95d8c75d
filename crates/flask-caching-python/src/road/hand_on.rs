//! Calls of a backend's methods with whatever an application gave, and what is said where that is wrong.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

/// What `method` of `backend` returns.
pub(super) fn hand_on<'py>(
    backend: &Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let outcome = backend.call_method(method, args, kwargs);
    outcome.map_err(|error| explained(error, backend, method, args, kwargs))
}

/// The error of a call, which says what may have been meant where it is about the arguments.
#[cold]
pub(super) fn explained(
    error: PyErr,
    backend: &Bound<'_, PyAny>,
    method: &Bound<'_, PyString>,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyErr {
    let py = backend.py();
    if !error.is_instance_of::<PyTypeError>(py) {
        return error;
    }
    let explain = || -> PyResult<_> {
        let mistakes = py.import(intern!(py, "flask_caching.mistakes"))?;
        let given = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
        let arguments = (error.value(py), backend.getattr(method)?, args, given);
        mistakes.call_method1(intern!(py, "explain_call"), arguments)
    };
    match explain() {
        Ok(_) => error,
        Err(unexpected) => unexpected,
    }
}
