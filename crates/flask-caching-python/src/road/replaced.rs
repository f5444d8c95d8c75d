//! Which methods of a cache and its backend an application has replaced: the one place that decides.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::class_version;
use crate::memory::MemoryBackend;

/// The public methods that calls are answered with, and what a backend of ours has in their place:
/// reads that tell a None from a miss, and writes that say why a value cannot be stored.
const METHODS: [(&str, &str); 6] = [
    ("get", "_read"),
    ("get_many", "_read_many"),
    ("set", "_encode"),
    ("set_many", "_extend"),
    ("add", "add"),
    ("has", "_read"),
];

/// A set of methods, a bit each, in the order of `METHODS`.
pub(super) type Methods = u32;

pub(super) const GET: Methods = 1;
pub(super) const GET_MANY: Methods = 2;
const SET: Methods = 4;
const SET_MANY: Methods = 8;
const ADD: Methods = 16;

/// What a hit is read with: its value, and its versions.
pub(super) const READS: Methods = GET | GET_MANY;
/// What writes a value and its versions.
pub(super) const WRITES: Methods = SET | SET_MANY | ADD;

/// The classes of a cache and a backend that were looked at last, by their version tags, which no
/// other class and no other state of these has; and what was found.
pub(super) struct LookedAt {
    tags: AtomicU64,
    replaced: AtomicU64,
}

impl LookedAt {
    pub(super) fn new() -> Self {
        Self {
            tags: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
        }
    }

    /// The methods that the classes of `cache` and `backend` have replaced.
    #[inline]
    pub(super) fn by_classes(
        &self,
        cache: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Methods> {
        let (cache, backend) = (cache.get_type(), backend.get_type());
        let tags = tags(&cache, &backend);
        // What was found names half of the tags that it belongs to, in case of a race.
        let found = self.replaced.load(Ordering::Relaxed);
        if let Some(tags) = tags
            && self.tags.load(Ordering::Relaxed) == tags
            && found >> 32 == tags & u64::from(u32::MAX)
        {
            return Ok(u32::try_from(found & u64::from(u32::MAX)).unwrap_or(Methods::MAX));
        }
        self.look(&cache, &backend)
    }

    #[cold]
    fn look(&self, cache: &Bound<'_, PyType>, backend: &Bound<'_, PyType>) -> PyResult<Methods> {
        // The first look gives the classes their tags where they have none.
        let _ = by_classes(cache, backend)?;
        let before = tags(cache, backend);
        let replaced = by_classes(cache, backend)?;
        if let Some(tags) = before.filter(|before| Some(*before) == self::tags(cache, backend)) {
            self.replaced
                .store(tags << 32 | u64::from(replaced), Ordering::Relaxed);
            self.tags.store(tags, Ordering::Relaxed);
        }
        Ok(replaced)
    }

    /// The methods that are replaced for `cache` and `backend`: by a subclass, by patching a class, on
    /// the instance, or because the backend is none of ours.
    pub(super) fn replaced(
        &self,
        cache: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Methods> {
        Ok(self.by_classes(cache, backend)? | on_instance(cache)? | on_instance(backend)?)
    }
}

/// Whether the class of a backend is one of ours, or one that has replaced nothing that calls are
/// answered with.
#[pyfunction]
pub(crate) fn replaced_methods<'py>(
    cache: &Bound<'py, PyAny>,
    backend: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    let replaced = by_classes(&cache.get_type(), &backend.get_type())?
        | on_instance(cache)?
        | on_instance(backend)?;
    let names = METHODS.iter().enumerate();
    let names = names.filter(|(at, _)| replaced & (1 << at) != 0);
    PyTuple::new(
        cache.py(),
        names.map(|(_, (name, _))| *name).collect::<Vec<_>>(),
    )
}

fn tags(cache: &Bound<'_, PyType>, backend: &Bound<'_, PyType>) -> Option<u64> {
    let (cache, backend) = (class_version::of(cache)?, class_version::of(backend)?);
    Some(u64::from(cache) << 32 | u64::from(backend))
}

fn on_instance(object: &Bound<'_, PyAny>) -> PyResult<Methods> {
    let Ok(attributes) = object.getattr(intern!(object.py(), "__dict__")) else {
        return Ok(0);
    };
    let Ok(attributes) = attributes.cast_into::<PyDict>() else {
        return Ok(Methods::MAX);
    };
    let mut replaced = 0;
    for (at, (name, _)) in METHODS.iter().enumerate() {
        if attributes.contains(PyString::intern(object.py(), name))? {
            replaced |= 1 << at;
        }
    }
    Ok(replaced)
}

fn by_classes(cache: &Bound<'_, PyType>, backend: &Bound<'_, PyType>) -> PyResult<Methods> {
    let py = cache.py();
    let mut replaced = 0;
    for (at, (public, internal)) in METHODS.iter().enumerate() {
        let public = PyString::intern(py, public);
        let is_ours = is_ours(&cache.getattr(&public)?)?
            && backend.hasattr(PyString::intern(py, internal))?
            && backend.getattr(&public).is_ok_and(|method| is_ours(&method).unwrap_or(false));
        if !is_ours {
            replaced |= 1 << at;
        }
    }
    Ok(replaced)
}

/// Whether a method is one of this package. A function says so by the globals it was made with, which
/// no decorator copies, as it does the name of the module.
fn is_ours(method: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = method.py();
    let module = if let Ok(globals) = method.getattr(intern!(py, "__globals__")) {
        globals.get_item(intern!(py, "__name__"))?
    } else if let Ok(class) = method.getattr(intern!(py, "__objclass__")) {
        class.getattr(intern!(py, "__module__"))?
    } else {
        return Ok(false);
    };
    Ok(module
        .cast::<PyString>()
        .is_ok_and(|name| name.to_str().is_ok_and(|name| name.starts_with("flask_caching."))))
}
