//! What this process knows of its servers and of their operations, as Python is told.

use flask_caching_engine::resilience::ServerHealth;
use flask_caching_engine::telemetry::latency::{self, Latencies, Latency};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What is known of a server: its name, whether it is left alone, for how many seconds it has been
/// failing, how many calls that cost, its last error and how many seconds ago that was.
pub(crate) type HealthRow = (String, bool, Option<f64>, u64, Option<(String, f64)>);

/// What is known of a kind of operation: its name, how many there were, how many failed, the seconds
/// of all, and how many took at most so many seconds each.
pub(crate) type LatencyRow = (&'static str, u64, u64, f64, Vec<(f64, u64)>);

pub(crate) fn health_row(server: ServerHealth) -> HealthRow {
    let last_error = server.last_error;
    (
        server.server,
        server.is_left_alone,
        server.failing_for.map(|time| time.as_secs_f64()),
        server.failures,
        last_error.map(|(text, age)| (text, age.as_secs_f64())),
    )
}

pub(crate) fn latency_row(known: Latency) -> LatencyRow {
    let buckets = known.buckets.iter();
    let in_seconds = buckets.map(|(longest, count)| (longest.as_secs_f64(), *count));
    (
        known.operation,
        known.count,
        known.errors,
        known.total.as_secs_f64(),
        in_seconds.collect(),
    )
}

/// How long the operations of a store take that is written in Python.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Timings(Latencies);

#[pymethods]
impl Timings {
    #[new]
    fn new() -> Self {
        Self(Latencies::default())
    }

    /// Call `method`, which statistics know as `operation`.
    #[pyo3(signature = (operation, method, /, *args, **kwargs))]
    fn of<'py>(
        &self,
        operation: &str,
        method: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.0.of(operation, || method.call(args, kwargs))
    }

    fn latencies(&self) -> Vec<LatencyRow> {
        self.0.list().into_iter().map(latency_row).collect()
    }
}

/// Call `function`; how long operations of stores take meanwhile, in this thread, is not noted.
#[pyfunction]
#[pyo3(signature = (function, /, *args))]
pub(crate) fn unobserved<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    latency::unobserved(|| function.call1(args))
}
