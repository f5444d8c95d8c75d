//! What calls of several processes do about a lease, a note that one has left, or an old value: see
//! [`Claimant::step`]. They share a store, and hear nothing else of each other.

use std::sync::Arc;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::lease::{Claimant, Found, Step};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

use crate::explore;

const KEY: &[u8] = b"key";

/// What a lease, or who had it, says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Nothing,
    Held(u32),
    Refused,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    value: Option<u32>,
    outcome: Outcome,
}

/// What a computation comes to.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Stored,
    Refused,
    Failed,
}

struct World {
    source: AtomicU32,
    store: MemoryStore<Entry>,
    tokens: AtomicU32,
    /// How many compute under a lease now, and have computed in any way.
    leading: AtomicU32,
    computed: AtomicU32,
    /// Whether something takes leases away, so that several may compute.
    is_disturbed: bool,
}

/// An old value, which is 0, or nothing.
fn world(is_old: bool, is_disturbed: bool) -> Arc<World> {
    let world = World {
        source: AtomicU32::new(1),
        store: MemoryStore::new(2),
        tokens: AtomicU32::new(0),
        leading: AtomicU32::new(0),
        computed: AtomicU32::new(0),
        is_disturbed,
    };
    if is_old {
        let (value, outcome) = (Some(0), Outcome::Nothing);
        world.store.set(KEY, Entry { value, outcome }, Forever);
    }
    Arc::new(world)
}

const USUAL: Claimant = Claimant {
    is_forced: false,
    is_background: false,
    may_look_again: true,
};
const BACKGROUND: Claimant = Claimant {
    is_background: true,
    ..USUAL
};
const FORCED: Claimant = Claimant {
    is_forced: true,
    ..USUAL
};

impl World {
    fn find(&self) -> Option<Entry> {
        self.store.read(KEY, |entry| *entry)
    }

    fn call(&self, claimant: Claimant, ends: Ends) {
        loop {
            let entry = self.find();
            let found = match entry {
                None => Found::Nothing,
                Some(entry) => match (entry.outcome, entry.value) {
                    (Outcome::Held(_), _) => Found::Held,
                    (Outcome::Refused, _) => Found::Refused,
                    (Outcome::Failed, _) => Found::Failed,
                    (Outcome::Nothing, Some(0) | None) => Found::Value,
                    (Outcome::Nothing, Some(_)) => Found::Answer,
                },
            };
            let value = entry.and_then(|entry| entry.value);
            let outcome = Outcome::Held(self.tokens.fetch_add(1, Ordering::SeqCst));
            let leased = Entry { value, outcome };
            let step = claimant.step(found);
            let has_it = match (step, entry) {
                (Step::Take, _) => self.store.add(KEY, leased, Forever),
                (Step::Seize | Step::TakeOver, Some(entry)) => {
                    self.store.set_if(KEY, &entry, leased, Forever)
                }
                (Step::Watch, Some(entry)) => {
                    return self.compute_beside(entry, ends);
                }
                (Step::LookAgain | Step::Decline, _) => {
                    assert!(found != Found::Nothing, "nobody else computes it");
                    return;
                }
                _ => false,
            };
            if has_it {
                return self.lead(leased, ends);
            }
            thread::yield_now();
        }
    }

    fn lead(&self, leased: Entry, ends: Ends) {
        let others = self.leading.fetch_add(1, Ordering::SeqCst);
        assert!(others == 0 || self.is_disturbed, "two compute");
        let result = self.compute();
        self.leading.fetch_sub(1, Ordering::SeqCst);
        let old = leased.value;
        let (value, outcome, lifetime) = match ends {
            Ends::Stored => (Some(result), Outcome::Nothing, Forever),
            Ends::Refused => (old, Outcome::Refused, Forever),
            Ends::Failed if old.is_none() => (old, Outcome::Nothing, Expired),
            Ends::Failed => (old, Outcome::Failed, Forever),
        };
        self.store
            .set_if(KEY, &leased, Entry { value, outcome }, lifetime);
    }

