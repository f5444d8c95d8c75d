//! Which entries are being computed anew, and which could not be a moment ago.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::flight::Landings;
use crate::per_process::PerProcess;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, RandomState};

/// Of how many entries it is known.
const MOST: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresh {
    UnderWay(u64),
    /// It has failed, and is tried no sooner.
    NotBefore(Instant),
}

/// The refreshes of a process: one at a time for an entry.
pub struct Refreshes {
    hasher: RandomState,
    /// A child of `fork()` has none of its parent's threads.
    entries: PerProcess<Mutex<HashMap<u64, Refresh>>>,
    /// What tells one that was begun from others of the same entry.
    begun: AtomicU64,
    ended: Landings,
}

/// A refresh that is under way; it is over when this is dropped, however its call ends.
#[must_use = "it is over when this is dropped"]
pub struct Refreshing {
    refreshes: Arc<Refreshes>,
    hash: u64,
    number: u64,
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        let mut entries = self.refreshes.lock();
        // That it has failed stays known.
        if entries.get(&self.hash) == Some(&Refresh::UnderWay(self.number)) {
            self.refreshes.ended.note(self.hash);
            entries.remove(&self.hash);
        }
    }
}

impl Refreshes {
    /// None under way.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            hasher: RandomState::default(),
            entries: PerProcess::new(|| Mutex::new(HashMap::new())),
            begun: AtomicU64::new(0),
            ended: Landings::default(),
        })
    }

    /// How many have ended; for [`begin`](Self::begin).
    pub fn ended(&self) -> u64 {
        self.ended.count()
    }

    /// Begins to refresh what is under `key` of the store `scope`; `None` where that is under way, has
    /// failed a moment ago, or where so much is that no more is known. `looked`: how many had ended
    /// before the old value was looked for; where one of this entry has since, there is a new value.
    pub fn begin(
        self: &Arc<Self>,
        scope: u64,
        key: &[u8],
        looked: Option<u64>,
    ) -> Option<Refreshing> {
        let now = clock::monotonic();
        let mut entries = self.lock();
        let hash = self.hasher.hash_one((scope, key));
        if looked.is_some_and(|looked| self.ended.has_since(hash, looked)) {
            return None;
        }
        match entries.get(&hash).copied() {
            Some(Refresh::UnderWay(_)) => return None,
            Some(Refresh::NotBefore(then)) if now < then => return None,
            None if !make_room(&mut entries, now) => return None,
            _ => {}
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        entries.insert(hash, Refresh::UnderWay(number));
        drop(entries);
        Some(Refreshing {
            refreshes: Arc::clone(self),
            hash,
            number,
        })
    }

    /// A refresh has failed: the next is begun after `retry`.
    pub fn fail(&self, scope: u64, key: &[u8], retry: Duration) {
        let now = clock::monotonic();
        let hash = self.hasher.hash_one((scope, key));
        let mut entries = self.lock();
        if entries.contains_key(&hash) || make_room(&mut entries, now) {
            entries.insert(hash, Refresh::NotBefore(now.after(retry)));
        }
    }

    /// One of another process has failed: the next is begun after `retry`.
    pub fn hear_of_failure(&self, scope: u64, key: &[u8], retry: Duration) {
        let hash = self.hasher.hash_one((scope, key));
        // One that is under way here was begun since.
        if !matches!(self.lock().get(&hash), Some(Refresh::UnderWay(_))) {
            self.fail(scope, key, retry);
        }
    }

    /// Whether one has failed so short a time ago that none is begun.
    pub fn has_failed(&self, scope: u64, key: &[u8]) -> bool {
        let now = clock::monotonic();
        let hash = self.hasher.hash_one((scope, key));
        let found = self.lock().get(&hash).copied();
        matches!(found, Some(Refresh::NotBefore(then)) if now < then)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Refresh>> {
        self.entries
            .get()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is room for one more, after what is over was forgotten.
fn make_room(entries: &mut HashMap<u64, Refresh>, now: Instant) -> bool {
    if entries.len() >= MOST {
        entries.retain(|_, refresh| match refresh {
            Refresh::UnderWay(_) => true,
            Refresh::NotBefore(then) => now < *then,
        });
    }
    entries.len() < MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_an_entry() {
        let refreshes = Refreshes::new();
        let one = refreshes.begin(1, b"k", None);
        assert!(one.is_some());
        assert!(refreshes.begin(1, b"k", None).is_none());
        assert!(refreshes.begin(2, b"k", None).is_some());
        drop(one);
        assert!(refreshes.begin(1, b"k", None).is_some());
    }

    #[test]
    fn who_looked_before_one_ended_begins_none() {
        let refreshes = Refreshes::new();
        let looked = Some(refreshes.ended());
        drop(refreshes.begin(1, b"k", looked));
        assert!(refreshes.begin(1, b"k", looked).is_none());
        assert!(refreshes.begin(1, b"other", looked).is_some());
        let looked = Some(refreshes.ended());
        assert!(refreshes.begin(1, b"k", looked).is_some());
    }

    #[test]
    fn after_a_failure_the_next_waits() {
        let refreshes = Refreshes::new();
        let one = refreshes.begin(1, b"k", None);
        refreshes.fail(1, b"k", Duration::from_secs(3600));
        drop(one);
        assert!(refreshes.has_failed(1, b"k"));
        assert!(refreshes.begin(1, b"k", None).is_none());
        refreshes.fail(1, b"k", Duration::ZERO);
        assert!(!refreshes.has_failed(1, b"k"));
        assert!(refreshes.begin(1, b"k", None).is_some());
    }

    #[test]
    fn what_failed_elsewhere_ends_nothing_here() {
        let refreshes = Refreshes::new();
        let hour = Duration::from_secs(3600);
        let one = refreshes.begin(1, b"k", None);
        refreshes.hear_of_failure(1, b"k", hour);
        assert!(!refreshes.has_failed(1, b"k"));
        assert!(refreshes.begin(1, b"k", None).is_none());
        drop(one);
        refreshes.hear_of_failure(1, b"k", hour);
        assert!(refreshes.begin(1, b"k", None).is_none());
    }

    #[test]
    fn what_is_known_is_bounded() {
        let refreshes = Refreshes::new();
        let many: Vec<_> = (0..MOST)
            .map(|number| refreshes.begin(1, &number.to_le_bytes(), None).unwrap())
            .collect();
        assert!(refreshes.begin(1, b"one more", None).is_none());
        refreshes.fail(1, &0_usize.to_le_bytes(), Duration::ZERO);
        assert!(refreshes.begin(1, b"one more", None).is_some());
        drop(many);
    }
}
