//! What is said where an application gave arguments that a method does not take.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::memory::MemoryBackend;

/// The error of a call, which says what may have been meant where it is about the arguments.
#[cold]
pub(crate) fn explained(
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

/// Refuses arguments whose names `method` does not know, and says what they may have meant.
pub(crate) fn refuse(others: Option<&Bound<'_, PyDict>>, method: &str) -> PyResult<()> {
    others.map_or(Ok(()), |others| Err(unexpected(others, method)))
}

#[cold]
fn unexpected(others: &Bound<'_, PyDict>, method: &str) -> PyErr {
    let py = others.py();
    let error = || -> PyResult<_> {
        let method = py.get_type::<MemoryBackend>().getattr(method)?;
        let mistakes = py.import(intern!(py, "flask_caching.mistakes"))?;
        mistakes.call_method1(intern!(py, "unexpected_argument"), (method, others))
    };
    error().map_or_else(|unexpected| unexpected, PyErr::from_value)
}
