//! One point in time by which an operation is over.

use std::io;
use std::time::{Duration, Instant};

/// The end of the time that one operation may take, shared by all its steps.
///
/// It counts real time, not the engine's clock: a server does not wait for a test.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    /// The deadline `total` from now.
    pub fn after(total: Duration) -> Self {
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
