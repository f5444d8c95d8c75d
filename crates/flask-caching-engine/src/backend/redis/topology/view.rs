//! What is known of a topology that changes, and when to look again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Result;
use crate::backend::redis::fault;
use crate::clock;
use crate::resilience::{Deadline, DeadlineLock};

/// After looking in vain, or finding nothing new, it is not looked again for so long.
const PAUSE: Duration = Duration::from_millis(200);

/// A topology as it was when somebody last looked. One thread looks, the others wait for it, until
/// their own deadlines.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
pub(in crate::backend::redis) struct Latest<V> {
    known: Mutex<Option<Arc<V>>>,
    looking: DeadlineLock,
    /// How errors call the whole of it.
    target: String,
    /// In clock nanoseconds: when it may be looked again for a reason, and when it shall be
    /// without one.
    may_look: AtomicU64,
    shall_look: AtomicU64,
    lifetime: Duration,
}

impl<V> Latest<V> {
    /// Nothing known of what errors call `target`; what is found out is looked at again after
    /// `lifetime` at the latest.
    pub(in crate::backend::redis) fn new(target: String, lifetime: Duration) -> Self {
        Self {
            known: Mutex::new(None),
            looking: DeadlineLock::default(),
            target,
            may_look: AtomicU64::new(0),
            shall_look: AtomicU64::new(0),
            lifetime,
        }
    }

    /// What is known, found out by `look` for `operation` where nothing is or it is too old.
    ///
    /// # Errors
    /// What `look` fails with, where nothing was known before; so is a timeout where others look
    /// until `deadline`.
    pub(in crate::backend::redis) fn get(
        &self,
        operation: &'static str,
        deadline: Deadline,
        look: impl FnOnce(Option<&V>) -> Result<V>,
    ) -> Result<Arc<V>> {
        let known = self.known().clone();
        if let Some(known) = &known
            && clock::steady().0 < self.shall_look.load(Ordering::Relaxed)
        {
            return Ok(Arc::clone(known));
        }
        self.look_again(known.as_ref(), operation, deadline, look)
    }

    /// What is found out after `stale` proved to be wrong. The same again where it was looked at
    /// a moment ago, or where looking fails.
    ///
    /// # Errors
    /// As [`Latest::get`].
    pub(in crate::backend::redis) fn renew(
        &self,
        stale: &Arc<V>,
        operation: &'static str,
        deadline: Deadline,
        look: impl FnOnce(Option<&V>) -> Result<V>,
    ) -> Result<Arc<V>> {
        self.look_again(Some(stale), operation, deadline, look)
    }

    /// Has the next [`Latest::get`] look.
    pub(in crate::backend::redis) fn doubt(&self) {
        self.shall_look.store(0, Ordering::Relaxed);
    }

    fn look_again(
        &self,
        stale: Option<&Arc<V>>,
        operation: &'static str,
        deadline: Deadline,
        look: impl FnOnce(Option<&V>) -> Result<V>,
    ) -> Result<Arc<V>> {
        let looking = self.looking.take(deadline);
        let known = self.known().clone();
        let _looking = match (looking, &known) {
            (Ok(looking), _) => looking,
            (Err(_), Some(known)) => return Ok(Arc::clone(known)),
            (Err(error), None) => return Err(fault::io(operation, &self.target, error)),
        };
        if let Some(known) = &known {
            let newer = stale.is_none_or(|stale| !Arc::ptr_eq(stale, known));
            if newer || clock::steady().0 < self.may_look.load(Ordering::Relaxed) {
                return Ok(Arc::clone(known));
            }
        }
        let found = look(known.as_deref());
        let now = clock::steady();
        self.may_look.store(now.after(PAUSE).0, Ordering::Relaxed);
        match (found, known) {
            (Ok(found), _) => {
                let found = Arc::new(found);
                *self.known() = Some(Arc::clone(&found));
                self.shall_look
                    .store(now.after(self.lifetime).0, Ordering::Relaxed);
                Ok(found)
            }
            (Err(error), Some(known)) => {
                log::debug!("going on with the servers known before: {error}");
                self.shall_look.store(now.after(PAUSE).0, Ordering::Relaxed);
                Ok(known)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<V>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    fn failing(_: Option<&i32>) -> Result<i32> {
        Err(Error::new(ErrorKind::Unavailable, "look", "test", "down"))
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    fn latest(lifetime: Duration) -> Latest<i32> {
        Latest::new("test".to_owned(), lifetime)
    }

    #[test]
    fn looks_once_and_again_when_told() {
        let latest = latest(Duration::from_secs(3600));
        assert!(latest.get("get", soon(), failing).is_err());
        let one = latest.get("get", soon(), |_| Ok(1)).unwrap();
        assert_eq!(*latest.get("get", soon(), failing).unwrap(), 1);
        // It was looked at a moment ago.
        assert_eq!(*latest.renew(&one, "get", soon(), |_| Ok(2)).unwrap(), 1);
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.renew(&one, "get", soon(), |_| Ok(2)).unwrap(), 2);
        // Somebody else has looked since.
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.renew(&one, "get", soon(), |_| Ok(3)).unwrap(), 2);
        latest.doubt();
        assert_eq!(
            *latest
                .get("get", soon(), |known| Ok(known.unwrap() + 40))
                .unwrap(),
            42
        );
    }

    #[test]
    fn what_was_known_is_better_than_nothing() {
        let latest = latest(Duration::ZERO);
        latest.get("get", soon(), |_| Ok(1)).unwrap();
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.get("get", soon(), failing).unwrap(), 1);
    }

    #[test]
    fn nobody_waits_past_a_deadline_for_another_who_looks() {
        let latest = latest(Duration::from_secs(3600));
        let late = || Deadline::after(Duration::from_millis(5));
        let error = latest.get("get", soon(), |_| {
            latest.get("get", late(), |_| Ok(1)).map(|known| *known)
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
        let one = latest.get("get", soon(), |_| Ok(1)).unwrap();
        latest.may_look.store(0, Ordering::Relaxed);
        let renewed = latest.renew(&one, "get", soon(), |_| {
            latest
                .renew(&one, "get", late(), |_| Ok(2))
                .map(|known| *known + 40)
        });
        assert_eq!(*renewed.unwrap(), 41, "what was known is used meanwhile");
    }
}
