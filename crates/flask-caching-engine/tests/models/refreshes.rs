//! Of those who find an old value, one computes it anew; and a deletion wins over what that comes to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::Lifetime::Forever;
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::flight::Flights;
use flask_caching_engine::refreshes::Refreshes;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

use crate::explore;

const KEY: &[u8] = b"key";
const SCOPE: u64 = 1;

/// An old value, and who refreshes it.
struct World {
    source: AtomicU32,
    store: MemoryStore<u32>,
    flights: Arc<Flights>,
    refreshes: Arc<Refreshes>,
    /// How many refresh it now, and have refreshed it.
    under_way: AtomicU32,
    begun: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        let world = Self {
            source: AtomicU32::new(1),
            store: MemoryStore::new(2),
            flights: Arc::new(Flights::new()),
            refreshes: Refreshes::new(),
            under_way: AtomicU32::new(0),
            begun: AtomicU32::new(0),
        };
        world.store.set(KEY, 0, Forever);
        Arc::new(world)
    }

    fn find(&self) -> Option<u32> {
        self.store.read(KEY, |value| *value)
    }

    /// Who finds the old value has it, and refreshes it where nobody else does.
    fn ask(&self) {
        self.refresh(|_| {
            let flight = self.flights.begin(SCOPE, KEY, []);
            let result = self.source.load(Ordering::SeqCst);
            let Some(write) = flight.begin_write() else {
                return;
            };
            self.store.set(KEY, result, Forever);
            let _ = write.end(|| {
                self.store.delete(KEY);
                Ok::<_, Infallible>(())
            });
        });
    }

    /// The same, of a source that is down.
    fn ask_in_vain(&self) {
        self.refresh(|world| {
            let hour = Duration::from_secs(3600);
            world.refreshes.fail(SCOPE, KEY, hour);
        });
    }

    fn refresh(&self, compute: impl FnOnce(&Self)) {
        let looked = self.refreshes.ended();
        if self.find() != Some(0) {
            return;
        }
        let Some(refreshing) = self.refreshes.begin(SCOPE, KEY, Some(looked)) else {
            return;
        };
        assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two");
        self.begun.fetch_add(1, Ordering::SeqCst);
        compute(self);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        drop(refreshing);
    }

    /// The source changes, and what was computed from it is deleted.
    fn change(&self) {
        let new = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        self.flights.supersede(SCOPE, [KEY]).wait();
        self.store.delete(KEY);
        assert!(self.find().is_none_or(|found| found >= new));
    }
}

fn at_once(world: &Arc<World>, threads: &[fn(&World)]) {
    let started: Vec<_> = threads
        .iter()
        .map(|&act| {
            let world = Arc::clone(world);
            thread::spawn(move || act(&world))
        })
        .collect();
    for thread in started {
        thread.join().unwrap();
    }
}

#[test]
fn one_at_a_time_and_none_stays_under_way() {
    explore(|| {
        let world = World::new();
        at_once(&world, &[World::ask, World::ask, World::ask]);
        assert_eq!(world.begun.load(Ordering::SeqCst), 1);
        assert_eq!(world.find(), Some(1));
        assert!(world.refreshes.begin(SCOPE, KEY, None).is_some());
    });
}

#[test]
fn a_deletion_during_a_refresh_wins() {
    explore(|| {
        let world = World::new();
        at_once(&world, &[World::ask, World::change, World::ask]);
        assert!(world.find().is_none_or(|found| found == 2));
        assert!(world.refreshes.begin(SCOPE, KEY, None).is_some());
    });
}

#[test]
fn after_one_that_failed_nobody_tries() {
    explore(|| {
        let world = World::new();
        at_once(
            &world,
            &[World::ask_in_vain, World::ask_in_vain, World::ask_in_vain],
        );
        assert_eq!(world.begun.load(Ordering::SeqCst), 1);
        assert!(world.refreshes.has_failed(SCOPE, KEY));
        assert!(world.refreshes.begin(SCOPE, KEY, None).is_none());
        assert_eq!(world.find(), Some(0));
    });
}
