//! What the in-process store promises, whatever threads do at once.

use std::sync::Arc;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::backend::memory::Handle;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::explore;

type Store = MemoryStore<u32>;

const KEYS: [&[u8]; 6] = [b"0", b"1", b"2", b"3", b"4", b"5"];

fn store(threshold: usize) -> Arc<Store> {
    Arc::new(Store::new(threshold))
}

/// Runs `threads` at once; each is told its number.
fn at_once(threads: usize, act: impl Fn(u32) + Clone + Send + 'static) {
    let started: Vec<_> = (0..u32::try_from(threads).unwrap())
        .map(|number| {
            let act = act.clone();
            thread::spawn(move || act(number))
        })
        .collect();
    for thread in started {
        thread.join().unwrap();
    }
}

fn any_key() -> &'static [u8] {
    KEYS[thread_rng().gen_range(0..KEYS.len())]
}

/// An operation of any kind, on any key.
fn step(store: &Store) {
    let key = any_key();
    match thread_rng().gen_range(0..8) {
        0..3 => drop(store.set(key, 0, Forever)),
        3..5 => drop(store.add(key, 0, Forever)),
        5 => drop(store.delete(key)),
        6 => drop(store.set(key, 0, Expired)),
        _ => store.clear(),
    }
}

/// What is counted is what there is.
fn is_consistent(store: &Store) {
    let found = store.collect(|_, _, _| ()).len();
    assert_eq!(store.len(), found);
    assert!(found <= store.threshold());
}

#[test]
fn the_count_is_never_above_the_threshold_and_right_in_the_end() {
    // One shard and two.
    for threshold in [2, 3] {
        explore(move || {
            let store = store(threshold);
            at_once(3, {
                let store = Arc::clone(&store);
                move |_| {
                    for _ in 0..3 {
                        step(&store);
                        assert!(store.len() <= threshold);
                    }
                }
            });
            is_consistent(&store);
        });
    }
}

#[test]
fn a_full_store_takes_every_write() {
    explore(|| {
        let store = store(3);
        at_once(3, {
            let store = Arc::clone(&store);
            move |number| {
                for round in 0..2 {
                    let key = KEYS[(number * 2 + round) as usize];
                    assert!(store.set(key, number, Forever).is_some());
                }
            }
        });
        assert_eq!(store.len(), 3, "an entry goes only where another comes");
        is_consistent(&store);
    });
}

#[test]
fn a_lower_threshold_holds_once_it_is_set() {
    explore(|| {
        let store = store(5);
        at_once(3, {
            let store = Arc::clone(&store);
            move |number| {
                if number == 0 {
                    store.set_threshold(2);
                    assert!(store.len() <= 2);
                } else {
                    for key in &KEYS[..3] {
                        store.set(key, number, Forever);
                    }
                }
            }
        });
        is_consistent(&store);
    });
}

#[test]
fn of_several_that_add_a_key_one_does() {
    explore(|| {
        let store = store(3);
        let winners = Arc::new(Mutex::new(Vec::new()));
        at_once(3, {
            let (store, winners) = (Arc::clone(&store), Arc::clone(&winners));
            move |number| {
                if store.add(KEYS[0], number, Forever) {
                    winners.lock().unwrap().push(number);
                }
            }
        });
        let winners = winners.lock().unwrap();
        assert_eq!(winners.len(), 1);
        assert_eq!(store.read(KEYS[0], |value| *value), Some(winners[0]));
    });
}

#[test]
fn no_change_of_a_value_is_lost() {
    explore(|| {
        let store = store(3);
        store.set(KEYS[0], 0, Forever);
        at_once(3, {
            let store = Arc::clone(&store);
            move |_| {
                for _ in 0..2 {
                    store.modify(KEYS[0], |value| *value += 1);
                }
            }
        });
        assert_eq!(store.read(KEYS[0], |value| *value), Some(6));
    });
}

#[test]
fn a_handle_finds_its_value_or_none() {
    explore(|| {
        let store = store(3);
        let handles = Arc::new(Mutex::new(Vec::<(Handle, u32)>::new()));
        at_once(3, {
            let (store, handles) = (Arc::clone(&store), Arc::clone(&handles));
            move |number| {
                for round in 0..3 {
                    // No other write has this value.
                    let value = number * 10 + round;
                    if let Some(handle) = store.set(any_key(), value, Forever) {
                        handles.lock().unwrap().push((handle, value));
                    }
                    step(&store);
                    let known = handles.lock().unwrap().clone();
                    for (handle, value) in known {
                        let found = store.read_handle(handle, |value| *value);
                        assert!(found.is_none_or(|found| found == value));
                    }
                }
            }
        });
        is_consistent(&store);
    });
}

#[test]
fn a_deletion_by_handle_leaves_what_came_after() {
    explore(|| {
        let store = store(3);
        let old = store.set(KEYS[0], 0, Forever).unwrap();
        at_once(2, {
            let store = Arc::clone(&store);
            move |number| {
                if number == 0 {
                    store.delete_handle(KEYS[0], old);
                } else {
                    store.set(KEYS[0], 1, Forever);
                }
            }
        });
        assert_eq!(store.read(KEYS[0], |value| *value), Some(1));
        is_consistent(&store);
    });
}

#[test]
fn what_a_guard_guards_is_not_found_once_the_guard_is_deleted() {
    explore(|| {
        let store = store(4);
        // In one shard and in two.
        let values: Vec<_> = KEYS[..3]
            .iter()
            .map(|key| store.set(key, 0, Forever).unwrap())
            .collect();
        let guard = values[0];
        at_once(2, {
            let store = Arc::clone(&store);
            move |number| {
                if number == 0 {
                    store.delete(KEYS[0]);
                    for value in &values[1..] {
                        let found = store
                            .reader()
                            .read_guarded(&[guard], *value, |value| *value);
                        assert_eq!(found, None);
                    }
                } else {
                    step(&store);
                    store.set(KEYS[0], 1, Forever);
                }
            }
        });
    });
}
