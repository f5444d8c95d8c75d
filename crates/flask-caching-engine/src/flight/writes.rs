//! The writes of flights, and the deletions that overtake them.

use smallvec::SmallVec;

use super::{Flights, LONGEST_WAIT, Progress, SUPERSEDED, WRITING, lock, this_thread};
use crate::resilience::Deadline;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// The time in which a flight stores its result.
pub struct Write<'f>(pub(super) &'f Progress);

/// The flights that a deletion found writing.
#[derive(Default)]
#[must_use = "a deletion waits for the writes that it has overtaken"]
pub struct Overtaken {
    elsewhere: SmallVec<[Arc<Progress>; 1]>,
    /// Those of this very thread.
    here: SmallVec<[Arc<Progress>; 1]>,
}

/// While it lives, flights under its keys are superseded as they begin.
pub struct Hold<'f> {
    pub(super) flights: &'f Flights,
    pub(super) hashes: Vec<u64>,
}

impl Write<'_> {
    /// Ends the write; whether what was written stands. Where something was deleted while it went on,
    /// `undo` takes back what was written. Who deletes waits for that, too: or it could take back what
    /// is stored after the deletion.
    pub fn end<E>(self, undo: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        // What supersedes from then on deletes what was written.
        let stands = self
            .0
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
                (state & SUPERSEDED == 0).then_some(state & !WRITING)
            })
            .is_ok();
        if !stands {
            undo()?;
        }
        Ok(stands)
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let before = self.0.state.fetch_and(!WRITING, Ordering::SeqCst);
        if before & SUPERSEDED != 0 {
            // Whoever waits has looked at the state under the lock.
            drop(lock(&self.0.lock));
            self.0.ended.notify_all();
        }
    }
}

impl Overtaken {
    /// Whether no write of another thread has to be waited for.
    pub fn is_empty(&self) -> bool {
        self.elsewhere.is_empty()
    }

    /// Lets those write that share this very thread, as greenlets do, [`LONGEST_WAIT`] at most;
    /// `pause` lets others go on for a moment.
    ///
    /// # Errors
    /// Those of `pause`.
    pub fn let_write<E>(&self, mut pause: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let deadline = Deadline::after(LONGEST_WAIT);
        while self.here.iter().any(|flight| flight.is_writing()) && deadline.remaining().is_ok() {
            pause()?;
        }
        Ok(())
    }

    /// Waits until the flights of other threads have written, [`LONGEST_WAIT`] at most for all of them.
    pub fn wait(self) {
        let deadline = Deadline::after(LONGEST_WAIT);
        for progress in self.elsewhere {
            let Ok(left) = deadline.remaining() else {
                return;
            };
            let guard = lock(&progress.lock);
            let waited = progress
                .ended
                .wait_timeout_while(guard, left, |_| progress.is_writing());
            drop(waited);
        }
    }

    pub(super) fn supersede(&mut self, flights: &[Arc<Progress>]) {
        for flight in flights {
            let before = flight.state.fetch_or(SUPERSEDED, Ordering::SeqCst);
            if before & WRITING == 0 {
                continue;
            }
            // A thread that waits for itself waits for ever.
            let is_here = flight.writer.load(Ordering::SeqCst) == this_thread();
            let writing = if is_here {
                &mut self.here
            } else {
                &mut self.elsewhere
            };
            writing.push(Arc::clone(flight));
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = lock(&self.flights.held);
        for hash in &self.hashes {
            if let Some(count) = held.get_mut(hash) {
                *count -= 1;
                if *count == 0 {
                    held.remove(hash);
                }
            }
        }
        // A forked child has forgotten the holds of its parent.
        let _ = self
            .flights
            .holds
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |holds| {
                holds.checked_sub(1)
            });
    }
}
