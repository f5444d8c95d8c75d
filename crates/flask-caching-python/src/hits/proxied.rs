//! The proxies of a `Cache`, as far as they hand on what they are given.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::place::backend_of;
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
    native_get: Py<PyAny>,
    native_set: Py<PyAny>,
}

#[pymethods]
impl Proxied {
    #[new]
    fn new(py: Python<'_>, cache: Py<PyAny>, prefix: String) -> PyResult<Self> {
        let native = py.get_type::<MemoryBackend>();
        Ok(Self {
            cache,
            prefix,
            native_get: native.getattr("get")?.unbind(),
            native_set: native.getattr("set")?.unbind(),
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
            && let Some(native) = native(&backend, intern!(py, "get"), &self.native_get)?
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
            && let Some(native) = native(&backend, intern!(py, "set"), &self.native_set)?
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
        visit.call(&self.cache)
    }
}

impl Proxied {
    /// Whether `key` names what is stored under another key.
    #[inline]
    fn is_elsewhere(&self, key: &Bound<'_, PyAny>) -> bool {
        key.cast::<PyString>()
            .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(&self.prefix)))
    }
}

/// The in-process store behind `backend`, where its method `name` is still `original`.
#[inline]
fn native<'a>(
    backend: &'a Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    original: &Py<PyAny>,
) -> PyResult<Option<&'a MemoryBackend>> {
    let Ok(native) = backend.cast::<MemoryBackend>() else {
        return Ok(None);
    };
    let is_original = !native.get().is_patched() && backend.get_type().getattr(name)?.is(original);
    Ok(is_original.then(|| native.get()))
}
