//! Hits under keys that an application makes itself.

use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::place::{Guard, KeyAttribute, Way};
use crate::error::unless_raised;

/// The proxy that such a hit goes past.
const PROXIES: [&str; 1] = ["get"];

/// Answers the calls of one function whose keys a function of the application makes. It needs no
/// table: the key leads to the result.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct KeyedHits {
    way: Way,
    make_key: Py<PyAny>,
    /// Whether `make_key` is called with the arguments of the call.
    takes_arguments: bool,
    key_attribute: KeyAttribute,
    /// Answers a call that is not answered here.
    ordinary: Py<PyAny>,
}

#[pymethods]
impl KeyedHits {
    /// Those of a function of `cache`.
    ///
    /// `originals`: the class whose proxies nobody has replaced. `make_key`: returns the key of a call;
    /// `takes_arguments`: given its arguments. `attributes`: the function's attributes, whose
    /// `make_cache_key` nobody has replaced. `ordinary(args, kwargs, None, key)`: answers a call that is
    /// not answered here; without a key, which then has not been made.
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        make_key: Py<PyAny>,
        takes_arguments: bool,
        attributes: &Bound<'_, PyDict>,
        ordinary: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            way: Way::new(cache, guard, originals, &PROXIES)?,
            make_key,
            takes_arguments,
            key_attribute: KeyAttribute::new(attributes)?,
            ordinary,
        })
    }

    /// Answers a call. `extensions`: those of the active application, or None.
    fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let ordinary = self.ordinary.bind(py);
        let backend = match unless_raised(py, self.way.unheard_backend(py, extensions))? {
            Some(backend) if self.key_attribute.is_original(py)? => backend,
            _ => return ordinary.call1((args, kwargs)),
        };
        let make_key = self.make_key.bind(py);
        let key = if self.takes_arguments {
            make_key.call(args, Some(kwargs))?
        } else {
            make_key.call0()?
        };
        match unless_raised(py, backend.get().get(py, &key))? {
            // An exception that a view raised is raised again, the ordinary way.
            Some(value) if !value.is_none() && !value.is_instance_of::<PyBaseException>() => {
                Ok(value)
            }
            _ => ordinary.call1((args, kwargs, py.None(), key)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)?;
        visit.call(&self.make_key)?;
        self.key_attribute.traverse(&visit)?;
        visit.call(&self.ordinary)
    }
}
