//! Which methods of a cache and its backend an application has replaced: the one place that decides.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::class_version;

/// The public methods that calls are answered with. A backend of ours has others in their place: reads
/// that tell a None from a miss, writes that say why a value cannot be stored.
pub(crate) const METHODS: [&str; 6] = ["get", "get_many", "set", "set_many", "add", "has"];

/// What only backends of ours have.
const OURS: &str = "_read_many";

/// A set of methods, a bit each, in the order of `METHODS`.
pub(super) type Methods = u32;

pub(super) const GET: Methods = 1;
pub(super) const GET_MANY: Methods = 2;
pub(super) const SET: Methods = 4;
const SET_MANY: Methods = 8;
const ADD: Methods = 16;

/// What writes versions.
pub(super) const VERSION_WRITES: Methods = SET_MANY | ADD;
/// What writes a value and its versions.
pub(super) const WRITES: Methods = SET | VERSION_WRITES;

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

    /// The methods that the classes of `cache` (`None`: of whatever cache) and `backend` have replaced.
    #[inline]
    pub(super) fn by_classes(
        &self,
        cache: Option<&Bound<'_, PyAny>>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Methods> {
        // What was found names half of the tags that it belongs to, in case of a race.
        let found = self.replaced.load(Ordering::Relaxed);
        if let Some(tags) = tags(cache, backend)
            && self.tags.load(Ordering::Relaxed) == tags
            && found >> 32 == tags & u64::from(u32::MAX)
        {
            return Ok(low_half(found));
        }
        self.look(cache, backend)
    }

    #[cold]
    fn look(
        &self,
        cache: Option<&Bound<'_, PyAny>>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Methods> {
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
        Ok(self.by_classes(Some(cache), backend)? | on_instance(cache)? | on_instance(backend)?)
    }
}

/// The names of the methods that are replaced for `cache` and `backend`: by a subclass, by patching a
/// class, on the instance, or because the backend is none of ours.
#[pyfunction]
pub(crate) fn replaced_methods(
    cache: &Bound<'_, PyAny>,
    backend: &Bound<'_, PyAny>,
) -> PyResult<Vec<&'static str>> {
    let replaced = LookedAt::new().replaced(cache, backend)?;
    let names = METHODS.iter().enumerate();
    Ok(names
        .filter(|(at, _)| replaced & (1 << at) != 0)
        .map(|(_, name)| *name)
        .collect())
}

/// What was found, without the tags that it belongs to.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
fn low_half(found: u64) -> Methods {
    found as Methods
}

#[inline]
fn tags(cache: Option<&Bound<'_, PyAny>>, backend: &Bound<'_, PyAny>) -> Option<u64> {
    let cache = cache.map_or(Some(0), class_version::of)?;
    Some(u64::from(cache) << 32 | u64::from(class_version::of(backend)?))
}

fn on_instance(object: &Bound<'_, PyAny>) -> PyResult<Methods> {
    let Ok(attributes) = object.getattr(intern!(object.py(), "__dict__")) else {
        return Ok(0);
    };
    let Ok(attributes) = attributes.cast_into::<PyDict>() else {
        return Ok(Methods::MAX);
    };
    let mut replaced = 0;
    for (at, name) in METHODS.iter().enumerate() {
        if attributes.contains(PyString::intern(object.py(), name))? {
            replaced |= 1 << at;
        }
    }
    Ok(replaced)
}

fn by_classes(cache: Option<&Bound<'_, PyAny>>, backend: &Bound<'_, PyAny>) -> PyResult<Methods> {
    let py = backend.py();
    let cache = cache.map(Bound::get_type);
    let backend = backend.get_type();
    let mut replaced = 0;
    if !backend.hasattr(intern!(py, OURS))? {
        return Ok((1 << METHODS.len()) - 1);
    }
    for (at, name) in METHODS.iter().enumerate() {
        let name = PyString::intern(py, name);
        let proxy = cache
            .as_ref()
            .map(|cache| cache.getattr(&name))
            .transpose()?;
        let is_ours =
            proxy.map_or(Ok(true), |proxy| is_ours(&proxy))? && is_ours(&backend.getattr(&name)?)?;
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
    Ok(module.cast::<PyString>().is_ok_and(|name| {
        name.to_str()
            .is_ok_and(|name| name.starts_with("flask_caching."))
    }))
}
