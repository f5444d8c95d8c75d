//! Hits of a cached view, or of a function cached under a key of its own.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use flask_caching_engine::backend::memory::Handle;
use foldhash::fast::FixedState;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use super::arguments::same_text;
use super::place::{Guard, KeyAttribute, Way};
use super::table::Table;
use crate::error::unless_raised;
use crate::memory::MemoryBackend;
use crate::missing::missing;

/// The proxy that a hit of a view goes past.
const PROXIES: [&str; 1] = ["get"];

/// A request as the table keeps it: its path, and its query string where that matters.
struct Known {
    path: Option<Py<PyString>>,
    query: Option<Py<PyBytes>>,
}

/// A request that is being looked up.
struct Probe<'py> {
    path: Option<Bound<'py, PyString>>,
    query: Option<Bound<'py, PyBytes>>,
    hash: u64,
}

/// What of a request makes the key.
#[derive(Clone, Copy)]
struct Parts {
    path: bool,
    query: bool,
}

/// A request as the decorated function hands it over; None where there is none, or it does not matter.
struct Request<'a, 'py> {
    method: &'a Bound<'py, PyAny>,
    path: &'a Bound<'py, PyAny>,
    query: &'a Bound<'py, PyAny>,
}

/// The table of one cached view; see the [module](super).
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct ViewHits {
    way: Way,
    parts: Parts,
    key_attribute: KeyAttribute,
    /// Answers a call that is not in the table.
    ordinary: Py<PyAny>,
    table: Table<Known, Handle>,
    /// The epoch of the table's entries.
    epoch: AtomicU64,
}

#[pymethods]
impl ViewHits {
    /// The table of a view of `cache`.
    ///
    /// `originals`: the class whose proxies nobody has replaced. `path`, `query`: whether the key is
    /// made of the request's path, of its query string. `attributes`: the view's attributes, whose
    /// `make_cache_key` nobody has replaced. `ordinary(args, kwargs)`: answers a call that is not in
    /// the table.
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        path: bool,
        query: bool,
        attributes: &Bound<'_, PyDict>,
        ordinary: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            key_attribute: KeyAttribute::new(attributes)?,
            way: Way::new(cache, guard, originals, &PROXIES)?,
            parts: Parts { path, query },
            ordinary,
            table: Table::new(),
            epoch: AtomicU64::new(0),
        })
    }

    /// Answers a call: from the table, or the ordinary way. `extensions`: those of the active
    /// application, or None. `method`, `path`, `query`: of the active request, or None.
    fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        path: &Bound<'py, PyAny>,
        query: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let request = Request {
            method,
            path,
            query,
        };
        match unless_raised(py, self.find(extensions, &request))? {
            Some(value) => Ok(value),
            None => self.ordinary.bind(py).call1((args, kwargs)),
        }
    }

    /// The answer to the active request, `MISSING` where it is not in the table.
    fn get<'py>(
        &self,
        extensions: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        path: &Bound<'py, PyAny>,
        query: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = extensions.py();
        let request = Request {
            method,
            path,
            query,
        };
        match unless_raised(py, self.find(extensions, &request))? {
            Some(value) => Ok(value),
            None => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// Remembers that the active request was answered from `backend` under `key`.
    fn remember(
        &self,
        method: &Bound<'_, PyAny>,
        path: &Bound<'_, PyAny>,
        query: &Bound<'_, PyAny>,
        backend: &Bound<'_, MemoryBackend>,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let now = self.way.epoch();
        if self.epoch.swap(now, Ordering::Relaxed) != now {
            self.table.clear();
        }
        let request = Request {
            method,
            path,
            query,
        };
        let Some(probe) = self.probe(&request)? else {
            return Ok(());
        };
        let native = backend.get();
        if let Some((value, false)) = native.handle(key)? {
            let known = Known {
                path: probe.path.clone().map(Bound::unbind),
                query: probe.query.clone().map(Bound::unbind),
            };
            self.table
                .insert(probe.hash, native.serial(), known, value, |known| {
                    probe.is(known)
                });
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)?;
        self.key_attribute.traverse(&visit)?;
        visit.call(&self.ordinary)
    }

    fn __clear__(&self) {
        self.table.clear();
    }
}

impl ViewHits {
    #[inline]
    fn find<'py>(
        &self,
        extensions: &Bound<'py, PyAny>,
        request: &Request<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = extensions.py();
        let Some(backend) = self.way.backend(py, extensions)? else {
            return Ok(None);
        };
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch()
            || !self.key_attribute.is_original(py)?
        {
            return Ok(None);
        }
        let Some(probe) = self.probe(request)? else {
            return Ok(None);
        };
        let native = backend.get();
        let handle = self.table.find(
            probe.hash,
            native.serial(),
            |known| probe.is(known),
            |handle| *handle,
        );
        let value = match handle {
            Some(handle) => native.hit(py, &[], handle)?,
            None => None,
        };
        // An exception that the view raised is raised again, the ordinary way.
        Ok(value.filter(|value| !value.is_instance_of::<PyBaseException>()))
    }

    /// What the key of a request is made of; `None` where its method or kind forbids a short cut.
    #[inline]
    fn probe<'py>(&self, request: &Request<'_, 'py>) -> PyResult<Option<Probe<'py>>> {
        let mut hasher = FixedState::default().build_hasher();
        let (mut path, mut query) = (None, None);
        if self.parts.path || self.parts.query {
            match request.method.cast_exact::<PyString>() {
                Ok(method) if method == "GET" || method == "HEAD" => {}
                _ => return Ok(None),
            }
        }
        if self.parts.path {
            let Ok(text) = request.path.cast_exact::<PyString>() else {
                return Ok(None);
            };
            text.hash()?.hash(&mut hasher);
            path = Some(text.clone());
        }
        if self.parts.query {
            let Ok(bytes) = request.query.cast_exact::<PyBytes>() else {
                return Ok(None);
            };
            bytes.hash()?.hash(&mut hasher);
            query = Some(bytes.clone());
        }
        Ok(Some(Probe {
            path,
            query,
            hash: hasher.finish(),
        }))
    }
}

impl Probe<'_> {
    #[inline]
    fn is(&self, known: &Known) -> bool {
        let same_path = match (&self.path, &known.path) {
            (Some(one), Some(other)) => same_text(one, other),
            (None, None) => true,
            _ => false,
        };
        let same_query = match (&self.query, &known.query) {
            (Some(one), Some(other)) => one.as_bytes() == other.as_bytes(one.py()),
            (None, None) => true,
            _ => false,
        };
        same_path && same_query
    }
}
