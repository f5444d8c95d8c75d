//! What a backend can be told while it is in use: its default timeout and its serializer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flask_caching_engine::{Lifetime, Timeout};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::timeout;

/// The settings of one backend. Its locks are held for an assignment, never while Python runs.
pub(super) struct Settings {
    /// The lifetime of a write that names none: nanoseconds, [`FOREVER`] or [`EXPIRED`].
    lifetime: AtomicU64,
    /// The default timeout as it was given, in seconds.
    default_timeout: Mutex<Option<Py<PyAny>>>,
    /// What makes bytes of values.
    serializer: Mutex<Option<Py<PyAny>>>,
    /// Whether values that can be are copied natively instead.
    native: AtomicBool,
    /// Whether what the serializer wrote is read by it even so, and not by pickle.
    reads: AtomicBool,
}

const FOREVER: u64 = 0;
const EXPIRED: u64 = u64::MAX;

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            lifetime: AtomicU64::new(FOREVER),
            default_timeout: Mutex::new(None),
            serializer: Mutex::new(None),
            native: AtomicBool::new(true),
            reads: AtomicBool::new(false),
        }
    }

    /// The lifetime that a write with `timeout` gives its entry.
    #[inline]
    pub(super) fn lifetime(&self, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Lifetime> {
        match timeout {
            None => Ok(self.default_lifetime()),
            Some(_) => Ok(timeout::from_python(timeout)?.resolve(self.default_lifetime())),
        }
    }

    /// The lifetime of a write that names none.
    #[inline]
    pub(super) fn default_lifetime(&self) -> Lifetime {
        match self.lifetime.load(Ordering::Relaxed) {
            FOREVER => Lifetime::Forever,
            EXPIRED => Lifetime::Expired,
            nanoseconds => Lifetime::For(Duration::from_nanos(nanoseconds)),
        }
    }

    /// The default timeout as it was given; `None` before it was.
    pub(super) fn default_timeout(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let given = lock(&self.default_timeout);
        given.as_ref().map(|timeout| timeout.clone_ref(py))
    }

    /// Takes another default timeout: a number of seconds or a `timedelta`.
    pub(super) fn set_default_timeout(&self, timeout: &Bound<'_, PyAny>) -> PyResult<()> {
        let lifetime = match timeout::from_python(Some(timeout))? {
            Timeout::Of(lifetime) => lifetime,
            Timeout::Default => Lifetime::Forever,
        };
        let encoded = match lifetime {
            Lifetime::Forever => FOREVER,
            Lifetime::Expired => EXPIRED,
            Lifetime::For(duration) => u64::try_from(duration.as_nanos()).unwrap_or(FOREVER),
        };
        let old = lock(&self.default_timeout).replace(timeout.clone().unbind());
        drop(old);
        self.lifetime.store(encoded, Ordering::Relaxed);
        Ok(())
    }

    /// Whether values that can be are copied natively, without the serializer.
    #[inline]
    pub(super) fn is_native(&self) -> bool {
        self.native.load(Ordering::Relaxed)
    }

    /// What makes bytes of values.
    ///
    /// # Errors
    /// `RuntimeError` before it was set.
    pub(super) fn serializer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let serializer = lock(&self.serializer);
        serializer
            .as_ref()
            .map(|serializer| serializer.bind(py).clone())
            .ok_or_else(|| PyRuntimeError::new_err("the cache backend has no serializer"))
    }

    /// Takes another serializer, for all values or for those that cannot be copied natively.
    pub(super) fn set_serializer(&self, serializer: Py<PyAny>, native: bool) {
        self.native.store(native, Ordering::Relaxed);
        let old = lock(&self.serializer).replace(serializer);
        drop(old);
    }

    /// Takes what reads bytes; values that can be are copied natively.
    pub(super) fn set_reader(&self, serializer: Py<PyAny>) {
        self.set_serializer(serializer, true);
        self.reads.store(true, Ordering::Relaxed);
    }

    /// What reads bytes, where that is not pickle or one of cachelib's.
    pub(super) fn reader<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.reads.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.serializer(py).map(Some)
    }

    /// Drops what may be part of a reference cycle.
    pub(super) fn clear(&self) {
        let old = lock(&self.serializer).take();
        drop(old);
    }

    /// Shows the garbage collector what is held; it must not wait for a lock.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for held in [&self.default_timeout, &self.serializer] {
            if let Ok(object) = held.try_lock() {
                visit.call(object.as_ref())?;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
