//! The proxies of a `Cache`, as far as they hand on what they are given.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::counts::{ExplicitCounts, ExplicitEvent, found_and_missing};
use super::direction::{Direction, forward};
use crate::flights;
use crate::memory::MemoryBackend;
use crate::road::port::SET;

/// The names of a proxy: of the backend's method, and of what takes its place where that is not enough.
macro_rules! proxy {
    ($slf:ident, $name:literal) => {
        (
            intern!($slf.py(), $name),
            intern!($slf.py(), concat!("_", $name, "_fallback")),
        )
    };
}

/// The base class of `flask_caching.Cache`: the proxies that are asked most.
///
/// For keys that stand for themselves they make the backend's call; `get`, `get_many` and `set` do
/// where that is an in-process store whose method nobody has replaced, without a detour through Python.
/// Whatever else is for `_get_fallback`, `_set_fallback`, ..., which take the same arguments.
#[pyclass(frozen, subclass, module = "flask_caching._engine")]
pub(crate) struct NativeProxies {
    pub(crate) direction: OnceLock<Direction>,
    counts: ExplicitCounts,
    /// Whether deletions take more than a backend's method.
    deletes_by_fallback: AtomicBool,
}

#[pymethods]
impl NativeProxies {
    /// The arguments are those of a subclass's `__init__`, which calls `_direct`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            direction: OnceLock::new(),
            counts: ExplicitCounts::default(),
            deletes_by_fallback: AtomicBool::new(false),
        }
    }

    /// Lets `listener(hits, misses, seconds)` hear of each `get`, `get_many` and `get_dict`. The first
    /// call counts.
    fn _listen(&self, listener: Py<PyAny>) {
        self.counts.listen(listener);
    }

    /// Lets keys that do not begin with `prefix` lead to the backend of the active application, whose
    /// context `active_context()` returns. Until then, all are elsewhere.
    fn _direct(&self, active_context: Py<PyAny>, prefix: String) {
        let direction = Direction::new(active_context, prefix);
        self.direction.get_or_init(|| direction);
    }

    /// Have all deletions made by `_delete_fallback` and `_delete_many_fallback` from now on.
    fn _delete_by_fallback(&self) {
        self.deletes_by_fallback.store(true, Ordering::Relaxed);
    }

    /// How often was asked: keys found, not found, written, deleted; calls of `clear`; keys of which a copy
    /// nearby was found.
    fn _asked(&self) -> [u64; 6] {
        self.counts.counts()
    }

    /// Count what is asked of a method that is not native: keys written and deleted, calls of `clear`.
    #[pyo3(signature = (writes = 0, deletions = 0, clears = 0))]
    fn _note_asked(&self, writes: usize, deletions: usize, clears: usize) {
        self.counts.count(ExplicitEvent::Writes, writes);
        self.counts.count(ExplicitEvent::Deletions, deletions);
        self.counts.count(ExplicitEvent::Clears, clears);
    }

    /// Counts begin anew, in a child of `fork()`.
    fn _reset_asked(&self) {
        self.counts.reset();
    }

    /// The backend that a call with all of `keys` is handed on to as it is; None where the proxy has to
    /// look closer.
    fn _backend_for_all<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(Direction::of_keys(slf, keys, keys.len())?.map(|(_, backend)| backend))
    }

    /// What tells the computations under way on `backend` from those on others: that, or the cache itself,
    /// where that may make what it chooses anew for each call.
    #[pyo3(name = "_owner_of_flights")]
    pub(crate) fn owner_of_flights<'py>(
        slf: &Bound<'py, Self>,
        backend: &Bound<'py, PyAny>,
    ) -> Bound<'py, PyAny> {
        let is_chosen = slf.get().direction.get().is_none();
        if is_chosen && !backend.is_instance_of::<MemoryBackend>() {
            slf.clone().into_any()
        } else {
            backend.clone()
        }
    }

    /// The value under a key, as the caller's own; None where there is none.
    ///
    /// - `key`: a str. A cache on another store than this process's memory takes nothing else.
    ///
    /// Raises `CacheBackendError` where a server fails, `CacheKeyError` where it has no such key.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, key)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let start = slf.get().counts.start();
        let found = Self::find(slf, args, kwargs)?;
        let counts = if found.is_none() { (0, 1) } else { (1, 0) };
        slf.get().counts.note_found(slf.py(), start, counts)?;
        Ok(found)
    }

    /// As `get`, and counts as no question of the application's.
    #[pyo3(signature = (*args))]
    fn _look_at<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::find(slf, args, None)
    }

    /// The values under keys, in their order; None for each that is missing.
    ///
    /// - `keys`: each a str.
    ///
    /// Raises what `get` does.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, *keys)")]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let start = slf.get().counts.start();
        let found = match Direction::of(slf)? {
            Some((direction, backend)) => direction.get_many(&backend, args, kwargs)?,
            None => None,
        };
        let values = match found {
            Some(values) => values,
            None => slf.call_method(intern!(py, "_get_many_fallback"), args, kwargs)?,
        };
        slf.get()
            .counts
            .note_found(py, start, found_and_missing(&values))?;
        Ok(values)
    }

    /// Store a value, in the place of an older one.
    ///
    /// - `key`: a str.
    /// - `value`: what can be pickled, or what `CACHE_SERIALIZER` takes.
    /// - `timeout`: seconds or a `timedelta`; 0: for ever; None: `CACHE_DEFAULT_TIMEOUT`.
    /// - `tags`: names; `delete_tags` with one of them makes the entry a miss. The built-in backends only.
    ///
    /// Returns whether it is stored. Raises what `get` does.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, key, value, timeout=None, tags=None)")]
    fn set<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        slf.get().counts.count(ExplicitEvent::Writes, 1);
        let Some((direction, backend)) = Direction::of_keys(slf, args, 1)? else {
            return slf.call_method(intern!(py, "_set_fallback"), args, kwargs);
        };
        let named = match kwargs {
            Some(kwargs) if kwargs.len() == 1 => kwargs.get_item(intern!(py, "timeout"))?,
            _ => None,
        };
        if args.len() == 2
            && kwargs.is_some() == named.is_some()
            && let Some(native) = direction.native(&backend, SET)?
        {
            let timeout = named.filter(|timeout| !timeout.is_none());
            let done = native.set(
                &*args.get_borrowed_item(0)?,
                &*args.get_borrowed_item(1)?,
                timeout.as_ref(),
                None,
                None,
            )?;
            return Ok(done.into_pyobject(py)?.to_owned().into_any());
        }
        forward(&backend, intern!(py, "set"), args, kwargs)
    }

    /// Whether a key has a value.
    ///
    /// - `key`: a str.
    ///
    /// Raises what `get` does.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, key)")]
    fn has<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::hand_on(slf, proxy!(slf, "has"), args, kwargs, 1, false)
    }

    /// Store a value unless there is one; otherwise as `set`.
    ///
    /// Returns whether it is stored now, and was not before.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, key, value, timeout=None, tags=None)")]
    fn add<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().counts.count(ExplicitEvent::Writes, 1);
        Self::hand_on(slf, proxy!(slf, "add"), args, kwargs, 1, false)
    }

    /// Delete a key. A computation that began before does not store its result any more.
    ///
    /// - `key`: a str, or what `make_template_fragment_key` has returned.
    ///
    /// Returns whether it is deleted; see the backend for what that is where there was none. Raises
    /// what `get` does.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, key)")]
    fn delete<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().counts.count(ExplicitEvent::Deletions, 1);
        Self::hand_on(slf, proxy!(slf, "delete"), args, kwargs, 1, true)
    }

    /// Delete keys; otherwise as `delete`.
    ///
    /// Returns the keys that are gone now.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, *keys)")]
    fn delete_many<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let count = args.len();
        slf.get().counts.count(ExplicitEvent::Deletions, count);
        Self::hand_on(slf, proxy!(slf, "delete_many"), args, kwargs, count, true)
    }

    /// The values under keys, by key; None for each that is missing.
    ///
    /// - `keys`: each a str.
    ///
    /// Raises what `get` does.
    #[pyo3(signature = (*args, **kwargs), text_signature = "($self, *keys)")]
    fn get_dict<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let start = slf.get().counts.start();
        let count = args.len();
        let values = Self::hand_on(slf, proxy!(slf, "get_dict"), args, kwargs, count, false)?;
        slf.get()
            .counts
            .note_found(py, start, found_and_missing(&values))?;
        Ok(values)
    }
}

