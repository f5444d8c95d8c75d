//! A deletion wins over a result that comes late.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::Lifetime::Forever;
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::flight::{Flight, Flights, Joined, Landing, Write};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

use crate::explore;

const KEY: &[u8] = b"key";
const VERSION: &[u8] = b"version";
/// What the entry depends on: deleted, it takes the entry with it.
const NAME: &[u8] = b"name";
const SCOPE: u64 = 1;

/// Results computed from a source that changes, and what is under way.
struct World {
    source: AtomicU32,
    store: MemoryStore<u32>,
    flights: Arc<Flights>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            source: AtomicU32::new(0),
            store: MemoryStore::new(2),
            flights: Arc::new(Flights::new()),
        })
    }

    fn find(&self) -> Option<u32> {
        self.store.read(KEY, |value| *value)
    }

    /// A call: what is found, or the result, which is stored where it may be.
    fn call(&self) -> u32 {
        if let Some(found) = self.find() {
            return found;
        }
        let flight = self.flights.begin(SCOPE, KEY, [VERSION, NAME]);
        let result = self.source.load(Ordering::SeqCst);
        self.land(&flight, result);
        result
    }

    fn land(&self, flight: &Flight, result: u32) {
        let Some(write) = flight.begin_write() else {
            return;
        };
        if let Some(stored) = self.store.set(KEY, result, Forever) {
            self.store.guard(stored, [NAME]);
        }
        self.end(write);
    }

    fn end(&self, write: Write<'_>) {
        let undo = || {
            self.store.delete(KEY);
            Ok::<_, Infallible>(())
        };
        let _ = write.end(undo);
    }

    /// The source changes, and who knows that computes it, whatever is found and whoever is at it.
    fn compute_anew(&self) {
        self.source.fetch_add(1, Ordering::SeqCst);
        let flight = self.flights.begin(SCOPE, KEY, [VERSION, NAME]);
        let result = self.source.load(Ordering::SeqCst);
        flight.supersede_earlier().wait();
        self.land(&flight, result);
    }

    /// The source changes, and what was computed from it is deleted by `delete`: from then on nobody
    /// finds anything older.
    fn change(&self, delete: impl Fn(&Self)) {
        let new = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        delete(self);
        assert!(self.find().is_none_or(|found| found >= new));
    }

    fn delete(&self) {
        self.flights.supersede(SCOPE, [KEY]).wait();
        self.store.delete(KEY);
    }

    fn delete_by_name(&self) {
        self.flights.supersede(SCOPE, [NAME]).wait();
        self.store.delete_guarded(NAME);
    }

    fn delete_by_version(&self) {
        self.flights.supersede(SCOPE, [VERSION]).wait();
        self.store.delete(KEY);
    }

    fn replace_version(&self) {
        let (hold, overtaken) = self.flights.hold(SCOPE, [VERSION]);
        overtaken.wait();
        self.store.delete(KEY);
        drop(hold);
    }

    fn clear(&self) {
        self.flights.supersede_all(SCOPE).wait();
        self.store.clear();
    }

    fn over(&self) {
        let newest = self.source.load(Ordering::SeqCst);
        assert!(self.find().is_none_or(|found| found == newest));
        assert!(self.flights.is_empty(), "a flight stays registered");
    }
}

/// Runs `threads` at once, and looks at what they leave.
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
    world.over();
}

fn call(world: &World) {
    world.call();
}

fn call_twice(world: &World) {
    world.call();
    world.call();
}

#[test]
fn what_was_computed_before_a_deletion_is_not_found_after_it() {
    explore(|| {
        let delete_twice = |world: &World| {
            world.change(World::delete);
            world.change(World::delete);
        };
        at_once(&World::new(), &[call_twice, call_twice, delete_twice]);
    });
}

#[test]
fn what_was_computed_anew_is_not_replaced_by_what_is_older() {
    explore(|| {
        let world = World::new();
        at_once(&world, &[call, World::compute_anew, World::compute_anew]);
        assert_eq!(world.find(), Some(2));
    });
}

#[test]
fn however_it_is_deleted() {
    explore(|| {
        let threads: [fn(&World); 5] = [
            call_twice,
            |world| world.change(World::delete_by_name),
            |world| world.change(World::delete_by_version),
            |world| world.change(World::replace_version),
            |world| world.change(World::clear),
        ];
        at_once(&World::new(), &threads);
    });
}

#[test]
fn who_deletes_what_another_is_deleting_does_not_find_it() {
    explore(|| {
        let by_name = |world: &World| world.change(World::delete_by_name);
        let world = World::new();
        world.call();
        at_once(
            &world,
            &[by_name, by_name, |world| world.change(World::clear)],
        );
    });
}

#[test]
fn several_deletions_wait_for_one_write_and_all_are_woken() {
    explore(|| {
        let delete = |world: &World| world.change(World::delete);
        let clear = |world: &World| world.change(World::clear);
        at_once(&World::new(), &[call, delete, delete, clear]);
    });
}

#[test]
fn a_write_that_was_not_waited_for_is_taken_back() {
    explore(|| {
        // As a deletion that has waited for as long as it may.
        let impatient = |world: &World| {
            world.source.fetch_add(1, Ordering::SeqCst);
            drop(world.flights.supersede(SCOPE, [KEY]));
            world.store.delete(KEY);
        };
        at_once(&World::new(), &[call, call, impatient, impatient]);
    });
}

