//! Deletions that could not be delivered, remembered until they can be.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is still to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pending {
    /// These keys.
    Keys(HashSet<Vec<u8>>),
    /// Everything: somebody cleared the cache, or there were too many keys to remember.
    Everything,
}

impl Pending {
    /// Whether `key` is to be deleted.
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Self::Keys(keys) => keys.contains(key),
            Self::Everything => true,
        }
    }
}

/// What was owed at one moment.
#[derive(Clone, Debug)]
pub struct Owed {
    /// The deletions.
    pub pending: Pending,
    /// How often something had been remembered by then.
    remembered: u64,
}

/// The deletions that this process still owes a server. Bounded.
#[derive(Debug)]
pub struct Undelivered {
    limit: usize,
    /// Read on every operation, so that owing nothing costs one load.
    any: AtomicBool,
    owed: Mutex<Owed>,
}

impl Undelivered {
    /// Nothing owed yet; at most `limit` keys are remembered one by one.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            any: AtomicBool::new(false),
            owed: Mutex::new(Owed {
                pending: Pending::Keys(HashSet::new()),
                remembered: 0,
            }),
        }
    }

    /// Whether anything is owed.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Remembers that `keys` are to be deleted. `true`: nothing was owed before.
    pub fn remember<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut owed = self.lock();
        owed.remembered += 1;
        if let Pending::Keys(pending) = &mut owed.pending {
            pending.extend(keys.into_iter().map(<[u8]>::to_vec));
            if pending.len() > self.limit {
                owed.pending = Pending::Everything;
            }
        }
        !self.any.swap(true, Ordering::AcqRel)
    }

    /// Remembers that everything is to be deleted. `true`: nothing was owed before.
    pub fn remember_everything(&self) -> bool {
        let mut owed = self.lock();
        owed.remembered += 1;
        owed.pending = Pending::Everything;
        !self.any.swap(true, Ordering::AcqRel)
    }

    /// Whether one of `keys` is to be deleted.
    pub fn covers(&self, keys: &[&[u8]]) -> bool {
        self.any() && {
            let owed = self.lock();
            keys.iter().any(|key| owed.pending.covers(key))
        }
    }

    /// What is owed, if anything.
    pub fn owed(&self) -> Option<Owed> {
        self.any().then(|| self.lock().clone())
    }

    /// Strikes out `delivered`; what was remembered since stays owed.
    pub fn forget(&self, delivered: &Owed) {
        let mut owed = self.lock();
        // Where something came in between all of it stays owed: deleting twice is harmless.
        if owed.remembered == delivered.remembered {
            owed.pending = Pending::Keys(HashSet::new());
        }
        let empty = matches!(&owed.pending, Pending::Keys(keys) if keys.is_empty());
        self.any.store(!empty, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<const N: usize>(names: [&str; N]) -> Pending {
        Pending::Keys(names.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    fn pending(undelivered: &Undelivered) -> Option<Pending> {
        undelivered.owed().map(|owed| owed.pending)
    }

    #[test]
    fn remembers_until_delivered() {
        let undelivered = Undelivered::new(10);
        assert_eq!(pending(&undelivered), None);
        assert!(undelivered.remember([b"a".as_slice(), b"b"]));
        assert!(!undelivered.remember([b"b".as_slice()]));
        assert_eq!(pending(&undelivered), Some(keys(["a", "b"])));
        undelivered.forget(&undelivered.owed().unwrap());
        assert!(!undelivered.any());
    }

    #[test]
    fn what_is_remembered_during_a_delivery_stays_owed() {
        let undelivered = Undelivered::new(10);
        undelivered.remember_everything();
        let owed = undelivered.owed().unwrap();
        undelivered.remember([b"a".as_slice()]);
        undelivered.forget(&owed);
        assert!(pending(&undelivered).unwrap().covers(b"a"));
        undelivered.forget(&undelivered.owed().unwrap());
        assert!(!undelivered.any());
    }

    #[test]
    fn too_many_keys_become_everything() {
        let undelivered = Undelivered::new(2);
        undelivered.remember([b"a".as_slice(), b"b"]);
        assert_eq!(pending(&undelivered), Some(keys(["a", "b"])));
        undelivered.remember([b"c".as_slice()]);
        assert_eq!(pending(&undelivered), Some(Pending::Everything));
    }
}
