//! One point in time by which an operation is over.

use std::io;
use std::time::{Duration, Instant};

/// Longer than anybody waits, and short enough that no arithmetic on it overflows.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// The end of the time that one operation may take, shared by all its steps.
///
/// It counts real time, not the engine's clock: a server does not wait for a test.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    /// The deadline `total` from now, a year at most.
    pub fn after(total: Duration) -> Self {
        let total = total.min(LONGEST);
        Self {
            at: now() + total,
            total,
        }
    }

    /// What is left. Never zero.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where nothing is left.
    pub fn remaining(&self) -> io::Result<Duration> {
        let left = self.at.saturating_duration_since(now());
        if left.is_zero() {
            return Err(self.timed_out());
        }
        Ok(left)
    }

    /// The same deadline, or `limit` from now where that is sooner.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        let sooner = Self::after(limit);
        if sooner.at < self.at { sooner } else { self }
    }

    /// The same deadline, or `time` from now where that is later.
    #[must_use]
    pub fn at_least(self, time: Duration) -> Self {
        let later = Self::after(time);
        if later.at > self.at { later } else { self }
    }

    /// The error that says that the time is over, and how long it was.
    pub fn timed_out(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {:?}", self.total),
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "servers and sockets live in real time, whatever the engine's clock shows"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_shrinks_to_an_error() {
        assert!(
            Deadline::after(Duration::from_secs(60))
                .remaining()
                .unwrap()
                > Duration::from_secs(50)
        );
        let over = Deadline::after(Duration::ZERO);
        assert_eq!(
            over.remaining().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert!(over.at_least(Duration::from_secs(60)).remaining().is_ok());
    }

    #[test]
    fn the_sooner_limit_holds_and_no_limit_is_too_long() {
        let minute = Duration::from_secs(60);
        let endless = Deadline::after(Duration::MAX);
        assert!(endless.remaining().unwrap() > minute);
        assert!(endless.at_most(minute).remaining().unwrap() <= minute);
        let short = Deadline::after(minute).at_most(Duration::MAX);
        assert!(short.remaining().unwrap() <= minute);
    }
}
