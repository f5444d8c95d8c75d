//! What this process knows of its servers and of their operations, as Python is told.

use flask_caching_engine::latency::Latency;
use flask_caching_engine::resilience::ServerHealth;

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
