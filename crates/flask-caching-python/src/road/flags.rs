//! What every call has to know about the `Cache` it belongs to.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use flask_caching_engine::telemetry::counts::{Counts, CountsRow, LastRefusals, Refusal};

/// A proxy that reads or writes values was replaced, by the instance or its class.
pub(super) const VALUES_REPLACED: u32 = 1;
/// A proxy that reads or writes many keys, as versions are, was replaced.
pub(super) const VERSIONS_REPLACED: u32 = 2;
/// Somebody wants to hear of calls: signals are sent for some application, or hits are logged.
pub(super) const WATCHED: u32 = 4;
/// The cache fails for some application at present.
pub(super) const OUTAGE: u32 = 8;

/// What is unusual about one `Cache`: where nothing is, a call that was answered before is answered
/// without a further question.
#[derive(Default)]
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct CacheFlags {
    unusual: AtomicU32,
    /// Changes when keys are made otherwise from now on.
    epoch: AtomicU64,
    /// The numbers of the applications' settings under which the cache fails at present.
    outages: Mutex<Vec<u32>>,
    /// What became of the calls of functions that do not exist any more.
    pub(super) retired: Counts,
    pub(super) last_refusals: LastRefusals,
}

#[pymethods]
impl CacheFlags {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// A proxy of the cache is about to be replaced on the instance, or was by its class. `versions`:
    /// one that reads or writes many keys, as versions are.
    #[pyo3(signature = (versions = true))]
    fn replace(&self, versions: bool) {
        self.unusual.fetch_or(VALUES_REPLACED, Ordering::Relaxed);
        if versions {
            self.unusual.fetch_or(VERSIONS_REPLACED, Ordering::Relaxed);
        }
    }

    /// Keys are made otherwise from now on: what is known of old ones is forgotten.
    fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// As `Road.counts`, of functions that do not exist any more.
    fn retired_counts(&self) -> CountsRow {
        self.retired.row_of_many()
    }

    /// The refusals that came last, the newest first: whose result, why, and when, in seconds since
    /// 1970.
    fn last_refusals(&self) -> Vec<Refusal> {
        self.last_refusals.list()
    }

    /// Counts begin anew, in a child of `fork()`.
    fn reset_counts(&self) {
        self.retired.reset();
        self.last_refusals.reset();
    }

    /// Whether a proxy of the cache was replaced: calls of decorated functions then go through those.
    #[getter]
    pub(super) fn has_replaced_proxies(&self) -> bool {
        self.any(VALUES_REPLACED | VERSIONS_REPLACED)
    }

    /// Somebody wants to hear of calls from now on.
    fn watch(&self) {
        self.unusual.fetch_or(WATCHED, Ordering::Relaxed);
    }

    /// The cache begins or ceases to fail under the settings of this number.
    fn note_outage(&self, settings: u32, fails: bool) {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.retain(|known| *known != settings);
        if fails {
            outages.push(settings);
        }
        if outages.is_empty() {
            self.unusual.fetch_and(!OUTAGE, Ordering::Relaxed);
        } else {
            self.unusual.fetch_or(OUTAGE, Ordering::Relaxed);
        }
    }
}

impl CacheFlags {
    /// Whether nothing is unusual.
    #[inline]
    pub(super) fn is_usual(&self) -> bool {
        self.unusual.load(Ordering::Relaxed) == 0
    }

    /// Whether nothing is unusual but that values are read or written by the application's own methods.
    #[inline]
    pub(super) fn is_only_value_replaced(&self) -> bool {
        self.unusual.load(Ordering::Relaxed) == VALUES_REPLACED
    }

    /// Whether one of `flags` is up.
    #[inline]
    pub(super) fn any(&self, flags: u32) -> bool {
        self.unusual.load(Ordering::Relaxed) & flags != 0
    }

    /// When it changes, nothing that is known of calls may be used.
    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}
