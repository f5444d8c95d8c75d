//! What became of calls: the one place where it is counted and made known.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often what became of the calls of one function.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) hits: Count,
    pub(super) misses: Count,
    pub(super) stored: Count,
    pub(super) refused: Count,
    pub(super) superseded: Count,
    pub(super) errors: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// All of them, by name.
    pub(super) fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("hits", self.hits.get()),
            ("misses", self.misses.get()),
            ("stored", self.stored.get()),
            ("refused", self.refused.get()),
            ("superseded", self.superseded.get()),
            ("errors", self.errors.get()),
        ]
    }
}
