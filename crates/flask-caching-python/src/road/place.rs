//! Which backend a call goes to, and whether it may be asked directly.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::memory::MemoryBackend;

/// How often a class of proxies or backends was made or changed.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// In place of a count of changes: nobody has looked yet.
const NEVER: u64 = u64::MAX;

/// A class whose methods are gone past was made, or one of its attributes was replaced.
#[pyfunction]
pub(crate) fn classes_changed() {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// What a `Cache` tells the tables of its functions about itself.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Guard {
    /// A proxy was replaced on the instance.
    patched: AtomicBool,
    /// Among them one that reads or writes many keys, as versions are.
    versions_patched: AtomicBool,
    /// Changes when keys are made otherwise from now on.
    epoch: AtomicU64,
    /// The numbers of the applications' settings under which the cache fails at present, and how many
    /// they are.
    outages: Mutex<Vec<u32>>,
    outage_count: AtomicUsize,
    /// Signals are sent for some application, or were.
    signals: AtomicBool,
}

#[pymethods]
impl Guard {
    #[new]
    fn new() -> Self {
        Self {
            patched: AtomicBool::new(false),
            versions_patched: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            outages: Mutex::new(Vec::new()),
            outage_count: AtomicUsize::new(0),
            signals: AtomicBool::new(false),
        }
    }

    /// Whether a proxy of the cache was replaced on the instance, or by its class.
    #[getter]
    fn patched(&self) -> bool {
        self.patched.load(Ordering::Relaxed)
    }

    /// A proxy of the cache is about to be replaced on the instance. `versions`: one that reads or
    /// writes many keys, as versions are.
    #[pyo3(signature = (versions = true))]
    fn patch(&self, versions: bool) {
        self.patched.store(true, Ordering::Relaxed);
        self.versions_patched.fetch_or(versions, Ordering::Relaxed);
    }

    /// Keys are made otherwise from now on: what is known of old ones is forgotten.
    fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Signals are sent from now on, for some application.
    fn send_signals(&self) {
        self.signals.store(true, Ordering::Relaxed);
    }

    /// The cache begins or ceases to fail under the settings of this number: until it works, the
    /// ordinary path sees every call.
    fn note_outage(&self, settings: u32, fails: bool) {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|known| *known != settings);
        if fails {
            outages.push(settings);
        }
        self.outage_count.store(outages.len(), Ordering::Relaxed);
    }
}

/// The way from the active application to the backend of one `Cache`.
pub(super) struct Way {
    cache: Py<PyAny>,
    guard: Py<Guard>,
    originals: Originals,
}

/// The proxies of `Cache` and the methods of `MemoryBackend` that somebody goes past, with the
/// functions that they are where nobody has replaced them.
///
/// Which they are is looked up again when a class has changed ([`classes_changed`]), or the backend is
/// of another class.
pub(super) struct Originals {
    /// The count of changes, and the address of the backend's class, at which nobody had.
    untouched_at: AtomicU64,
    untouched_for: AtomicUsize,
    proxies: Vec<(Py<PyString>, Py<PyAny>)>,
    methods: Vec<(Py<PyString>, Py<PyAny>)>,
}

impl Originals {
    /// The proxies `names` of the class `proxied`, and the methods of the same names.
    pub(super) fn new(proxied: &Bound<'_, PyType>, names: &[&str]) -> PyResult<Self> {
        Ok(Self {
            proxies: functions(proxied, names)?,
            ..Self::of_backend(proxied.py(), names)?
        })
    }

    /// The methods `names` alone.
    pub(super) fn of_backend(py: Python<'_>, names: &[&str]) -> PyResult<Self> {
        Ok(Self {
            untouched_at: AtomicU64::new(NEVER),
            untouched_for: AtomicUsize::new(0),
            proxies: Vec::new(),
            methods: functions(&py.get_type::<MemoryBackend>(), names)?,
        })
    }

    /// Whether nobody has replaced one of them, for `cache` and `backend`.
    #[inline]
    pub(super) fn are_untouched(
        &self,
        cache: &Bound<'_, PyAny>,
        backend: &Bound<'_, MemoryBackend>,
    ) -> PyResult<bool> {
        let changes = CHANGES.load(Ordering::Relaxed);
        let class = backend.get_type();
        let address = class.as_ptr().addr();
        if self.untouched_at.load(Ordering::Relaxed) == changes
            && self.untouched_for.load(Ordering::Relaxed) == address
        {
            return Ok(true);
        }
        let untouched = are(&cache.get_type(), &self.proxies)? && are(&class, &self.methods)?;
        // A class that nothing watches is asked each time.
        if untouched && !class.get_type().is(backend.py().get_type::<PyType>()) {
            self.untouched_at.store(changes, Ordering::Relaxed);
            self.untouched_for.store(address, Ordering::Relaxed);
        }
        Ok(untouched)
    }
}