#[test]
fn a_deletion_in_the_middle_of_a_write_on_its_thread_does_not_wait() {
    explore(|| {
        let deletes_within = |world: &World| {
            let flight = world.flights.begin(SCOPE, KEY, [VERSION, NAME]);
            let result = world.source.load(Ordering::SeqCst);
            if let Some(write) = flight.begin_write() {
                world.store.set(KEY, result, Forever);
                world.source.fetch_add(1, Ordering::SeqCst);
                world.delete();
                world.end(write);
            }
        };
        let delete = |world: &World| world.change(World::delete);
        at_once(&World::new(), &[deletes_within, call, delete]);
    });
}

#[test]
fn what_is_set_after_a_deletion_stays() {
    explore(|| {
        let replace = |world: &World| {
            world.change(World::delete);
            let newest = world.source.load(Ordering::SeqCst);
            world.store.set(KEY, newest, Forever);
        };
        let world = World::new();
        at_once(&world, &[call, replace]);
        assert_eq!(world.find(), Some(1));
    });
}

#[test]
fn a_write_on_one_key_holds_up_no_deletion_of_another() {
    explore(|| {
        let world = World::new();
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.flights.supersede(SCOPE, [b"other".as_slice()]).wait();
                world.flights.supersede_all(SCOPE + 1).wait();
            })
        };
        let flight = world.flights.begin(SCOPE, KEY, [VERSION, NAME]);
        let write = flight.begin_write();
        other.join().unwrap();
        drop(write);
        drop(flight);
        world.over();
    });
}

/// Computes what nobody else is computing; `fails` of those who compute fail.
fn join(world: &World, who: usize, computed: &AtomicU32, fails: u32) -> Option<u32> {
    loop {
        if let Some(found) = world.find() {
            return Some(found);
        }
        match world.flights.join(SCOPE, KEY, [VERSION, NAME], who) {
            Joined::Lead(flight) => {
                let result = world.source.load(Ordering::SeqCst);
                if computed.fetch_add(1, Ordering::SeqCst) < fails {
                    return None;
                }
                world.land(&flight, result);
                flight.land(Landing::Shared(Some(Arc::new(result))));
                return Some(result);
            }
            Joined::Follow(follower) => {
                let waiting = follower.wait([who]).expect("nobody waits for himself");
                // A wait that is not ended by the leader is found: here no wait ends by its time.
                let landing = waiting.landing_within(Duration::from_secs(1));
                match landing.expect("it has ended") {
                    Landing::Shared(payload) => {
                        return payload?.downcast_ref().copied();
                    }
                    Landing::Refused => unreachable!("nothing is refused"),
                    Landing::Failed => {}
                }
            }
        }
    }
}

#[test]
fn one_computes_and_the_others_are_woken() {
    explore(|| {
        let (world, computed) = (World::new(), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (1..4)
            .map(|who| {
                let (world, computed) = (Arc::clone(&world), Arc::clone(&computed));
                thread::spawn(move || join(&world, who, &computed, 0))
            })
            .collect();
        let answers = threads.into_iter().map(|it| it.join().unwrap());
        assert!(answers.into_iter().all(|answer| answer == Some(0)));
        assert!(world.flights.is_empty());
    });
}

#[test]
fn where_one_fails_another_computes() {
    explore(|| {
        let (world, computed) = (World::new(), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (1..4)
            .map(|who| {
                let (world, computed) = (Arc::clone(&world), Arc::clone(&computed));
                thread::spawn(move || join(&world, who, &computed, 1))
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(answers.iter().flatten().count(), 2);
    });
}

#[test]
fn nobody_who_asks_after_a_deletion_gets_what_is_older() {
    explore(|| {
        let (world, computed) = (World::new(), Arc::new(AtomicU32::new(0)));
        let others: Vec<_> = (1..3)
            .map(|who| {
                let (world, computed) = (Arc::clone(&world), Arc::clone(&computed));
                thread::spawn(move || join(&world, who, &computed, 0))
            })
            .collect();
        let new = world.source.fetch_add(1, Ordering::SeqCst) + 1;
        world.delete_by_version();
        assert!(join(&world, 3, &computed, 0) >= Some(new));
        for other in others {
            other.join().unwrap();
        }
        assert!(world.find().is_none_or(|found| found >= new));
    });
}

#[test]
fn a_circle_is_found_by_its_last() {
    explore(|| {
        let flights = Arc::new(Flights::new());
        let threads: Vec<_> = (1..4_usize)
            .map(|who| {
                let flights = Arc::clone(&flights);
                thread::spawn(move || {
                    let mine = flights.join(SCOPE, &[u8::try_from(who).unwrap()], [], who);
                    let next = flights.join(SCOPE, &[u8::try_from(who % 3 + 1).unwrap()], [], who);
                    if let Joined::Follow(follower) = next
                        && let Some(waiting) = follower.wait([who])
                    {
                        waiting.landing_within(Duration::from_secs(1)).unwrap();
                    }
                    drop(mine);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
