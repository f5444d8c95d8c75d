//! All time is read here, so that a test can stop it, and follow one that is moved elsewhere.
//!
//! Two clocks: [`monotonic`] for lifetimes inside a process (it does not care about changes of the
//! wall clock), [`wall`] for formats that store a point in time, read by other processes.
//!
//! An application's tests may move time for the whole of its language (freezegun and time-machine
//! do it for Python). What lives and expires in this process follows then: see [`follow`]. What is
//! agreed with servers and other processes does not: [`steady`] and [`system`] are those two clocks
//! without that.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// What is unusual about time; nothing where no bit is set.
static UNUSUAL: AtomicU8 = AtomicU8::new(0);
const STOPPED: u8 = 1;
const FOLLOWING: u8 = 2;

static STOPPED_MONOTONIC: AtomicU64 = AtomicU64::new(0);
static STOPPED_WALL: AtomicU64 = AtomicU64::new(0);

static FOLLOWED: OnceLock<Source> = OnceLock::new();
static WATCHED: OnceLock<Watched> = OnceLock::new();

/// Where the monotonic clock starts: far enough from zero that time moved into the past is on it.
const START: u64 = 1 << 62;

/// Asks for the time of a clock that may be moved: microseconds since 1970-01-01 UTC. `None`: it
/// cannot say. It is called without a lock of the engine held.
pub type Source = fn() -> Option<i64>;

/// A word in memory that has another value than usual while time is moved.
struct Watched {
    word: &'static AtomicUsize,
    usual: usize,
}

/// A point on the process's monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant `duration` later; the far end of the clock where that would overflow.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    /// How long ago `earlier` was; nothing, where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The present on the monotonic clock.
///
/// It reads the kernel's coarse clock: a fifth of the cost of the exact one, at most one timer tick
/// (1 to 10 ms) behind it.
#[inline]
pub fn monotonic() -> Instant {
    if is_usual() {
        return Instant(real_monotonic());
    }
    if !is_stopped()
        && let Some(moved) = followed()
    {
        return monotonic_at(moved);
    }
    steady()
}

/// The present on the wall clock, as the time since 1970-01-01 UTC.
pub fn wall() -> Duration {
    if !is_usual()
        && !is_stopped()
        && let Some(moved) = followed()
    {
        return Duration::from_micros(u64::try_from(moved).unwrap_or(0));
    }
    system()
}

/// As [`monotonic`], and never followed: for waiting, and for what servers are to do.
#[inline]
pub fn steady() -> Instant {
    if is_stopped() {
        return Instant(STOPPED_MONOTONIC.load(Ordering::Acquire));
    }
    Instant(real_monotonic())
}

/// As [`steady`], and never stopped either: for how long a server has been silent, which goes on in
/// real time whatever a test has made of the others.
#[inline]
pub fn real() -> Instant {
    Instant(real_monotonic())
}

/// As [`wall`], and never followed: for points in time that servers and file systems compare.
pub fn system() -> Duration {
    if is_stopped() {
        return Duration::from_nanos(STOPPED_WALL.load(Ordering::Acquire));
    }
    real_wall()
}

/// Names the clock that is followed while it is moved. The first call counts.
pub fn set_source(source: Source) {
    let _ = FOLLOWED.set(source);
}

/// The exact present on a monotonic clock of its own, which nothing stops or moves: for measuring
/// what work costs, not for what expires. Costs five times what [`monotonic`] does.
#[inline]
pub fn exact() -> Instant {
    let now = clock_gettime(ClockId::Monotonic);
    Instant(START + now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs())
}

/// The present on the wall clock, which nothing stops or moves but the system: for deadlines that the
/// system takes.
pub fn exact_wall() -> Duration {
    real_wall()
}

/// Follows the clock of [`set_source`] from now on, or no longer.
pub fn follow(on: bool) {
    if on {
        UNUSUAL.fetch_or(FOLLOWING, Ordering::AcqRel);
    } else {
        UNUSUAL.fetch_and(!FOLLOWING, Ordering::AcqRel);
    }
}

/// Follows the clock of [`set_source`] whenever `word` is not `usual` as well: for those who move
/// time without saying so. Reading a word that does not change costs next to nothing. The first call
/// counts.
pub fn watch(word: &'static AtomicUsize, usual: usize) {
    let _ = WATCHED.set(Watched { word, usual });
}

/// Stops both clocks where they are. Time then passes only by [`advance`].
pub fn stop() {
    STOPPED_MONOTONIC.store(monotonic().0, Ordering::Release);
    STOPPED_WALL.store(nanoseconds(wall()), Ordering::Release);
    UNUSUAL.fetch_or(STOPPED, Ordering::AcqRel);
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
    UNUSUAL.fetch_and(!STOPPED, Ordering::AcqRel);
}

#[inline]
fn is_usual() -> bool {
    UNUSUAL.load(Ordering::Relaxed) == 0
        && WATCHED
            .get()
            .is_none_or(|watched| watched.word.load(Ordering::Relaxed) == watched.usual)
}

#[inline]
fn is_stopped() -> bool {
    UNUSUAL.load(Ordering::Relaxed) & STOPPED != 0
}

#[cold]
fn followed() -> Option<i64> {
    FOLLOWED.get().and_then(|source| source())
}

/// The point on the monotonic clock at which the wall clock was, or will be, at `micros`.
///
/// Always by one difference between the two: what is frozen stands still.
fn monotonic_at(micros: i64) -> Instant {
    static START_ON_WALL: OnceLock<i128> = OnceLock::new();
    let start = *START_ON_WALL
        .get_or_init(|| i128::from(nanoseconds(real_wall())) - i128::from(real_monotonic()));
    let at = i128::from(micros) * 1000 - start;
    // The last one is no point in time but means never.
    Instant(u64::try_from(at.clamp(0, i128::from(u64::MAX - 1))).unwrap_or(0))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn real_monotonic() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    START + now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

#[cfg(not(target_os = "linux"))]
fn real_monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    START + now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
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
