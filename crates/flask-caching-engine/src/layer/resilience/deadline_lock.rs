//! A lock that is waited for by a deadline.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Deadline;

/// Something that one thread does at a time, which may take as long as a server does: no one waits
/// for it longer than for the server itself.
#[derive(Debug, Default)]
pub struct DeadlineLock {
    taken: Mutex<bool>,
    ended: Condvar,
}

/// The turn of one thread; it ends when this is dropped.
#[derive(Debug)]
pub struct DeadlineLockGuard<'a>(&'a DeadlineLock);

impl DeadlineLock {
    /// The turn, waiting for it until `deadline` where somebody else has it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where somebody else has it until then.
    pub fn take(&self, deadline: Deadline) -> io::Result<DeadlineLockGuard<'_>> {
        let mut taken = self.lock();
        while *taken {
            let left = deadline.remaining()?;
            (taken, _) = self
                .ended
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Ok(DeadlineLockGuard(self))
    }

    /// The turn, where nobody else has it.
    pub fn try_take(&self) -> Option<DeadlineLockGuard<'_>> {
        let before = std::mem::replace(&mut *self.lock(), true);
        // Not `then_some`: what it would make and drop ends the turn of whoever has it.
        (!before).then(|| DeadlineLockGuard(self))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DeadlineLockGuard<'_> {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_at_a_time_and_nobody_waits_past_a_deadline() {
        let turn = DeadlineLock::default();
        let taken = turn.try_take().unwrap();
        assert!(turn.try_take().is_none());
        let error = turn.take(Deadline::after(Duration::from_millis(5)));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(taken);
        // A free one is taken even where no time is left.
        drop(turn.take(Deadline::after(Duration::ZERO)).unwrap());
        assert!(turn.try_take().is_some());
    }

    #[test]
    fn waiting_ends_with_the_turn_before() {
        let turn = DeadlineLock::default();
        let taken = turn.try_take().unwrap();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| turn.take(Deadline::after(Duration::from_secs(30))).is_ok());
            drop(taken);
            assert!(waiting.join().unwrap());
        });
    }
}
