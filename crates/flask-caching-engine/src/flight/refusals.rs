//! The keys whose results were refused a moment ago, so that nobody queues for the next one.

use crate::clock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How long a refusal counts, in milliseconds.
const MOMENT: u32 = 1000;
/// Keys share a place where they are many: the last one has it.
const PLACES: usize = if cfg!(feature = "shuttle") { 4 } else { 1024 };

/// A table of fixed size: in each place a part of a key's hash, and when it was refused.
pub(super) struct Refusals(Box<[AtomicU64]>);

impl Default for Refusals {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Refusals {
    /// Notes that a result under the key of this hash is its caller's alone.
    pub(super) fn note(&self, hash: u64) {
        self.place(hash)
            .store(mark(hash) | u64::from(now()), Ordering::Relaxed);
    }

    /// Whether one was a moment ago.
    #[inline]
    pub(super) fn has(&self, hash: u64) -> bool {
        let noted = self.place(hash).load(Ordering::Relaxed);
        noted != 0 && noted & !LOW == mark(hash) && {
            #[expect(clippy::cast_possible_truncation, reason = "its lower half")]
            let then = noted as u32;
            now().wrapping_sub(then) < MOMENT
        }
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.0[place_of(hash)]
    }
}

/// When results landed that others may have. Keys may share a place here as well: then one is looked for
/// once more than needed.
pub(crate) struct Landings {
    count: AtomicU64,
    last: Box<[AtomicU64]>,
}

impl Default for Landings {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            last: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Landings {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Notes one, under the key of this hash.
    pub(crate) fn note(&self, hash: u64) {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.last[place_of(hash)].store(number, Ordering::SeqCst);
    }

    /// Whether there was one after the first `count`.
    pub(crate) fn has_since(&self, hash: u64, count: u64) -> bool {
        self.last[place_of(hash)].load(Ordering::SeqCst) > count
    }
}

fn place_of(hash: u64) -> usize {
    (hash >> 1) as usize % PLACES
}

const LOW: u64 = u32::MAX as u64;

/// The upper half of the hash, which tells most keys of one place from each other.
fn mark(hash: u64) -> u64 {
    hash & !LOW
}

/// Milliseconds, which begin anew after seven weeks.
#[expect(clippy::cast_possible_truncation, reason = "they begin anew")]
fn now() -> u32 {
    (clock::steady().0 / 1_000_000) as u32
}
