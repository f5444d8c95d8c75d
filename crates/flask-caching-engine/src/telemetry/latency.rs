//! How long the operations of a backend take: counted in buckets, as many as a number of any size
//! needs that is right to a fifth.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::per_process::PerProcess;

/// The kinds of operation that are counted apart.
pub const OPERATIONS: [&str; 10] = [
    "get",
    "get_many",
    "set",
    "set_many",
    "add",
    "delete",
    "delete_many",
    "has",
    "clear",
    "other",
];

/// Buckets of each power of two of nanoseconds.
const STEPS: u64 = 4;
/// Shorter ones are in the first bucket: about a microsecond.
const SHORTEST_BITS: u32 = 10;
/// Up to about half an hour; longer ones are in the last.
const BUCKETS: usize = 128;

thread_local! {
    static IS_UNOBSERVED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`, none of whose operations is noted: it is this package's own.
pub fn unobserved<T>(work: impl FnOnce() -> T) -> T {
    struct Restored(bool);
    impl Drop for Restored {
        fn drop(&mut self) {
            IS_UNOBSERVED.set(self.0);
        }
    }
    let _restored = Restored(IS_UNOBSERVED.replace(true));
    work()
}

/// The latencies of one store, those of this process: a child of `fork()` begins anew.
pub struct Latencies(PerProcess<[Histogram; OPERATIONS.len()]>);

struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
    errors: AtomicU64,
}

/// What is known of one kind of operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Its name, of [`OPERATIONS`].
    pub operation: &'static str,
    /// How many there were.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// What all of them took.
    pub total: Duration,
    /// How long those of a bucket took at most, and how many they are; without empty buckets.
    pub buckets: Vec<(Duration, u64)>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(PerProcess::new(|| {
            std::array::from_fn(|_| Histogram {
                buckets: std::array::from_fn(|_| AtomicU64::new(0)),
                nanoseconds: AtomicU64::new(0),
                errors: AtomicU64::new(0),
            })
        }))
    }
}

impl Latencies {
    /// Does `work`, which is `operation`, and notes how long it takes and whether it fails.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn of<T, E>(&self, operation: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if IS_UNOBSERVED.get() {
            return work();
        }
        let start = clock::exact();
        let outcome = work();
        self.note(operation, clock::exact().since(start), outcome.is_err());
        outcome
    }

    fn note(&self, operation: &str, took: Duration, has_failed: bool) {
        let known = OPERATIONS.iter().position(|known| *known == operation);
        let histogram = &self.0.get()[known.unwrap_or(OPERATIONS.len() - 1)];
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        histogram.buckets[bucket_of(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        histogram
            .nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
        histogram
            .errors
            .fetch_add(u64::from(has_failed), Ordering::Relaxed);
    }

    /// Those of the operations that there have been.
    pub fn list(&self) -> Vec<Latency> {
        let histograms = self.0.get().iter();
        let all = OPERATIONS.into_iter().zip(histograms);
        all.map(|(operation, histogram)| histogram.read(operation))
            .filter(|latency| latency.count > 0)
            .collect()
    }
}

impl Histogram {
    fn read(&self, operation: &'static str) -> Latency {
        let counts = self.buckets.iter().enumerate();
        let buckets: Vec<_> = counts
            .map(|(at, count)| (longest_of(at), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Latency {
            operation,
            count: buckets.iter().map(|(_, count)| count).sum(),
            errors: self.errors.load(Ordering::Relaxed),
            total: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
            buckets,
        }
    }
}

fn bucket_of(nanoseconds: u64) -> usize {
    // The largest that a bucket is for belongs to it.
    let value = nanoseconds.saturating_sub(1);
    let bits = value.checked_ilog2().unwrap_or(0);
    if bits < SHORTEST_BITS {
        return 0;
    }
    let step = (value >> (bits - STEPS.ilog2())) & (STEPS - 1);
    let bucket = u64::from(bits - SHORTEST_BITS) * STEPS + step + 1;
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

fn longest_of(bucket: usize) -> Duration {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    Duration::from_nanos(
        (STEPS + bucket % STEPS) << (u64::from(SHORTEST_BITS) - 2 + bucket / STEPS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_is_right_to_a_quarter() {
        let mut nanoseconds = 1;
        while nanoseconds < 1 << 41 {
            for near in [nanoseconds - 1, nanoseconds, nanoseconds + 1] {
                let longest = longest_of(bucket_of(near)).as_nanos();
                assert!(longest >= u128::from(near), "{near} {longest}");
                assert!(
                    longest * 4 <= (u128::from(near) * 5).max(4 << 10),
                    "{near} {longest}"
                );
            }
            nanoseconds = nanoseconds * 9 / 8 + 1;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(0), 0);
    }

    #[test]
    fn operations_are_counted_apart() {
        let latencies = Latencies::default();
        for _ in 0..3 {
            latencies.note("get", Duration::from_millis(1), false);
        }
        latencies.note("get", Duration::from_secs(1), true);
        latencies.note("unheard of", Duration::from_secs(1), false);
        let list = latencies.list();
        assert_eq!(list.len(), 2);
        assert_eq!(
            (list[0].operation, list[0].count, list[0].errors),
            ("get", 4, 1)
        );
        assert_eq!(list[0].total, Duration::from_millis(1003));
        assert_eq!(list[0].buckets.len(), 2);
        assert_eq!((list[1].operation, list[1].count), ("other", 1));
    }
}
