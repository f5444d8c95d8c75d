//! What is known of a topology that changes, and when to look again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Result;
use crate::clock;

/// After looking in vain, or finding nothing new, it is not looked again for so long.
const PAUSE: Duration = Duration::from_millis(200);

/// A topology as it was when somebody last looked. One thread looks, the others wait for it.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
pub(super) struct Latest<V> {
    known: Mutex<Option<Arc<V>>>,
    looking: Mutex<()>,
    /// In clock nanoseconds: when it may be looked again for a reason, and when it shall be
    /// without one.
    may_look: AtomicU64,
    shall_look: AtomicU64,
    lifetime: Duration,
}

impl<V> Latest<V> {
    /// Nothing known; what is found out is looked at again after `lifetime` at the latest.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            known: Mutex::new(None),
            looking: Mutex::new(()),
            may_look: AtomicU64::new(0),
            shall_look: AtomicU64::new(0),
            lifetime,
        }
    }

    /// What is known, found out by `look` where nothing is or it is too old.
    ///
    /// # Errors
    /// What `look` fails with, where nothing was known before.
    pub(super) fn get(&self, look: impl FnOnce(Option<&V>) -> Result<V>) -> Result<Arc<V>> {
        let known = self.known().clone();
        if let Some(known) = &known
            && clock::steady().0 < self.shall_look.load(Ordering::Relaxed)
        {
            return Ok(Arc::clone(known));
        }
        self.look_again(known.as_ref(), look)
    }

    /// What is found out after `stale` proved to be wrong. The same again where it was looked at
    /// a moment ago, or where looking fails.
    ///
    /// # Errors
    /// What `look` fails with, where nothing was known before.
    pub(super) fn renew(
        &self,
        stale: &Arc<V>,
        look: impl FnOnce(Option<&V>) -> Result<V>,
    ) -> Result<Arc<V>> {
        self.look_again(Some(stale), look)
    }

    /// Has the next [`Latest::get`] look.
    pub(super) fn doubt(&self) {
        self.shall_look.store(0, Ordering::Relaxed);
    }

    fn look_again(
        &self,
        stale: Option<&Arc<V>>,
        look: impl FnOnce(Option<&V>) -> Result<V>,
    ) -> Result<Arc<V>> {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known().clone();
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

    #[test]
    fn looks_once_and_again_when_told() {
        let latest = Latest::new(Duration::from_secs(3600));
        assert!(latest.get(failing).is_err());
        let one = latest.get(|_| Ok(1)).unwrap();
        assert_eq!(*latest.get(failing).unwrap(), 1);
        // It was looked at a moment ago.
        assert_eq!(*latest.renew(&one, |_| Ok(2)).unwrap(), 1);
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.renew(&one, |_| Ok(2)).unwrap(), 2);
        // Somebody else has looked since.
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.renew(&one, |_| Ok(3)).unwrap(), 2);
        latest.doubt();
        assert_eq!(*latest.get(|known| Ok(known.unwrap() + 40)).unwrap(), 42);
    }

    #[test]
    fn what_was_known_is_better_than_nothing() {
        let latest = Latest::new(Duration::ZERO);
        latest.get(|_| Ok(1)).unwrap();
        latest.may_look.store(0, Ordering::Relaxed);
        assert_eq!(*latest.get(failing).unwrap(), 1);
    }
}
