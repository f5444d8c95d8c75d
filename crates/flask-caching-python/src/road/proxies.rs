//! The proxies of a `Cache`, as far as they hand on what they are given.

use std::sync::OnceLock;

use pyo3::exceptions::PyLookupError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyString, PyTuple};

use super::place::{Originals, backend_of, extensions_of};
use crate::memory::MemoryBackend;

/// The base class of `flask_caching.Cache`: the proxies that are asked most.
///
/// For keys that stand for themselves they make the backend's call; `get`, `get_many` and `set` do
/// where that is an in-process store whose method nobody has replaced, without a detour through Python.
/// Whatever else is for `_get_elsewhere`, `_set_elsewhere`, ..., which take the same arguments.
#[pyclass(frozen, subclass, module = "flask_caching._engine")]
pub(crate) struct NativeProxies {
    direction: OnceLock<Direction>,
}

/// Where keys lead.
struct Direction {
    /// Called without arguments: the active application context. Where there is none, it returns None
    /// or raises a `LookupError`.
    active_context: Py<PyAny>,
    /// Keys that begin with it are those of template fragments, stored elsewhere.
    prefix: String,
    /// The computations under way, which a deletion has to supersede.
    under_way: Py<PySet>,
    get: Originals,
    get_many: Originals,
    set: Originals,
}

#[pymethods]
impl NativeProxies {
    /// The arguments are those of a subclass's `__init__`, which calls `_direct`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            direction: OnceLock::new(),
        }
    }

    /// Lets keys that do not begin with `prefix` lead to the backend of the active application, whose
    /// context `active_context()` returns; to delete, while no computation is `under_way`. Until then,
    /// all are elsewhere.
    fn _direct(
        &self,
        py: Python<'_>,
        active_context: Py<PyAny>,
        prefix: String,
        under_way: Py<PySet>,
    ) -> PyResult<()> {
        let direction = Direction {
            active_context,
            prefix,
            under_way,
            get: Originals::of_backend(py, &["get"])?,
            get_many: Originals::of_backend(py, &["get_many"])?,
            set: Originals::of_backend(py, &["set"])?,
        };
        self.direction.get_or_init(|| direction);
        Ok(())
    }

    /// The backend that a call with all of `keys` is handed on to as it is; None where the proxy has to
    /// look closer.
    fn _backend_for_all<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(Direction::of_keys(slf, keys)?.map(|(_, backend)| backend))
    }

    /// The value under a key, None where there is none; see the backend's `get(key)`.
    #[pyo3(signature = (*args, **kwargs))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some((direction, backend)) = Direction::of_key(slf, args)? else {
            return slf.call_method(intern!(py, "_get_elsewhere"), args, kwargs);
        };
        if args.len() == 1
            && kwargs.is_none()
            && let Some(native) = native(slf, &backend, &direction.get)?
        {
            let found = native.get(py, &*args.get_borrowed_item(0)?)?;
            return Ok(found.unwrap_or_else(|| py.None().into_bound(py)));
        }
        backend.call_method(intern!(py, "get"), args, kwargs)
    }

    /// The values under keys, in their order; see the backend's `get_many(*keys)`.
    #[pyo3(signature = (*args, **kwargs))]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let found = match Direction::of(slf)? {
            Some((direction, backend)) => direction.get_many(slf, &backend, args, kwargs)?,
            None => None,
        };
        match found {
            Some(values) => Ok(values),
            None => slf.call_method(intern!(py, "_get_many_elsewhere"), args, kwargs),
        }
    }

    /// Store a value; see the backend's `set(key, value, timeout=None)`. Returns whether it is stored.
    #[pyo3(signature = (*args, **kwargs))]
    fn set<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some((direction, backend)) = Direction::of_key(slf, args)? else {
            return slf.call_method(intern!(py, "_set_elsewhere"), args, kwargs);
        };
        let named = match kwargs {
            Some(kwargs) if kwargs.len() == 1 => kwargs.get_item(intern!(py, "timeout"))?,
            _ => None,
        };
        if args.len() == 2
            && kwargs.is_some() == named.is_some()
            && let Some(native) = native(slf, &backend, &direction.set)?
        {
            let timeout = named.filter(|timeout| !timeout.is_none());
            let done = native.set(
                &*args.get_borrowed_item(0)?,
                &*args.get_borrowed_item(1)?,
                timeout.as_ref(),
            )?;
            return Ok(done.into_pyobject(py)?.to_owned().into_any());
        }
        backend.call_method(intern!(py, "set"), args, kwargs)
    }

    /// Whether a key has a value; see the backend's `has(key)`.
    #[pyo3(signature = (*args, **kwargs))]
    fn has<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match Direction::of_key(slf, args)? {
            Some((_, backend)) => backend.call_method(intern!(py, "has"), args, kwargs),
            None => slf.call_method(intern!(py, "_has_elsewhere"), args, kwargs),
        }
    }

    /// Store a value unless there is one; see the backend's `add(key, value, timeout=None)`. Returns
    /// whether it is stored now, and was not before.
    #[pyo3(signature = (*args, **kwargs))]
    fn add<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match Direction::of_key(slf, args)? {
            Some((_, backend)) => backend.call_method(intern!(py, "add"), args, kwargs),
            None => slf.call_method(intern!(py, "_add_elsewhere"), args, kwargs),
        }
    }

    /// Delete a key; see the backend's `delete(key)`. A computation that began before does not store
    /// its result any more.
    #[pyo3(signature = (*args, **kwargs))]
    fn delete<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match Direction::of_key(slf, args)? {
            Some((direction, backend)) if direction.is_idle(py) => {
                backend.call_method(intern!(py, "delete"), args, kwargs)
            }
            _ => slf.call_method(intern!(py, "_delete_elsewhere"), args, kwargs),
        }
    }

    /// Delete keys; see the backend's `delete_many(*keys)`. Returns the keys that are gone now.
    #[pyo3(signature = (*args, **kwargs))]
    fn delete_many<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match Direction::of_keys(slf, args)? {
            Some((direction, backend)) if direction.is_idle(py) => {
                backend.call_method(intern!(py, "delete_many"), args, kwargs)
            }
            _ => slf.call_method(intern!(py, "_delete_many_elsewhere"), args, kwargs),
        }
    }

    /// The values under keys, by key; see the backend's `get_dict(*keys)`.
    #[pyo3(signature = (*args, **kwargs))]
    fn get_dict<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match Direction::of_keys(slf, args)? {
            Some((_, backend)) => backend.call_method(intern!(py, "get_dict"), args, kwargs),
            None => slf.call_method(intern!(py, "_get_dict_elsewhere"), args, kwargs),
        }
    }
}

