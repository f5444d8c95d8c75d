//! `MISSING`: what an internal read returns for a miss, so that a stored None is told from one.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The type of `MISSING`, its only instance.
#[pyclass(frozen, name = "Missing", module = "flask_caching._engine")]
pub(crate) struct Missing;

#[pymethods]
impl Missing {
    #[expect(clippy::unused_self, reason = "Python calls it on the instance")]
    fn __repr__(&self) -> &'static str {
        "MISSING"
    }

    #[expect(clippy::unused_self, reason = "Python calls it on the instance")]
    fn __bool__(&self) -> bool {
        false
    }

    /// Pickled by name: a copy is the same object.
    #[expect(clippy::unused_self, reason = "Python calls it on the instance")]
    fn __reduce__(&self) -> &'static str {
        "MISSING"
    }
}

/// `MISSING` itself.
pub(crate) fn missing(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static INSTANCE: PyOnceLock<Py<Missing>> = PyOnceLock::new();
    let instance = INSTANCE.get_or_try_init(py, || Py::new(py, Missing))?;
    Ok(instance.clone_ref(py).into_any())
}

/// Whether an object is `MISSING`.
#[inline]
pub(crate) fn is_missing(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<Missing>()
}
