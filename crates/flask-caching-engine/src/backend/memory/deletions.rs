//! What was deleted lately, so that a computation that began before a deletion of its key does not
//! bring the old value back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A computation during which more is deleted is taken to be superseded.
const REMEMBERED: usize = 1024;

/// A point in the order of a store's deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The mark as a number, to be handed through code that knows no marks.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The mark that [`number`](Self::number) gave the number of.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The deletions of one store.
pub(super) struct Deletions {
    count: AtomicU64,
    /// Hashes of the keys deleted last; `None`: everything was.
    recent: Mutex<VecDeque<Option<u32>>>,
}

impl Deletions {
    pub(super) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            recent: Mutex::new(VecDeque::new()),
        }
    }

    /// The present point in the order of deletions.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.count.load(Ordering::Acquire))
    }

    /// A key of this hash, or everything, is about to be deleted. The caller guarantees to note it
    /// before it takes the lock that it deletes under.
    pub(super) fn note(&self, hash: Option<u32>) {
        let mut recent = self.lock();
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(hash);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a key of this hash may have been deleted since `mark`. To be asked under the lock that
    /// the key is written under.
    pub(super) fn since(&self, mark: Mark, hash: u32) -> bool {
        if self.count.load(Ordering::Acquire) == mark.0 {
            return false;
        }
        let recent = self.lock();
        let missed = self.count.load(Ordering::Acquire).wrapping_sub(mark.0);
        match usize::try_from(missed) {
            Ok(missed) if missed <= recent.len() => recent
                .iter()
                .rev()
                .take(missed)
                .any(|deleted| deleted.is_none_or(|deleted| deleted == hash)),
            _ => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Option<u32>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_supersedes_what_began_before_it() {
        let deletions = Deletions::new();
        let before = deletions.mark();
        deletions.note(Some(7));
        assert!(deletions.since(before, 7));
        assert!(!deletions.since(before, 8));
        assert!(!deletions.since(deletions.mark(), 7));
        deletions.note(None);
        assert!(deletions.since(before, 8));
    }

    #[test]
    fn more_deletions_than_are_remembered_supersede_everything() {
        let deletions = Deletions::new();
        let before = deletions.mark();
        for _ in 0..REMEMBERED {
            deletions.note(Some(1));
        }
        assert!(!deletions.since(before, 2));
        deletions.note(Some(1));
        assert!(deletions.since(before, 2));
    }
}
