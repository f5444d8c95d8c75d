//! What is owed is delivered before an operation, and what else there is time for.

use std::sync::atomic::Ordering;

use super::{Keeper, Resilient, State};
use crate::backend::Backend;
use crate::resilience::{Deadline, DeadlineLockGuard, Part};
use crate::{Error, ErrorKind, Result, clock};

impl<B: Backend> Resilient<B> {
    /// Delivers what is owed before an operation on `keys`.
    ///
    /// # Errors
    /// What delivery failed with, where one of `keys` is owed a deletion, or where the operation
    /// would go to the same server.
    pub(super) fn settle(
        &self,
        operation: &'static str,
        keys: &[&[u8]],
        deadline: Deadline,
    ) -> Result<()> {
        let state = self.state.get();
        if !state.undelivered.any() {
            return Ok(());
        }
        let touched = state.undelivered.covers(keys);
        if self.is_left_alone() && touched {
            let why = "the server is being left alone";
            return Err(self.undelivered(ErrorKind::Unavailable, operation, why));
        }
        // The operation goes on where nothing can be done: to another server, or to be refused and
        // counted. So it does where somebody else is delivering, and not to the key of it.
        let turn = if touched {
            let late = |_| self.undelivered(ErrorKind::Timeout, operation, "others are at it");
            Some(state.turn.take(deadline).map_err(late)?)
        } else if self.is_left_alone() || !state.is_delivery_due() {
            None
        } else {
            state.turn.try_take()
        };
        let Some(turn) = turn else {
            return Ok(());
        };
        // A clear first, then what was deleted after it.
        while let Some(part) = state.undelivered.of(keys) {
            self.deliver(&part)?;
        }
        match self.deliver_others(&turn, touched, deadline) {
            // What another server does, or one that refuses only to delete, is not this key's affair.
            Err(error)
                if !touched
                    && self.servers != Keeper::OfEach
                    && error.kind() != ErrorKind::Refused =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Delivers what is owed beside the keys of an operation, in the time that it can spare.
    fn deliver_others(
        &self,
        _turn: &DeadlineLockGuard<'_>,
        touched: bool,
        deadline: Deadline,
    ) -> Result<()> {
        let state = self.state.get();
        if touched && !state.is_delivery_due() {
            return Ok(());
        }
        let half = deadline.remaining().unwrap_or_default() / 2;
        let spared = deadline.at_most(half);
        // Another server that hangs leaves the operation its half; its own may as well use all.
        let limit = if self.servers == Keeper::OfEach {
            spared
        } else {
            deadline
        };
        while spared.remaining().is_ok()
            && let Some(part) = state.undelivered.next()
        {
            let delivered = limit.during(|| self.deliver(&part));
            if let Err(error) = &delivered
                && (self.servers == Keeper::OfEach || error.kind() == ErrorKind::Refused)
            {
                let next = clock::steady().after(self.settings.breaker_reset);
                state.next_delivery.store(next.0, Ordering::Relaxed);
            }
            delivered?;
        }
        Ok(())
    }

    /// Delivers `part` of what is owed.
    fn deliver(&self, part: &Part) -> Result<()> {
        self.call("delete", false, || match part {
            Part::Everything(_) => self.backend.clear().map(drop),
            Part::Keys(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(|(key, _)| &**key).collect();
                self.backend.delete_many(&keys).map(drop)
            }
        })?;
        self.state.get().undelivered.forget(part);
        Ok(())
    }

    fn undelivered(&self, kind: ErrorKind, operation: &'static str, why: &str) -> Error {
        Error::new(
            kind,
            operation,
            self.target(),
            format!("not tried: a deletion has not been delivered yet, and {why}"),
        )
    }
}

impl State {
    fn is_delivery_due(&self) -> bool {
        clock::steady().0 >= self.next_delivery.load(Ordering::Relaxed)
    }
}
