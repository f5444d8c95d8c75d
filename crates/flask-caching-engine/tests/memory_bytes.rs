//! The in-process store's bound in bytes.

use std::sync::Arc;
use std::thread;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::backend::memory::LARGEST_PART;
use flask_caching_engine::backend::{Backend, MemoryStore, Value};
use proptest::prelude::*;

type Store = MemoryStore<Vec<u8>>;

fn store(threshold: usize, max_bytes: usize) -> Store {
    MemoryStore::bounded(threshold, max_bytes, Vec::len)
}

fn has(store: &Store, key: usize) -> bool {
    store.contains(key.to_string().as_bytes())
}

/// What an entry takes beside its value, under a key of one byte.
fn overhead() -> usize {
    let store = store(10, 100_000);
    store.set(b"k", Vec::new(), Forever);
    store.bytes()
}

#[test]
fn a_store_without_a_bound_weighs_nothing() {
    let store = Store::new(10);
    store.set(b"k", vec![0; 1_000_000], Forever);
    assert_eq!(
        (store.bytes(), store.max_bytes(), store.len()),
        (0, None, 1)
    );
    assert_eq!(store.excess(b"k", &vec![0; 1_000_000]), None);
}

#[test]
fn what_is_gone_weighs_nothing() {
    let store = store(10, 100_000);
    store.set(b"k", vec![0; 1000], Forever);
    assert_eq!(store.bytes(), overhead() + 1000);
    store.set(b"k", vec![0; 10], Forever);
    assert_eq!(store.bytes(), overhead() + 10);
    store.delete(b"k");
    assert_eq!(store.bytes(), 0);
    store.set(b"k", vec![0; 10], Forever);
    store.set(b"k", vec![0; 10], Expired);
    assert_eq!(store.bytes(), 0);
    store.set(b"k", vec![0; 10], Forever);
    store.clear();
    assert_eq!(store.bytes(), 0);
    let handle = store.set(b"k", vec![0; 10], Forever).unwrap();
    assert!(store.replace(handle, vec![0; 30]));
    assert_eq!(store.bytes(), overhead() + 30);
}

#[test]
fn the_store_stays_within_its_bound() {
    for threshold in [500, 100_000] {
        let store = store(threshold, 100_000);
        for number in 0_usize..5000 {
            let value = vec![0; number % 997];
            store.set(number.to_string().as_bytes(), value, Forever);
            assert!(store.bytes() <= 100_000);
            assert!(has(&store, number));
        }
        assert!(store.bytes() > 90_000);
    }
}

#[test]
fn a_value_that_is_too_large_takes_nobodys_place_and_leaves_no_old_one() {
    let store = store(500, 100_000);
    for number in 0..50 {
        store.set(number.to_string().as_bytes(), vec![0; 1000], Forever);
    }
    let large = vec![0; 100_000 / LARGEST_PART];
    assert!(store.excess(b"0", &large).is_some());
    assert_eq!(store.set(b"0", large.clone(), Forever), None);
    assert!(!has(&store, 0));
    assert!(!store.add(b"1", large.clone(), Forever));
    assert!((1..50).all(|number| has(&store, number)));
    assert!(!store.add(b"new", large, Forever));
    assert_eq!(store.len(), 49);
}

#[test]
fn few_large_values_do_not_empty_the_store_of_many_that_are_used() {
    let store = store(10_000, 400_000);
    for number in 0..1000 {
        let key = number.to_string();
        store.set(key.as_bytes(), vec![0; 100], Forever);
        store.read(key.as_bytes(), |_| ());
    }
    for large in 0..100 {
        store.set(format!("large{large}").as_bytes(), vec![0; 90_000], Forever);
    }
    let left = (0..1000).filter(|number| has(&store, *number)).count();
    assert!(left >= 500, "{left}");
}

#[test]
fn a_number_that_grows_is_counted() {
    let store = MemoryStore::bounded(10, 10_000, |value: &Value| value.data.len());
    store.incr(b"n", 9, Forever).unwrap();
    let one_digit = store.bytes();
    store.incr(b"n", 1, Forever).unwrap();
    assert_eq!(store.bytes(), one_digit + 1);
}

#[test]
fn threads_stay_within_the_bound_together() {
    let store = Arc::new(store(100_000, 200_000));
    let threads: Vec<_> = (0_usize..4)
        .map(|thread| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for step in 0_usize..5000 {
                    let key = ((step * 7 + thread) % 600).to_string();
                    match step % 5 {
                        0 => drop(store.delete(key.as_bytes())),
                        1 => drop(store.add(key.as_bytes(), vec![0; step % 701], Forever)),
                        _ => drop(store.set(key.as_bytes(), vec![0; step % 1009], Forever)),
                    }
                    assert!(store.bytes() <= 200_000);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let held: usize = store
        .collect(|key, _, value| overhead() - 1 + key.len() + value.len())
        .iter()
        .sum();
    assert_eq!(store.bytes(), held);
}

proptest! {
    #[test]
    fn what_is_counted_is_what_there_is(
        steps in proptest::collection::vec((0..5_u8, 0..12_usize, 0..2500_usize), 0..150),
    ) {
        let (most, overhead) = (8000, overhead() - 1);
        let store = store(8, most);
        for (step, key, size) in steps {
            let key = key.to_string();
            let key = key.as_bytes();
            match step {
                0 => drop(store.delete(key)),
                1 => drop(store.add(key, vec![0; size], Forever)),
                2 => drop(store.set(key, vec![0; size], Expired)),
                _ => {
                    let is_refused = store.excess(key, &vec![0; size]).is_some();
                    let handle = store.set(key, vec![0; size], Forever);
                    prop_assert_eq!(handle.is_none(), is_refused);
                }
            }
            let held: usize = store.collect(|key, _, value| overhead + key.len() + value.len())
                .iter().sum();
            prop_assert_eq!(store.bytes(), held);
            prop_assert!(held <= most);
        }
    }
}
