//! The proxies of a `Cache`, as far as they hand on what they are given.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::place::{Guard, Originals, Way, backend_of};
use crate::memory::MemoryBackend;
use crate::missing::missing;

/// Where the proxies of a `Cache` go, for keys that stand for themselves.
///
/// `get` and `set` make the backend's call as well; where that is an in-process store whose method
/// nobody has replaced, without the detour through Python.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Proxied {
    cache: Py<PyAny>,
    /// Keys that begin with it are those of template fragments, stored elsewhere.
    prefix: String,
    get: Originals,
    set: Originals,
    /// For those who have asked for a key before, and go past the proxy.
    way: Way,
}

#[pymethods]
impl Proxied {
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        prefix: String,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
    ) -> PyResult<Self> {
        let py = cache.py();
        Ok(Self {
            way: Way::new(cache, guard, originals, &["get"])?,
            cache: cache.clone().unbind(),
            prefix,
            get: Originals::of_backend(py, &["get"])?,
            set: Originals::of_backend(py, &["set"])?,
        })
    }

    /// The backend that the proxies of the cache hand `args` to as they are, of which the first may be
    /// a key; None where they have to look closer, as where the key is given by name. `context`: the
    /// active application context, or None.
    fn backend<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if args.is_empty() || self.is_elsewhere(&args.get_item(0)?) {
            return Ok(None);
        }
        backend_of(self.cache.bind(context.py()), context)
    }

    /// The same where all of `keys` may be keys.
    fn backend_of_many<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if keys.iter_borrowed().any(|key| self.is_elsewhere(&key)) {
            return Ok(None);
        }
        backend_of(self.cache.bind(context.py()), context)
    }

    /// The value under `key`, wherever it is stored for; `MISSING` where there is none, or the proxy
    /// has to be asked.
    fn read<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        let found = match self.way.backend(py, context)? {
            Some(backend) => backend.get().get(py, key)?,
            None => None,
        };
        match found {
            Some(value) => Ok(value),
            None => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// What the backend's `get` returns; `MISSING` where the proxy has to look closer.
    fn get<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        let Some(backend) = self.backend(context, args)? else {
            return Ok(missing(py)?.into_bound(py));
        };
        if args.len() == 1
            && kwargs.is_empty()
            && let Some(native) = self.native(&backend, &self.get)?
        {
            let found = native.get(py, &args.get_item(0)?)?;
            return Ok(found.unwrap_or_else(|| py.None().into_bound(py)));
        }
        backend
            .getattr(intern!(py, "get"))?
            .call(args, Some(kwargs))
    }

    /// What the backend's `set` returns; `MISSING` where the proxy has to look closer.
    fn set<'py>(
        &self,
        context: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = context.py();
        let Some(backend) = self.backend(context, args)? else {
            return Ok(missing(py)?.into_bound(py));
        };
        let timeout = match kwargs.len() {
            1 => kwargs.get_item(intern!(py, "timeout"))?,
            _ => None,
        };
        if args.len() == 2
            && kwargs.len() == usize::from(timeout.is_some())
            && let Some(native) = self.native(&backend, &self.set)?
        {
            let timeout = timeout.filter(|timeout| !timeout.is_none());
            let done = native.set(&args.get_item(0)?, &args.get_item(1)?, timeout.as_ref())?;
            return Ok(done.into_pyobject(py)?.to_owned().into_any());
        }
        backend
            .getattr(intern!(py, "set"))?
            .call(args, Some(kwargs))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        self.way.traverse(&visit)
    }
}

impl Proxied {
    /// The in-process store behind `backend`, where nobody has replaced `method`.
    #[inline]
    fn native<'a>(
        &self,
        backend: &'a Bound<'_, PyAny>,
        method: &Originals,
    ) -> PyResult<Option<&'a MemoryBackend>> {
        let Ok(native) = backend.cast::<MemoryBackend>() else {
            return Ok(None);
        };
        let is_original = !native.get().is_patched()
            && method.are_untouched(self.cache.bind(backend.py()), native)?;
        Ok(is_original.then(|| native.get()))
    }

    /// Whether `key` names what is stored under another key.
    #[inline]
    fn is_elsewhere(&self, key: &Bound<'_, PyAny>) -> bool {
        key.cast::<PyString>()
            .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(&self.prefix)))
    }
}
