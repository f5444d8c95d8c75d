//! Which keys this process has written or deleted a moment ago.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::clock::Instant;

/// A replica that lags by more than this is read again; see [`Recent::covers`].
const WINDOW: Duration = Duration::from_secs(60);
const PLACES: usize = 1 << 13;

/// Remembers writes for a minute, in a table of fixed size without locks.
///
/// Keys that share a place are taken for each other, which only means that one of them is read
/// from the master without need.
pub(super) struct Recent {
    /// For each place, in clock nanoseconds, when a key of it was written last.
    written: Box<[AtomicU64]>,
    /// When all keys were, by clearing.
    cleared: AtomicU64,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            written: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            cleared: AtomicU64::new(0),
        }
    }

    /// Notes that `key` is being written or deleted.
    pub(super) fn note(&self, key: &[u8], now: Instant) {
        self.place(key).store(now.0.max(1), Ordering::Relaxed);
    }

    /// Notes that every key is being deleted.
    pub(super) fn note_all(&self, now: Instant) {
        self.cleared.store(now.0.max(1), Ordering::Relaxed);
    }

    /// Whether a replica may not have seen yet what this process did to `key`.
    pub(super) fn covers(&self, key: &[u8], now: Instant) -> bool {
        let last = self
            .place(key)
            .load(Ordering::Relaxed)
            .max(self.cleared.load(Ordering::Relaxed));
        last != 0 && Duration::from_nanos(now.0.saturating_sub(last)) < WINDOW
    }

    fn place(&self, key: &[u8]) -> &AtomicU64 {
        let hash = FixedState::default().hash_one(key);
        let place = usize::try_from(hash % PLACES as u64).unwrap_or(0);
        &self.written[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_remembered_for_a_while() {
        let recent = Recent::new();
        let then = Instant(5);
        assert!(!recent.covers(b"k", then));
        recent.note(b"k", then);
        assert!(recent.covers(b"k", then));
        assert!(recent.covers(b"k", then.after(Duration::from_secs(59))));
        assert!(!recent.covers(b"k", then.after(WINDOW)));
        assert!(!recent.covers(b"another", then));
        recent.note_all(then);
        assert!(recent.covers(b"another", then));
    }
}
