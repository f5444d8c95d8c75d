//! A circuit breaker: closed, open, half-open (Nygard, "Release It!", 2007).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Instant;

/// After a grave failure the server is left alone this many times as long: trying a server that
/// hangs costs somebody a deadline, trying one that refuses costs nothing.
const GRAVE: u32 = 5;

/// Decides whether a server is worth a call.
///
/// Closed: every call goes through. After enough failures in a row it opens: no call goes through
/// until the reset time is over. Then it is half-open: one call goes through as a probe. If that
/// succeeds the breaker closes; if it fails, or is never heard of again, the next probe goes
/// through one reset time later.
///
/// It is two atomics, so that it can be asked on every call and a `fork()` at any moment leaves
/// nothing locked.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    reset: Duration,
    failures: AtomicU32,
    /// 0: closed. Otherwise, in clock nanoseconds, when the next probe may go through.
    probe_at: AtomicU64,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row (0: never) and lets a probe
    /// through every `reset`.
    pub fn new(threshold: u32, reset: Duration) -> Self {
        Self {
            threshold,
            reset,
            failures: AtomicU32::new(0),
            probe_at: AtomicU64::new(0),
        }
    }

    /// Whether a call may go through at `now`. Where it is a probe, nobody else's is until it
    /// is reported or one reset time has passed.
    pub fn admits(&self, now: Instant) -> bool {
        let probe_at = self.probe_at.load(Ordering::Acquire);
        if probe_at == 0 {
            return true;
        }
        if now.0 < probe_at {
            return false;
        }
        self.probe_at
            .compare_exchange(
                probe_at,
                next_probe(now, self.reset),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    /// Whether every call would be refused at `now`. Asking changes nothing.
    pub fn refuses(&self, now: Instant) -> bool {
        now.0 < self.probe_at.load(Ordering::Acquire)
    }

    /// Whether calls are being refused, or were until the probe that is under way.
    pub fn is_open(&self) -> bool {
        self.probe_at.load(Ordering::Acquire) != 0
    }

    /// The server answered: the breaker closes.
    pub fn succeeded(&self) {
        // Loads first: on a healthy server nothing is written, so that threads share the line.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.probe_at.load(Ordering::Relaxed) != 0 {
            self.probe_at.store(0, Ordering::Release);
        }
    }

    /// The server failed at `now`. `grave`: as good as all the failures it takes to open.
    pub fn failed(&self, now: Instant, grave: bool) {
        if self.threshold == 0 {
            return;
        }
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if grave || failures >= self.threshold || self.is_open() {
            let pause = if grave {
                self.reset.saturating_mul(GRAVE)
            } else {
                self.reset
            };
            self.probe_at
                .store(next_probe(now, pause), Ordering::Release);
        }
    }
}

fn next_probe(now: Instant, pause: Duration) -> u64 {
    now.after(pause).0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let breaker = Breaker::new(3, RESET);
        breaker.failed(at(1), false);
        breaker.failed(at(1), false);
        breaker.succeeded();
        breaker.failed(at(1), false);
        breaker.failed(at(1), false);
        assert!(breaker.admits(at(1)));
        breaker.failed(at(1), false);
        assert!(!breaker.admits(at(1)));
        assert!(!breaker.admits(at(10)));
    }

    #[test]
    fn one_probe_at_a_time_when_half_open() {
        let breaker = Breaker::new(1, RESET);
        breaker.failed(at(1), false);
        assert!(!breaker.refuses(at(11)));
        assert!(breaker.admits(at(11)));
        assert!(!breaker.admits(at(11)));
        assert!(breaker.refuses(at(11)));
        breaker.succeeded();
        assert!(breaker.admits(at(11)));
        assert!(breaker.admits(at(11)));
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_lost_probe_is_replaced() {
        let breaker = Breaker::new(1, RESET);
        breaker.failed(at(1), false);
        assert!(breaker.admits(at(11)));
        breaker.failed(at(12), false);
        assert!(!breaker.admits(at(21)));
        assert!(breaker.admits(at(22)));
        // The probe of second 22 never reports.
        assert!(!breaker.admits(at(31)));
        assert!(breaker.admits(at(32)));
    }

    #[test]
    fn a_grave_failure_opens_at_once_and_for_longer_and_threshold_0_never() {
        let breaker = Breaker::new(5, RESET);
        breaker.failed(at(1), true);
        assert!(!breaker.admits(at(1)));
        assert!(!breaker.admits(at(50)));
        assert!(breaker.admits(at(51)));
        let never = Breaker::new(0, RESET);
        never.failed(at(1), true);
        assert!(never.admits(at(1)));
    }
}
