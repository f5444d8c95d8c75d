//! `_engine.Refreshes`: which entries are being computed anew, as Python sees it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use flask_caching_engine::refreshes;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use super::key_bytes;
use crate::memory::MemoryBackend;

static REFRESHES: LazyLock<Arc<refreshes::Refreshes>> = LazyLock::new(refreshes::Refreshes::new);

/// What is known of a failure outlives a backend, at whose address there may be another then.
static BACKENDS: LazyLock<Mutex<Backends>> = LazyLock::new(Mutex::default);

/// The backends that live, by their addresses, and some that did.
#[derive(Default)]
struct Backends {
    known: HashMap<usize, (u64, Py<PyWeakrefReference>)>,
    last: u64,
}

/// What tells a backend from others as long as the process lives.
fn lasting_scope(backend: &Bound<'_, PyAny>) -> u64 {
    if let Ok(memory) = backend.cast::<MemoryBackend>() {
        return memory.get().scope();
    }
    if let Some(known) = BACKENDS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .find(backend)
    {
        return known;
    }
    // Not under the lock, as the collector may run.
    match PyWeakrefReference::new(backend) {
        Ok(reference) => {
            let mut backends = BACKENDS.lock().unwrap_or_else(PoisonError::into_inner);
            let (scope, gone) = backends.add(backend, reference);
            drop(backends);
            drop(gone);
            scope
        }
        // One of an application's own, of a kind that has none.
        Err(_) => super::scope(backend),
    }
}

/// How many refreshes have ended in this process; for [`Refreshes`].
pub(crate) fn ended() -> u64 {
    REFRESHES.ended()
}

/// The refresh of an entry in another process has failed: the next is begun after `retry`.
pub(crate) fn hear_of_failure(
    backend: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    retry: Duration,
) -> PyResult<()> {
    REFRESHES.hear_of_failure(lasting_scope(backend), &key_bytes(key)?, retry);
    Ok(())
}

impl Backends {
    fn find(&self, backend: &Bound<'_, PyAny>) -> Option<u64> {
        let (scope, reference) = self.known.get(&backend.as_ptr().addr())?;
        let is_it = reference.bind(backend.py()).upgrade().is_some();
        is_it.then_some(*scope)
    }

    /// Adds one, unless another thread has; what is to be dropped without the lock.
    fn add(
        &mut self,
        backend: &Bound<'_, PyAny>,
        reference: Bound<'_, PyWeakrefReference>,
    ) -> (u64, Vec<Py<PyWeakrefReference>>) {
        let (py, mut gone) = (backend.py(), Vec::new());
        if let Some(known) = self.find(backend) {
            gone.push(reference.unbind());
            return (known, gone);
        }
        if self.known.len() == self.known.capacity() {
            let dead = self
                .known
                .extract_if(|_, (_, of)| of.bind(py).upgrade().is_none());
            gone.extend(dead.map(|(_, (_, of))| of));
            self.known.reserve(self.known.len() + 1);
        }
        self.last += 1;
        // As even as addresses, and larger.
        let scope = 1 << 63 | self.last << 1;
        let before = self
            .known
            .insert(backend.as_ptr().addr(), (scope, reference.unbind()));
        gone.extend(before.map(|(_, of)| of));
        (scope, gone)
    }
}

/// The refreshes of a process: one at a time for an entry.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Refreshes(&'static Arc<refreshes::Refreshes>);

/// A refresh that is under way; it is over when nobody has this any more.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Refreshing(#[expect(dead_code, reason = "held, not read")] refreshes::Refreshing);

#[pymethods]
impl Refreshes {
    #[new]
    fn new() -> Self {
        Self(&REFRESHES)
    }

    /// Begins to refresh what is under `key` of `backend`; None where that is under way, or has failed
    /// a moment ago. `looked`: how many had ended before the old value was looked for; where one of this
    /// entry has since, None as well.
    fn begin(
        &self,
        backend: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        looked: u64,
    ) -> PyResult<Option<Refreshing>> {
        let begun = self
            .0
            .begin(lasting_scope(backend), &key_bytes(key)?, Some(looked));
        Ok(begun.map(Refreshing))
    }

    /// A refresh has failed: the next is begun after `retry` seconds.
    fn fail(&self, backend: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, retry: f64) -> PyResult<()> {
        let retry = Duration::try_from_secs_f64(retry).unwrap_or(Duration::MAX);
        self.0.fail(lasting_scope(backend), &key_bytes(key)?, retry);
        Ok(())
    }

    /// Whether one has failed so short a time ago that none is begun.
    fn has_failed(&self, backend: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.has_failed(lasting_scope(backend), &key_bytes(key)?))
    }
}
