//! The log of an outage: a line when it begins, a line when it ends, a count a minute between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Instant;

const COUNT_EVERY: Duration = Duration::from_secs(60);

/// What is to be logged after a failure or a success. Returned, not logged, so that the caller
/// logs when it holds no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Begins,
    Goes { failures: u64, lasted: Duration },
    Ends { failures: u64, lasted: Duration },
}

/// Knows whether there is an outage, since when, and how many calls it has cost.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// 0: none. Otherwise, in clock nanoseconds, when it began.
    since: AtomicU64,
    counted_at: AtomicU64,
    failures: AtomicU64,
}

impl Outage {
    pub(super) fn failed(&self, now: Instant) -> Option<Notice> {
        let now = now.0.max(1);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if self
            .since
            .compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.counted_at.store(now, Ordering::Relaxed);
            return Some(Notice::Begins);
        }
        let counted_at = self.counted_at.load(Ordering::Relaxed);
        if Duration::from_nanos(now.saturating_sub(counted_at)) < COUNT_EVERY {
            return None;
        }
        // One of the threads that fail at this moment says it.
        self.counted_at
            .compare_exchange(counted_at, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then(|| Notice::Goes {
                failures,
                lasted: self.lasted(now),
            })
    }

    pub(super) fn succeeded(&self, now: Instant) -> Option<Notice> {
        let since = self.since.load(Ordering::Relaxed);
        if since == 0 {
            return None;
        }
        let lasted = self.lasted(now.0);
        self.since
            .compare_exchange(since, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
            .then(|| Notice::Ends {
                failures: self.failures.swap(0, Ordering::Relaxed),
                lasted,
            })
    }

    /// Whether there is one.
    pub(super) fn is_on(&self) -> bool {
        self.since.load(Ordering::Relaxed) != 0
    }

    /// For how long there has been one, and how many calls it has cost; `None`: there is none.
    pub(super) fn so_far(&self, now: Instant) -> Option<(Duration, u64)> {
        self.is_on()
            .then(|| (self.lasted(now.0), self.failures.load(Ordering::Relaxed)))
    }

    /// Counts a call that was refused without being tried.
    pub(super) fn refused(&self, now: Instant) -> Option<Notice> {
        if !self.is_on() {
            return None;
        }
        self.failed(now)
    }

    fn lasted(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.since.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn one_line_at_each_end_and_a_count_between() {
        let outage = Outage::default();
        assert_eq!(outage.succeeded(at(1)), None);
        assert_eq!(outage.failed(at(10)), Some(Notice::Begins));
        assert_eq!(outage.failed(at(11)), None);
        assert_eq!(outage.refused(at(69)), None);
        assert_eq!(
            outage.refused(at(70)),
            Some(Notice::Goes {
                failures: 4,
                lasted: Duration::from_secs(60)
            })
        );
        assert_eq!(outage.failed(at(71)), None);
        assert_eq!(outage.so_far(at(72)), Some((Duration::from_secs(62), 5)));
        assert_eq!(
            outage.succeeded(at(80)),
            Some(Notice::Ends {
                failures: 5,
                lasted: Duration::from_secs(70)
            })
        );
        assert_eq!(outage.succeeded(at(81)), None);
        assert_eq!(outage.so_far(at(82)), None);
        assert_eq!(outage.failed(at(90)), Some(Notice::Begins));
    }
}