impl Way {
    /// The way of `cache` for those who go past its proxies `names`.
    ///
    /// `originals` is the class whose proxies nobody has replaced.
    pub(super) fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        names: &[&str],
    ) -> PyResult<Self> {
        Ok(Self {
            cache: cache.clone().unbind(),
            guard,
            originals: Originals::new(originals, names)?,
        })
    }

    /// The cache.
    pub(super) fn cache(&self) -> &Py<PyAny> {
        &self.cache
    }

    /// When it changes, no entry of before may be used.
    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.guard.get().epoch.load(Ordering::Relaxed)
    }

    /// The in-process store among `extensions`, those of the active application (None: of the one the
    /// cache was last set up for), where it may be asked directly.
    #[inline]
    pub(super) fn backend<'py>(
        &self,
        py: Python<'py>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
        if self.is_patched() {
            return Ok(None);
        }
        let Some(backend) = native_backend_of(self.cache.bind(py), extensions)? else {
            return Ok(None);
        };
        Ok(self.is_direct(&backend)?.then_some(backend))
    }

    /// The same where nobody wants to hear of a hit: no signals are sent, and no end of an outage is
    /// awaited.
    pub(super) fn unheard_backend<'py>(
        &self,
        py: Python<'py>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
        if self.has_outage() || self.guard.get().signals.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.backend(py, extensions)
    }

    /// Whether a proxy of the cache was replaced on the instance, or by its class.
    #[inline]
    pub(super) fn is_patched(&self) -> bool {
        self.guard.get().patched.load(Ordering::Relaxed)
    }

    /// Whether the cache fails at present.
    pub(super) fn has_outage(&self) -> bool {
        self.guard.get().outage_count.load(Ordering::Relaxed) > 0
    }

    /// Whether nothing that somebody put in its place would be gone past on the way to `backend`.
    #[inline]
    pub(super) fn is_direct(&self, backend: &Bound<'_, MemoryBackend>) -> PyResult<bool> {
        Ok(!self.is_patched()
            && !backend.get().is_patched()
            && self
                .originals
                .are_untouched(self.cache.bind(backend.py()), backend)?)
    }

    /// The same where only the versions are read past what somebody may have put in its place, whose
    /// names and functions are `versions`.
    pub(super) fn backend_of_versions<'py>(
        &self,
        py: Python<'py>,
        extensions: &Bound<'py, PyAny>,
        versions: &Originals,
    ) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
        if self.guard.get().versions_patched.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let cache = self.cache.bind(py);
        let Some(backend) = native_backend_of(cache, extensions)? else {
            return Ok(None);
        };
        let direct = !backend.get().is_patched() && versions.are_untouched(cache, &backend)?;
        Ok(direct.then_some(backend))
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)
    }
}

/// The backend of `cache` among `extensions`, those of the active application (None: of the one the
/// cache was last set up for), whatever its kind.
#[inline]
pub(super) fn backend_of<'py>(
    cache: &Bound<'py, PyAny>,
    extensions: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = cache.py();
    let name = intern!(py, "cache").as_any();
    let caches = if extensions.is_none() {
        item(&extensions_of(&cache.getattr(intern!(py, "app"))?)?, name)?
    } else {
        item(extensions, name)?
    };
    caches.map_or(Ok(None), |caches| item(&caches, cache))
}

/// An application's `extensions`.
#[inline]
pub(super) fn extensions_of<'py>(app: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    app.getattr(intern!(app.py(), "extensions"))
}

/// The backend that [`backend_of`] finds, where it is an in-process store.
#[inline]
fn native_backend_of<'py>(
    cache: &Bound<'py, PyAny>,
    extensions: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
    Ok(backend_of(cache, extensions)?.and_then(|backend| backend.cast_into().ok()))
}

/// The functions `names` of a class.
fn functions(
    class: &Bound<'_, PyType>,
    names: &[&str],
) -> PyResult<Vec<(Py<PyString>, Py<PyAny>)>> {
    names
        .iter()
        .map(|name| {
            let name = PyString::intern(class.py(), name);
            let function = class.getattr(&name)?.unbind();
            Ok((name.unbind(), function))
        })
        .collect()
}

/// Whether a class has the functions that nobody has replaced.
fn are(class: &Bound<'_, PyType>, originals: &[(Py<PyString>, Py<PyAny>)]) -> PyResult<bool> {
    for (name, original) in originals {
        if !class.getattr(name.bind(class.py()))?.is(original) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[inline]
fn item<'py>(
    mapping: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match mapping.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key),
        Err(_) => Ok(None),
    }
}

/// The attribute `make_cache_key` of a cached function, which an application may replace.
pub(super) struct KeyAttribute {
    /// The function's attributes.
    attributes: Py<PyDict>,
    original: Py<PyAny>,
}

impl KeyAttribute {
    /// That of a function with `attributes`, in which nobody has replaced it yet.
    pub(super) fn new(attributes: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self {
            attributes: attributes.clone().unbind(),
            original: attributes.as_any().get_item("make_cache_key")?.unbind(),
        })
    }

    #[inline]
    pub(super) fn is_original(&self, py: Python<'_>) -> PyResult<bool> {
        let current = self
            .attributes
            .bind(py)
            .get_item(intern!(py, "make_cache_key"))?;
        Ok(current.is_some_and(|current| current.is(&self.original)))
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.attributes)?;
        visit.call(&self.original)
    }
}
