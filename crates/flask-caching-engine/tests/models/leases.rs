//! Leases: of all processes one computes, and a deletion by any of them wins over a result that comes late.
//! A process is a table of flights here; all share a store, and hear nothing else of each other.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::flight::{Flight, Flights, Joined, Landing};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

use crate::explore;

const KEY: &[u8] = b"key";
const SCOPE: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    /// Who has this token computes the value.
    Leased(u32),
    Value(u32),
}

/// What processes share.
struct World {
    source: AtomicU32,
    store: MemoryStore<Entry>,
    tokens: AtomicU32,
    computed: AtomicU32,
}

#[derive(Clone)]
struct Process {
    world: Arc<World>,
    flights: Arc<Flights>,
}

/// `number` processes.
fn processes(number: usize) -> Vec<Process> {
    let world = Arc::new(World {
        source: AtomicU32::new(0),
        store: MemoryStore::new(2),
        tokens: AtomicU32::new(0),
        computed: AtomicU32::new(0),
    });
    (0..number)
        .map(|_| Process {
            world: Arc::clone(&world),
            flights: Arc::new(Flights::new()),
        })
        .collect()
}

impl World {
    fn find(&self) -> Option<Entry> {
        self.store.read(KEY, |entry| *entry)
    }

    /// The source changes, and what was computed from it is deleted; returns what is to be found from
    /// then on.
    fn change(&self) -> u32 {
        let new = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        self.store.delete(KEY);
        new
    }

    /// The time of whoever computes is over: he is frozen, or was killed.
    fn expire(&self) {
        if let Some(leased @ Entry::Leased(_)) = self.find() {
            self.store.set_if(KEY, &leased, leased, Expired);
        }
    }
}

impl Process {
    /// A call; `who` makes it: a number that no other call of its process has.
    fn call(&self, who: usize) -> u32 {
        loop {
            if let Some(Entry::Value(found)) = self.world.find() {
                return found;
            }
            match self.flights.join(SCOPE, KEY, [], who) {
                Joined::Lead(flight) => return self.lead(&flight),
                Joined::Follow(follower) => {
                    let waiting = follower.wait([who]).expect("nobody waits for himself");
                    let landing = waiting.landing_within(Duration::from_secs(1));
                    if let Landing::Shared(Some(payload)) = landing.expect("it has ended") {
                        return *payload.downcast_ref().unwrap();
                    }
                }
            }
        }
    }

    /// Computes under a lease, or waits for another process that does.
    fn lead(&self, flight: &Flight) -> u32 {
        let World {
            source,
            store,
            tokens,
            computed,
        } = &*self.world;
        let leased = Entry::Leased(tokens.fetch_add(1, Ordering::SeqCst));
        while !store.add(KEY, leased, Forever) {
            if let Some(Entry::Value(found)) = self.world.find() {
                flight.land(Landing::Shared(None));
                return found;
            }
            thread::yield_now();
        }
        computed.fetch_add(1, Ordering::SeqCst);
        let result = source.load(Ordering::SeqCst);
        flight.close();
        if store.set_if(KEY, &leased, Entry::Value(result), Forever) {
            flight.land(Landing::Shared(Some(Arc::new(result))));
        }
        result
    }
}

/// Runs a call for each of `callers`, and `act` beside them.
fn at_once(callers: &[Process], act: impl FnOnce() + Send + 'static) {
    let mut threads = vec![thread::spawn(act)];
    for (who, process) in callers.iter().enumerate() {
        let process = process.clone();
        threads.push(thread::spawn(move || {
            process.call(who + 1);
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(callers.iter().all(|process| process.flights.is_empty()));
}

#[test]
fn one_of_all_processes_computes() {
    explore(|| {
        let all = processes(2);
        let callers = [all[0].clone(), all[0].clone(), all[1].clone()];
        at_once(&callers, || {});
        assert_eq!(all[0].world.computed.load(Ordering::SeqCst), 1);
        assert_eq!(all[0].world.find(), Some(Entry::Value(0)));
    });
}

#[test]
fn nobody_who_asks_after_a_deletion_elsewhere_gets_what_is_older() {
    explore(|| {
        let all = processes(2);
        let (asks, changes) = (all[0].clone(), all[1].clone());
        at_once(&[all[0].clone(), all[0].clone()], move || {
            for _ in 0..2 {
                let new = changes.world.change();
                assert!(asks.call(9) >= new);
                assert!(changes.call(9) >= new);
            }
        });
    });
}

#[test]
fn who_was_frozen_stores_nothing_that_was_deleted_meanwhile() {
    explore(|| {
        let all = processes(3);
        let world = Arc::clone(&all[2].world);
        let asks = all[2].clone();
        at_once(&all[..2], move || {
            world.expire();
            let new = world.change();
            world.expire();
            assert!(asks.call(9) >= new);
        });
        let newest = all[0].world.source.load(Ordering::SeqCst);
        let found = all[0].world.find();
        assert!(found.is_none_or(|found| found == Entry::Value(newest)));
    });
}
