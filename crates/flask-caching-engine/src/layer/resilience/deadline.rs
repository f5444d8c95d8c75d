//! One point in time by which an operation is over.

use std::cell::Cell;
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

thread_local! {
    /// The deadline of the operation that this thread is in the middle of.
    static OPERATION: Cell<Option<Deadline>> = const { Cell::new(None) };
}

impl Deadline {
    /// The deadline of the operation that this thread is in the middle of; where it is in none,
    /// `total` from now.
    ///
    /// The layers of a backend, and the steps of each, need not be handed what they share.
    pub fn of_operation(total: Duration) -> Self {
        OPERATION.get().unwrap_or_else(|| Self::after(total))
    }

    /// Does `operation`, in the middle of which [`Deadline::of_operation`] is this deadline.
    pub fn during<T>(self, operation: impl FnOnce() -> T) -> T {
        let _before = Before(OPERATION.replace(Some(self)));
        operation()
    }

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

/// What an operation found when it began, put back when it ends, in a panic too.
struct Before(Option<Deadline>);

impl Drop for Before {
    fn drop(&mut self) {
        OPERATION.set(self.0);
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

    #[test]
    fn the_steps_of_an_operation_share_its_deadline() {
        let hour = Duration::from_secs(3600);
        let inside = Deadline::after(Duration::ZERO).during(|| {
            let nested = Deadline::of_operation(hour);
            assert!(nested.remaining().is_err());
            Deadline::after(hour).during(|| Deadline::of_operation(Duration::ZERO))
        });
        assert!(inside.remaining().is_ok(), "the innermost");
        assert!(Deadline::of_operation(hour).remaining().is_ok());
    }
}
