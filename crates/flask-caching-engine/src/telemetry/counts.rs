//! How often what became of calls, what they cost, and why results were not stored.
//!
//! Whoever counts guarantees that no other thread does at the same time, as Python's lock does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{self, Instant};

/// What became of a call.
#[derive(Clone, Copy)]
pub enum Event {
    /// It was answered from the cache.
    Hit,
    /// It was not found, or not wanted.
    Miss,
    /// Its result was stored.
    Stored,
    /// The policy or the backend would not have the result.
    Refused,
    /// Something was deleted meanwhile, so that the result is not stored.
    Superseded,
    /// The cache failed while it was looked up or its result stored.
    Error,
    /// The policy was asked what the call is: it could not be told from the call itself.
    Described,
    /// The function of the call was run to its end.
    Computed,
    /// It waited for another call that was computing the same.
    Waited,
    /// It was answered with a value that is not fresh any more.
    Stale,
    /// It was answered from this process's own copy of what a server has.
    Near,
    /// Results of its function were deleted, by naming it.
    Deleted,
}

/// Their names, in their order.
const EVENTS: [&str; 12] = [
    "hits",
    "misses",
    "stored",
    "refused",
    "superseded",
    "errors",
    "described",
    "computed",
    "waits",
    "stale",
    "near_hits",
    "deletions",
];

impl Event {
    /// What it is called where it is counted.
    #[must_use]
    pub fn name(self) -> &'static str {
        EVENTS[self as usize]
    }
}

/// Of how many reasons refusals are counted; those of others are counted together.
const MOST_REASONS: usize = 20;
/// How much of a reason is kept, in characters.
const LONGEST_REASON: usize = 200;
const OTHER_REASONS: &str = "other reasons";

/// What became of the calls of one function, or of those that are gone.
#[derive(Default)]
pub struct Counts {
    events: [AtomicU64; EVENTS.len()],
    /// Nanoseconds that computations took.
    computing: AtomicU64,
    /// Nanoseconds that the hits of others, which were added, have saved.
    saved: AtomicU64,
    refusals: Mutex<BTreeMap<String, u64>>,
}

/// [`Counts`] for people: events by name, seconds that computations took and that hits have saved,
/// refusals by reason.
pub type CountsRow = (HashMap<&'static str, u64>, f64, f64, BTreeMap<String, u64>);

impl Counts {
    /// Counts what became of a call.
    #[inline]
    pub fn count(&self, event: Event) {
        increase(&self.events[event as usize], 1);
    }

    /// Counts a computation that began at `started`.
    pub fn computed(&self, started: Instant) {
        increase(&self.computing, nanoseconds(clock::exact().since(started)));
        self.count(Event::Computed);
    }

    /// Notes why a result is refused, which is counted elsewhere.
    pub fn note_refusal(&self, reason: &str) {
        count_reason(&mut lock(&self.refusals), reason, 1);
    }

    /// Counts as well what `others` have counted.
    pub fn add(&self, others: &Self) {
        for (count, other) in self.events.iter().zip(&others.events) {
            increase(count, other.load(Ordering::Relaxed));
        }
        increase(&self.computing, others.computing.load(Ordering::Relaxed));
        increase(&self.saved, nanoseconds(others.own_saved()));
        let theirs = lock(&others.refusals).clone();
        let mut own = lock(&self.refusals);
        for (reason, count) in theirs {
            count_reason(&mut own, &reason, count);
        }
    }

    /// Begins anew: in a child of `fork()`, whose parent has counted the calls until then.
    pub fn reset(&self) {
        for count in self.events.iter().chain([&self.computing, &self.saved]) {
            count.store(0, Ordering::Relaxed);
        }
        lock(&self.refusals).clear();
    }

    /// What the hits of one function have saved: each the mean of what its computations took.
    fn own_saved(&self) -> Duration {
        let get = |event: Event| self.events[event as usize].load(Ordering::Relaxed);
        let spent = u128::from(self.computing.load(Ordering::Relaxed));
        let saved = spent * u128::from(get(Event::Hit)) / u128::from(get(Event::Computed).max(1));
        Duration::from_nanos(u64::try_from(saved).unwrap_or(u64::MAX))
    }

    /// Those of many, which were added.
    #[must_use]
    pub fn row_of_many(&self) -> CountsRow {
        let (by_name, spent, _, refusals) = self.row();
        let saved = Duration::from_nanos(self.saved.load(Ordering::Relaxed));
        (by_name, spent, saved.as_secs_f64(), refusals)
    }

    /// Those of one function.
    #[must_use]
    pub fn row(&self) -> CountsRow {
        let events = self.events.iter();
        let by_name = EVENTS
            .into_iter()
            .zip(events.map(|count| count.load(Ordering::Relaxed)));
        let spent = Duration::from_nanos(self.computing.load(Ordering::Relaxed));
        let refusals = lock(&self.refusals).clone();
        (
            by_name.collect(),
            spent.as_secs_f64(),
            self.own_saved().as_secs_f64(),
            refusals,
        )
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Adds to a count, which stays at the largest number rather than beginning anew.
#[inline]
pub fn increase(count: &AtomicU64, by: u64) {
    // An exchange would cost a hit a twentieth.
    let sum = count.load(Ordering::Relaxed).saturating_add(by);
    count.store(sum, Ordering::Relaxed);
}

fn count_reason(refusals: &mut BTreeMap<String, u64>, reason: &str, by: u64) {
    let reason = shortened(reason);
    let is_known = refusals.contains_key(&reason) || refusals.len() < MOST_REASONS;
    let counted = if is_known {
        reason
    } else {
        OTHER_REASONS.to_owned()
    };
    *refusals.entry(counted).or_default() += by;
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

/// The refusals that came last, of all functions of a cache.
#[derive(Default)]
pub struct LastRefusals(Mutex<VecDeque<Refusal>>);

/// Whose result was refused, why, the seconds since 1970 when it was, and the module of whose it is.
pub type Refusal = (String, String, f64, String);

impl LastRefusals {
    const MOST: usize = 50;

    /// Notes that a result of `name` in `module` is refused.
    pub fn note(&self, name: &str, module: &str, reason: &str) {
        let at = clock::wall().as_secs_f64();
        let refusal = (shortened(name), shortened(reason), at, shortened(module));
        let mut last = lock(&self.0);
        last.truncate(Self::MOST - 1);
        last.push_front(refusal);
    }

    /// The newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Refusal> {
        lock(&self.0).iter().cloned().collect()
    }

    /// Begins anew.
    pub fn reset(&self) {
        lock(&self.0).clear();
    }
}

/// The caller guarantees to run nothing of Python's meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
