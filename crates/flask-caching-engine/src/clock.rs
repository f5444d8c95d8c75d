//! All time is read here, so that a test can stop it.
//!
//! Two clocks: [`monotonic`] for lifetimes inside a process (it does not care about changes of the
//! wall clock), [`wall`] for formats that store a point in time, read by other processes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

static STOPPED: AtomicBool = AtomicBool::new(false);
static STOPPED_MONOTONIC: AtomicU64 = AtomicU64::new(0);
static STOPPED_WALL: AtomicU64 = AtomicU64::new(0);

/// A point on the process's monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant `duration` later; the far end of the clock where that would overflow.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

/// The present on the monotonic clock.
///
/// It reads the kernel's coarse clock: a fifth of the cost of the exact one, at most one timer tick
/// (1 to 10 ms) behind it.
#[inline]
pub fn monotonic() -> Instant {
    if STOPPED.load(Ordering::Relaxed) {
        return Instant(STOPPED_MONOTONIC.load(Ordering::Acquire));
    }
    Instant(real_monotonic())
}

/// The present on the wall clock, as the time since 1970-01-01 UTC.
pub fn wall() -> Duration {
    if STOPPED.load(Ordering::Relaxed) {
        return Duration::from_nanos(STOPPED_WALL.load(Ordering::Acquire));
    }
    real_wall()
}

/// Stops both clocks where they are. Time then passes only by [`advance`].
pub fn stop() {
    STOPPED_MONOTONIC.store(monotonic().0, Ordering::Release);
    STOPPED_WALL.store(nanoseconds(wall()), Ordering::Release);
    STOPPED.store(true, Ordering::Release);
}

/// Moves the stopped clocks forward. Does nothing while the clocks run.
pub fn advance(duration: Duration) {
    let nanos = nanoseconds(duration);
    for clock in [&STOPPED_MONOTONIC, &STOPPED_WALL] {
        let _ = clock.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            Some(now.saturating_add(nanos))
        });
    }
}

/// Lets the clocks run again, from the real present.
pub fn resume() {
    STOPPED.store(false, Ordering::Release);
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn real_monotonic() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

#[cfg(not(target_os = "linux"))]
fn real_monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system"
)]
fn real_wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