impl Direction {
    /// The direction of `cache`, and the backend of the active application.
    #[inline]
    fn of<'a, 'py>(
        cache: &'a Bound<'py, NativeProxies>,
    ) -> PyResult<Option<(&'a Self, Bound<'py, PyAny>)>> {
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

    /// The same, where the first of `args` may be a key that stands for itself.
    #[inline]
    fn of_key<'a, 'py>(
        cache: &'a Bound<'py, NativeProxies>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<(&'a Self, Bound<'py, PyAny>)>> {
        let Some(found) = Self::of(cache)? else {
            return Ok(None);
        };
        let is_here = !args.is_empty() && !found.0.is_elsewhere(&*args.get_borrowed_item(0)?);
        Ok(is_here.then_some(found))
    }

    /// The same, where all of `keys` may be such keys.
    fn of_keys<'a, 'py>(
        cache: &'a Bound<'py, NativeProxies>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<(&'a Self, Bound<'py, PyAny>)>> {
        let found = Self::of(cache)?;
        Ok(found
            .filter(|(direction, _)| !keys.iter_borrowed().any(|key| direction.is_elsewhere(&key))))
    }

    /// Whether no computation is under way that a deletion would have to supersede.
    fn is_idle(&self, py: Python<'_>) -> bool {
        self.under_way.bind(py).is_empty()
    }

    /// What `get_many` of `backend` returns; `None` where one of the keys is stored elsewhere.
    fn get_many<'py>(
        &self,
        cache: &Bound<'py, NativeProxies>,
        backend: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if kwargs.is_none()
            && let Some(native) = native(cache, backend, &self.get_many)?
        {
            let values = native.get_many_without(keys, self.prefix.as_bytes())?;
            return Ok(values.map(Bound::into_any));
        }
        if keys.iter_borrowed().any(|key| self.is_elsewhere(&key)) {
            return Ok(None);
        }
        backend
            .call_method(intern!(cache.py(), "get_many"), keys, kwargs)
            .map(Some)
    }

    /// Whether `key` names what is stored under another key.
    #[inline]
    fn is_elsewhere(&self, key: &Bound<'_, PyAny>) -> bool {
        key.cast::<PyString>()
            .is_ok_and(|key| key.to_str().is_ok_and(|key| key.starts_with(&self.prefix)))
    }
}

/// The in-process store behind `backend`, where nobody has replaced `method`.
#[inline]
fn native<'a>(
    cache: &Bound<'_, NativeProxies>,
    backend: &'a Bound<'_, PyAny>,
    method: &Originals,
) -> PyResult<Option<&'a MemoryBackend>> {
    let Ok(native) = backend.cast::<MemoryBackend>() else {
        return Ok(None);
    };
    let is_original = !native.get().is_patched() && method.are_untouched(cache, native)?;
    Ok(is_original.then(|| native.get()))
}
