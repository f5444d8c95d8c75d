//! The file store's bound in bytes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use flask_caching_engine::Lifetime::{Expired, For, Forever};
use flask_caching_engine::backend::file::{FileOptions, FileStore};
use flask_caching_engine::backend::{Backend, Value};

fn open(directory: &Path, max_bytes: u64) -> FileStore {
    FileStore::open(FileOptions {
        max_bytes,
        threshold: 0,
        ..FileOptions::new(directory)
    })
    .unwrap()
}

fn value(size: usize) -> Value {
    Value::from(vec![b'x'; size])
}

fn set(store: &FileStore, key: &str, size: usize) -> bool {
    store.set(key.as_bytes(), &value(size), Forever).unwrap()
}

fn has(store: &FileStore, key: &str) -> bool {
    store.has(key.as_bytes()).unwrap()
}

/// What the files of all entries take.
fn taken(store: &FileStore) -> u64 {
    let paths = store.paths().unwrap();
    let sizes = paths.iter().map(|path| fs::metadata(path).unwrap().len());
    sizes.sum()
}

#[test]
fn the_files_stay_within_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 20_000);
    for number in 0_usize..300 {
        let key = (number % 90).to_string();
        assert!(set(&store, &key, (number * 37) % 900));
        assert!(has(&store, &key));
        assert!(taken(&store) <= 20_000);
        assert_eq!(store.bytes(), taken(&store));
    }
    assert!(taken(&store) > 15_000);
}

#[test]
fn what_goes_is_discounted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 20_000);
    set(&store, "a", 1000);
    set(&store, "a", 10);
    assert_eq!(store.bytes(), taken(&store));
    store.delete(b"a").unwrap();
    assert_eq!(store.bytes(), 0);
    set(&store, "a", 1000);
    store.set(b"a", &value(1), Expired).unwrap();
    assert_eq!(store.bytes(), 0);
    store.incr(b"n", 9, Forever).unwrap();
    store.incr(b"n", 1, Forever).unwrap();
    assert_eq!(store.bytes(), taken(&store));
    store.extend(b"n", For(Duration::from_secs(5))).unwrap();
    assert_eq!(store.bytes(), taken(&store));
    store.clear().unwrap();
    assert_eq!(store.bytes(), 0);
}

#[test]
fn what_is_too_large_takes_nobodys_place_and_leaves_no_old_value() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 20_000);
    for number in 0..20 {
        set(&store, &number.to_string(), 500);
    }
    assert!(!set(&store, "0", 6000));
    assert!(!store.add(b"1", &value(6000), Forever).unwrap());
    assert!(!store.add(b"new", &value(6000), Forever).unwrap());
    assert!(!has(&store, "0"));
    assert!((1..20).all(|number| has(&store, &number.to_string())));
    assert_eq!(store.bytes(), taken(&store));
}

#[test]
fn few_large_entries_do_not_empty_the_directory_of_many() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 200_000);
    for number in 0..200 {
        set(&store, &number.to_string(), 100);
    }
    for number in 0..50 {
        assert!(set(&store, &format!("large{number}"), 45_000));
    }
    let left = (0..200).filter(|number| has(&store, &number.to_string()));
    assert!(left.count() >= 150);
}

#[test]
fn both_bounds_hold() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(FileOptions {
        max_bytes: 10_000,
        threshold: 20,
        ..FileOptions::new(directory.path())
    })
    .unwrap();
    for number in 0..60 {
        set(&store, &number.to_string(), 10);
        assert!(store.paths().unwrap().len() <= 20);
    }
    for number in 0..60 {
        set(&store, &number.to_string(), 1500);
        assert!(taken(&store) <= 10_000);
        assert_eq!(store.len(), store.paths().unwrap().len() as u64);
    }
}

#[test]
fn what_others_wrote_is_counted_when_room_is_needed_and_when_the_directory_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let bounded = open(directory.path(), 20_000);
    let unbounded = open(directory.path(), 0);
    set(&bounded, "a", 100);
    for number in 0..50 {
        set(&unbounded, &number.to_string(), 1000);
    }
    for number in 50..80 {
        set(&bounded, &number.to_string(), 1000);
    }
    assert!(taken(&bounded) <= 20_000, "{}", taken(&bounded));
    for number in 0..50 {
        set(&unbounded, &number.to_string(), 1000);
    }
    let bounded = open(directory.path(), 20_000);
    assert_eq!(bounded.bytes(), taken(&bounded));
    set(&bounded, "a", 100);
    assert!(taken(&bounded) <= 20_000);
}

#[test]
fn a_sum_that_is_lost_is_counted_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 20_000);
    for contents in [None, Some(&b"abc"[..]), Some(&[255; 8][..])] {
        for number in 0..30 {
            set(&store, &number.to_string(), 700);
        }
        let path = directory.path().join("bytes.__wz_cache");
        match contents {
            None => fs::remove_file(path).unwrap(),
            Some(contents) => fs::write(path, contents).unwrap(),
        }
        set(&store, "more", 700);
        assert!(has(&store, "more"));
        assert!(taken(&store) <= 20_000);
        assert_eq!(store.bytes(), taken(&store));
    }
}

#[test]
fn stores_of_one_directory_stay_within_the_bound_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    thread::scope(|scope| {
        for thread in 0_usize..3 {
            scope.spawn(move || {
                let store = open(path, 20_000);
                for step in 0_usize..150 {
                    let key = ((step * 7 + thread) % 40).to_string();
                    if step % 5 == 0 {
                        store.delete(key.as_bytes()).unwrap();
                    } else {
                        set(&store, &key, (step * 13) % 1000);
                    }
                    assert!(store.bytes() <= 21_000);
                }
            });
        }
    });
    let store = open(path, 20_000);
    assert!(taken(&store) <= 20_000);
    assert_eq!(store.bytes(), taken(&store));
}