    /// Computes although somebody else may: a result is stored in the place of what he has left there.
    fn compute_beside(&self, expected: Entry, ends: Ends) {
        let value = Some(self.compute());
        let outcome = Outcome::Nothing;
        if ends == Ends::Stored {
            self.store
                .set_if(KEY, &expected, Entry { value, outcome }, Forever);
        }
    }

    fn compute(&self) -> u32 {
        self.computed.fetch_add(1, Ordering::SeqCst);
        self.source.load(Ordering::SeqCst)
    }

    /// The source changes, and what was computed from it is deleted: nobody finds anything older.
    fn change(&self) {
        let new = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        self.store.delete(KEY);
        let found = self.find().and_then(|entry| entry.value);
        assert!(found.is_none_or(|found| found >= new));
    }
}

/// Makes each of `calls` on a thread of its own, and `act` beside them; returns what is there then.
fn at_once(
    world: &Arc<World>,
    calls: &[(Claimant, Ends)],
    act: impl FnOnce(&World) + Send + 'static,
) -> Option<Entry> {
    let beside = Arc::clone(world);
    let mut threads = vec![thread::spawn(move || act(&beside))];
    for &(claimant, ends) in calls {
        let world = Arc::clone(world);
        threads.push(thread::spawn(move || world.call(claimant, ends)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let found = world.find();
    let is_held = found.is_some_and(|entry| matches!(entry.outcome, Outcome::Held(_)));
    assert!(!is_held, "a lease stays behind");
    found
}

#[test]
fn one_computes_an_old_value_anew_and_refreshes_leave_it_to_who_does() {
    explore(|| {
        let world = world(true, false);
        let calls = [
            (BACKGROUND, Ends::Stored),
            (BACKGROUND, Ends::Stored),
            (USUAL, Ends::Stored),
        ];
        let found = at_once(&world, &calls, |_| {});
        assert_eq!(found.map(|entry| entry.value), Some(Some(1)));
        assert_eq!(world.computed.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn after_a_refusal_nobody_waits_and_a_result_that_may_be_stored_is() {
    for is_old in [false, true] {
        explore(move || {
            let calls = [
                (USUAL, Ends::Refused),
                (USUAL, Ends::Stored),
                (BACKGROUND, Ends::Refused),
            ];
            let found = at_once(&world(is_old, false), &calls, |_| {});
            // Who has seen the refusal of the second one stores in its place, too.
            let value = found.and_then(|entry| entry.value);
            assert!(
                value == Some(1) || found.is_some_and(|entry| entry.outcome == Outcome::Refused)
            );
        });
    }
}

#[test]
fn a_failure_hands_over_and_behind_an_old_value_is_told_to_refreshes() {
    for is_old in [false, true] {
        explore(move || {
            let calls = [
                (USUAL, Ends::Failed),
                (BACKGROUND, Ends::Failed),
                (USUAL, Ends::Stored),
            ];
            let found = at_once(&world(is_old, false), &calls, |_| {});
            assert!(is_old || found.is_none_or(|entry| entry.outcome == Outcome::Nothing));
        });
    }
}

#[test]
fn what_is_forced_is_what_is_stored() {
    explore(|| {
        let world = world(true, true);
        let calls = [(USUAL, Ends::Stored), (USUAL, Ends::Failed)];
        let found = at_once(&world, &calls, |world| {
            world.source.fetch_add(1, Ordering::SeqCst);
            world.call(FORCED, Ends::Stored);
        });
        assert_eq!(found.and_then(|entry| entry.value), Some(2));
    });
}

#[test]
fn a_deletion_wins_whatever_computations_come_to() {
    explore(|| {
        let world = world(true, true);
        let calls = [
            (USUAL, Ends::Stored),
            (BACKGROUND, Ends::Refused),
            (USUAL, Ends::Failed),
        ];
        let found = at_once(&world, &calls, |world| {
            world.change();
            world.call(USUAL, Ends::Stored);
        });
        let value = found.and_then(|entry| entry.value);
        assert!(value.is_none_or(|value| value == 2));
    });
}
