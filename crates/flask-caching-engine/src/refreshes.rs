//! Which entries are being computed anew, and which could not be a moment ago.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{self, Instant};

/// Of how many entries it is known.
const MOST: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresh {
    UnderWay,
    /// It has failed, and is tried no sooner.
    NotBefore(Instant),
}

/// The refreshes of a process: one at a time for an entry.
#[derive(Default)]
pub struct Refreshes {
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Refresh>>,
}

impl Refreshes {
    /// None under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to refresh what is under `key` of the store `scope`; `false` where that is under way, has
    /// failed a moment ago, or where so much is that no more is known.
    pub fn begin(&self, scope: u64, key: &[u8]) -> bool {
        let now = clock::monotonic();
        let mut entries = self.lock();
        let hash = self.hasher.hash_one((scope, key));
        match entries.get(&hash).copied() {
            Some(Refresh::UnderWay) => return false,
            Some(Refresh::NotBefore(then)) if now < then => return false,
            None if !make_room(&mut entries, now) => return false,
            _ => {}
        }
        entries.insert(hash, Refresh::UnderWay);
        true
    }

    /// A refresh is over. That it has failed stays known.
    pub fn end(&self, scope: u64, key: &[u8]) {
        let hash = self.hasher.hash_one((scope, key));
        let mut entries = self.lock();
        if entries.get(&hash) == Some(&Refresh::UnderWay) {
            entries.remove(&hash);
        }
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

    /// Whether one has failed so short a time ago that none is begun.
    pub fn has_failed(&self, scope: u64, key: &[u8]) -> bool {
        let now = clock::monotonic();
        let hash = self.hasher.hash_one((scope, key));
        let found = self.lock().get(&hash).copied();
        matches!(found, Some(Refresh::NotBefore(then)) if now < then)
    }

    /// Forgets all: a process that was forked has none of its parent's threads.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Refresh>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is room for one more, after what is over was forgotten.
fn make_room(entries: &mut HashMap<u64, Refresh>, now: Instant) -> bool {
    if entries.len() >= MOST {
        entries.retain(|_, refresh| match refresh {
            Refresh::UnderWay => true,
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
        assert!(refreshes.begin(1, b"k"));
        assert!(!refreshes.begin(1, b"k"));
        assert!(refreshes.begin(2, b"k"));
        refreshes.end(1, b"k");
        assert!(refreshes.begin(1, b"k"));
        refreshes.forget();
        assert!(refreshes.begin(1, b"k"));
    }

    #[test]
    fn after_a_failure_the_next_waits() {
        let refreshes = Refreshes::new();
        assert!(refreshes.begin(1, b"k"));
        refreshes.fail(1, b"k", Duration::from_secs(3600));
        refreshes.end(1, b"k");
        assert!(refreshes.has_failed(1, b"k"));
        assert!(!refreshes.begin(1, b"k"));
        refreshes.fail(1, b"k", Duration::ZERO);
        assert!(!refreshes.has_failed(1, b"k"));
        assert!(refreshes.begin(1, b"k"));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let refreshes = Refreshes::new();
        for number in 0..MOST {
            assert!(refreshes.begin(1, &number.to_le_bytes()));
        }
        assert!(!refreshes.begin(1, b"one more"));
        refreshes.fail(1, &0_usize.to_le_bytes(), Duration::ZERO);
        assert!(refreshes.begin(1, b"one more"));
    }
}