impl NativeProxies {
    /// What a proxy returns whose first `count` arguments are keys, and which is handed on: to the backend, or
    /// else to the fallback. One that `deletes` supersedes the computations under way; where that takes more, it
    /// is for the fallback.
    fn hand_on<'py>(
        slf: &Bound<'py, Self>,
        (method, fallback): (&Bound<'py, PyString>, &Bound<'py, PyString>),
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        count: usize,
        deletes: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let is_for_fallback = deletes && slf.get().deletes_by_fallback.load(Ordering::Relaxed);
        match Direction::of_keys(slf, args, count)? {
            Some((_, backend)) if !is_for_fallback => {
                if deletes {
                    let keys = args.iter_borrowed().take(count);
                    flights::supersede(slf.py(), flights::scope(&backend), keys)?;
                }
                forward(&backend, method, args, kwargs)
            }
            _ => slf.call_method(fallback, args, kwargs),
        }
    }

    /// What `get` returns.
    #[inline]
    fn find<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some((direction, backend)) = Direction::of_keys(slf, args, 1)? else {
            return slf.call_method(intern!(py, "_get_fallback"), args, kwargs);
        };
        if args.len() == 1
            && kwargs.is_none()
            && let Some(found) = direction.get(&backend, &*args.get_borrowed_item(0)?)?
        {
            return Ok(found);
        }
        forward(&backend, intern!(py, "get"), args, kwargs)
    }
}
