//! Hits under keys that an application makes itself.

use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::place::{Guard, Way};

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
    /// The function's attributes, of which `make_cache_key` may be replaced, and what it is otherwise.
    attributes: Py<PyDict>,
    make_cache_key: Py<PyAny>,
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
            make_cache_key: attributes.as_any().get_item("make_cache_key")?.unbind(),
            attributes: attributes.clone().unbind(),
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
        let backend = match self.way.unheard_backend(py, extensions) {
            Ok(Some(backend)) if self.makes_keys(py)? => backend,
            Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
            // What failed here fails again the ordinary way, which knows what to do about it.
            Ok(_) | Err(_) => return ordinary.call1((args, kwargs)),
        };
        let make_key = self.make_key.bind(py);
        let key = if self.takes_arguments {
            make_key.call(args, Some(kwargs))?
        } else {
            make_key.call0()?
        };
        match backend.get().get(py, &key) {
            // An exception that a view raised is raised again, the ordinary way.
            Ok(Some(value)) if !value.is_none() && !value.is_instance_of::<PyBaseException>() => {
                Ok(value)
            }
            Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
            Ok(_) | Err(_) => ordinary.call1((args, kwargs, py.None(), key)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)?;
        visit.call(&self.make_key)?;
        visit.call(&self.attributes)?;
        visit.call(&self.make_cache_key)?;
        visit.call(&self.ordinary)
    }
}

impl KeyedHits {
    /// Whether keys are made here: the function's attribute is what it was.
    fn makes_keys(&self, py: Python<'_>) -> PyResult<bool> {
        let current = self
            .attributes
            .bind(py)
            .get_item(intern!(py, "make_cache_key"))?;
        Ok(current.is_some_and(|current| current.is(&self.make_cache_key)))
    }
}
