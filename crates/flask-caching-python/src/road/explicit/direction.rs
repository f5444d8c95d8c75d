//! Where the keys of explicit calls lead: to which backend, and how far without Python.

use pyo3::exceptions::PyLookupError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::proxies::NativeProxies;
use crate::memory::{MemoryBackend, note_answer};
use crate::mistakes::explained;
use crate::road::port::{GET, GET_MANY, LookedAt, Methods, Native};
use crate::road::quick::{backend_of, extensions_of};

/// Where keys lead.
pub(crate) struct Direction {
    /// Called without arguments: the active application context. Where there is none, it returns None
    /// or raises a `LookupError`.
    active_context: Py<PyAny>,
    /// Keys that begin with it are those of template fragments, stored elsewhere.
    prefix: String,
    looked_at: LookedAt,
}

/// A direction, and the backend of the active application.
pub(crate) type Directed<'a, 'py> = (&'a Direction, Bound<'py, PyAny>);

impl Direction {
    pub(crate) fn new(active_context: Py<PyAny>, prefix: String) -> Self {
        Self {
            active_context,
            prefix,
            looked_at: LookedAt::default(),
        }
    }

    /// The direction of `cache`, and the backend of the active application.
    #[inline]
    pub(crate) fn of<'a, 'py>(
        cache: &'a Bound<'py, NativeProxies>,
    ) -> PyResult<Option<Directed<'a, 'py>>> {
        let py = cache.py();
        let Some(direction) = cache.get().direction.get() else {
            return Ok(None);
        };
        let extensions = match direction.active_context.bind(py).call0() {
            Ok(context) if !context.is_none() => {
                extensions_of(&context.getattr(intern!(py, "app"))?)?
            }
            Ok(none) => none,
            Err(error) if error.is_instance_of::<PyLookupError>(py) => py.None().into_bound(py),
            Err(error) => return Err(error),
        };
        Ok(backend_of(cache, &extensions)?.map(|backend| (direction, backend)))
    }

    /// As [`of`](Self::of), where the first `count` of `args` are keys that stand for themselves.
    #[inline]
    pub(crate) fn of_keys<'a, 'py>(
        cache: &'a Bound<'py, NativeProxies>,
        args: &Bound<'py, PyTuple>,
        count: usize,
    ) -> PyResult<Option<Directed<'a, 'py>>> {
        let found = Self::of(cache)?;
        Ok(found.filter(|(direction, _)| {
            let mut keys = args.iter_borrowed().take(count);
            args.len() >= count && !keys.any(|key| direction.is_fragment(&key))
        }))
    }

    /// What `get` of `backend` returns, where that takes no detour through Python.
    #[inline]
    pub(crate) fn get<'py>(
        &self,
        backend: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(native) = Native::of(backend, None, &self.looked_at, GET)? else {
            return Ok(None);
        };
        let found = native.get(key)?;
        Ok(match native {
            // Nobody else has to be asked.
            Native::Memory(_) => {
                Some(found.unwrap_or_else(|| backend.py().None().into_bound(backend.py())))
            }
            Native::Copies(_) => found.inspect(|_| note_answer()),
            Native::Shared(_) => found,
        })
    }

    /// What `get_many` of `backend` returns; `None` where one of the keys is stored elsewhere.
    pub(crate) fn get_many<'py>(
        &self,
        backend: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if kwargs.is_none()
            && let Some(native) = self.native(backend, GET_MANY)?
        {
            let method = intern!(backend.py(), "get_many");
            let values = native
                .get_many_without(keys, self.prefix.as_bytes())
                .map_err(|error| explained(error, backend, method, keys, None))?;
            return Ok(values.map(Bound::into_any));
        }
        if keys.iter_borrowed().any(|key| self.is_fragment(&key)) {
            return Ok(None);
        }
        forward(backend, intern!(backend.py(), "get_many"), keys, kwargs).map(Some)
    }

    /// Whether `key` names what is stored under another key.
    #[inline]
    fn is_fragment(&self, key: &Bound<'_, PyAny>) -> bool {
        key.cast::<PyString>()
            .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(&self.prefix)))
    }

    /// The in-process store that `backend` is, where nobody has replaced `method`.
    #[inline]
    pub(crate) fn native<'a>(
        &self,
        backend: &'a Bound<'_, PyAny>,
        method: Methods,
    ) -> PyResult<Option<&'a MemoryBackend>> {
        match Native::of(backend, None, &self.looked_at, method)? {
            Some(Native::Memory(memory)) => Ok(Some(memory.get())),
            _ => Ok(None),
        }
    }
}

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
