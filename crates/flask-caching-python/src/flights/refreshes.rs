//! `_engine.Refreshes`: which entries are being computed anew, as Python sees it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flask_caching_engine::refreshes;
use pyo3::prelude::*;

use super::{key_bytes, scope};

static REFRESHES: LazyLock<Arc<refreshes::Refreshes>> = LazyLock::new(refreshes::Refreshes::new);

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
    REFRESHES.hear_of_failure(scope(backend), &key_bytes(key)?, retry);
    Ok(())
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
    /// a moment ago. `looked`: how many had ended before the old value was looked for, or None; where one
    /// of this entry has since, None as well.
    #[pyo3(signature = (backend, key, looked = None))]
    fn begin(
        &self,
        backend: &Bound<'_, PyAny>,
        key: &Bound<'_, PyAny>,
        looked: Option<u64>,
    ) -> PyResult<Option<Refreshing>> {
        let begun = self.0.begin(scope(backend), &key_bytes(key)?, looked);
        Ok(begun.map(Refreshing))
    }

    /// A refresh has failed: the next is begun after `retry` seconds.
    fn fail(&self, backend: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, retry: f64) -> PyResult<()> {
        let retry = Duration::try_from_secs_f64(retry).unwrap_or(Duration::MAX);
        self.0.fail(scope(backend), &key_bytes(key)?, retry);
        Ok(())
    }

    /// Whether one has failed so short a time ago that none is begun.
    fn has_failed(&self, backend: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.has_failed(scope(backend), &key_bytes(key)?))
    }
}
