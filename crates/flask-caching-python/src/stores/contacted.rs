//! Which server an operation went to, for `flask_caching.metrics.opentelemetry`.

use flask_caching_engine::telemetry::contacted;
use pyo3::prelude::*;

/// Notes from now on which server this thread asks.
#[pyfunction]
pub(crate) fn contacted_begin() {
    contacted::begin();
}

/// The address of the server that it has asked since then: None where that are several, or none.
#[pyfunction]
pub(crate) fn contacted_end() -> Option<String> {
    contacted::end()
}
