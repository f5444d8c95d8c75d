//! Which methods of a cache and its backend an application has replaced: the one place that decides.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::interpreter::class_version;
use crate::road::flags::CacheFlags;

/// The public methods that calls are answered with. A backend of ours has others in their place: reads
/// that tell a None from a miss, writes that say why a value cannot be stored.
pub(crate) const METHODS: [&str; 6] = ["get", "get_many", "set", "set_many", "add", "has"];

/// What only backends of ours have.
const OURS: &str = "_read_many";

/// A set of methods, a bit each, in the order of `METHODS`.
pub(in crate::road) type Methods = u32;

pub(in crate::road) const GET: Methods = 1;
pub(in crate::road) const GET_MANY: Methods = 2;
pub(in crate::road) const SET: Methods = 4;
const SET_MANY: Methods = 8;
const ADD: Methods = 16;

/// Every one of them.
const ALL: Methods = (1 << METHODS.len()) - 1;

/// What writes versions.
pub(in crate::road) const VERSION_WRITES: Methods = SET_MANY | ADD;
/// What writes a value and its versions.
pub(in crate::road) const WRITES: Methods = SET | VERSION_WRITES;

/// What reads a page and writes it.
pub(in crate::road) const PAGES: Methods = GET | WRITES;

/// The classes of a cache and a backend that were looked at last, by their version tags, which no
/// other class and no other state of these has; and what was found.
#[derive(Default)]
pub(in crate::road) struct LookedAt {
    tags: AtomicU64,
    replaced: AtomicU64,
}

impl LookedAt {
    /// The methods that the classes of `cache` (`None`: of whatever cache) and `backend` have replaced.
    #[inline]
    pub(in crate::road) fn by_classes(
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
    pub(in crate::road) fn replaced(
        &self,
        cache: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Methods> {
        Ok(self.by_classes(Some(cache), backend)? | on_cache(cache)? | on_instance(backend)?)
    }
}

/// The names of the methods that are replaced for `cache`, and for `backend` if that is given: by a
/// subclass, by patching a class, on the instance, or because the backend is none of ours.
#[pyfunction]
#[pyo3(signature = (cache, backend = None))]
pub(crate) fn replaced_methods(
    cache: &Bound<'_, PyAny>,
    backend: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<&'static str>> {
    let replaced = match backend {
        Some(backend) => LookedAt::default().replaced(cache, backend)?,
        None => of_class(&cache.get_type())? | on_cache(cache)?,
    };
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

/// Those on the instance of a cache, which notes that there are some: to look into its `__dict__` each
/// time would make one of its attributes, and all access to them slower.
fn on_cache(cache: &Bound<'_, PyAny>) -> PyResult<Methods> {
    let flags = cache.getattr(intern!(cache.py(), "_flags"))?;
    if flags.cast::<CacheFlags>()?.get().has_replaced_proxies() {
        on_instance(cache)
    } else {
        Ok(0)
    }
}

fn on_instance(object: &Bound<'_, PyAny>) -> PyResult<Methods> {
    let Ok(attributes) = object.getattr(intern!(object.py(), "__dict__")) else {
        return Ok(0);
    };
    let Ok(attributes) = attributes.cast_into::<PyDict>() else {
        return Ok(ALL);
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
    let of_cache = cache.map_or(Ok(0), |cache| of_class(&cache.get_type()))?;
    let class = backend.get_type();
    if !class.hasattr(intern!(class.py(), OURS))? {
        return Ok(ALL);
    }
    Ok(of_cache | of_class(&class)?)
}

/// The methods of a class that are none of this package's.
fn of_class(class: &Bound<'_, PyType>) -> PyResult<Methods> {
    let mut replaced = 0;
    for (at, name) in METHODS.iter().enumerate() {
        if !is_ours(&class.getattr(PyString::intern(class.py(), name))?)? {
            replaced |= 1 << at;
        }
    }
    Ok(replaced)
}

/// Modules whose functions stand for what an application has replaced, and ask it.
const ASKING: [&str; 2] = [
    "flask_caching.backends._like_cachelib.steps",
    "flask_caching.backends._like_cachelib.locking",
];

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
            .is_ok_and(|name| name.starts_with("flask_caching.") && !ASKING.contains(&name))
    }))
}
