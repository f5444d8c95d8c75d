//! What leaves a full store that processes share: the hit ratio is that of the in-process one.

use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::backend::lmdb::{LmdbStore, Options};
use flask_caching_engine::{Backend, Lifetime, Value};

const KEYS: usize = 10_000;
const KEPT: usize = 500;
const REQUESTS: usize = 60_000;

/// A generator of numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Requests of which the n-th key gets a share of 1 / n.
fn zipf() -> Vec<usize> {
    let mut total = 0.0;
    let sums: Vec<f64> = (1..=u32::try_from(KEYS).unwrap())
        .map(|rank| {
            total += 1.0 / f64::from(rank);
            total
        })
        .collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    (0..REQUESTS)
        .map(|_| {
            let at = numbers.share() * total;
            sums.partition_point(|sum| *sum < at)
        })
        .collect()
}

/// Of 1000 requests, how many find their key.
fn hits(store: &dyn Backend, requests: &[usize]) -> usize {
    let value = Value::from(b"value".to_vec());
    let mut hits = 0;
    for request in requests {
        let key = request.to_le_bytes();
        if store.get(&key).unwrap().is_some() {
            hits += 1;
        } else {
            store.set(&key, &value, Lifetime::Forever).unwrap();
        }
    }
    hits * 1000 / requests.len()
}

fn open(max_bytes: u64, threshold: usize) -> (LmdbStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = LmdbStore::open(Options {
        directory: directory.path().join("cache"),
        max_bytes,
        threshold: threshold as u64,
    });
    (store.unwrap(), directory)
}

#[test]
fn the_hit_ratio_is_at_most_three_points_below_that_of_the_in_process_store() {
    let requests = zipf();
    let (store, _directory) = open(64 << 20, KEPT);
    let shared = hits(&store, &requests);
    let memory = hits(&MemoryStore::<Value>::new(KEPT), &requests);
    println!("of 1000 requests found: shared {shared}, in-process {memory}");
    assert!(shared + 30 >= memory, "{shared} and {memory} of 1000");
    assert_eq!(store.held().unwrap().entries, KEPT as u64);
}

#[test]
fn what_has_expired_leaves_first() {
    let (store, _directory) = open(64 << 20, 100);
    let value = Value::from(b"value".to_vec());
    let soon = Lifetime::For(std::time::Duration::from_nanos(1));
    for number in 0..50u32 {
        store
            .set(&number.to_le_bytes(), &value, Lifetime::Forever)
            .unwrap();
    }
    for number in 50..100u32 {
        store.set(&number.to_le_bytes(), &value, soon).unwrap();
    }
    for number in 100..150u32 {
        store
            .set(&number.to_le_bytes(), &value, Lifetime::Forever)
            .unwrap();
    }
    for number in (0..50).chain(100..150u32) {
        assert!(store.has(&number.to_le_bytes()).unwrap(), "{number}");
    }
}

#[test]
fn a_store_that_is_full_of_bytes_keeps_within_its_bound() {
    let (store, directory) = open(4 << 20, 0);
    let mut numbers = Numbers(7);
    for number in 0..20_000u32 {
        let length = [10, 100, 1000, 5000][usize::try_from(numbers.next() % 4).unwrap()];
        let value = Value::from(vec![b'x'; length]);
        assert!(
            store
                .set(&number.to_le_bytes(), &value, Lifetime::Forever)
                .unwrap()
        );
        assert!(store.has(&number.to_le_bytes()).unwrap());
    }
    let held = store.held().unwrap();
    assert!(held.bytes <= 4 << 20 && held.bytes > 3 << 20, "{held:?}");
    let [file] = std::fs::read_dir(directory.path().join("cache"))
        .unwrap()
        .map(|found| found.unwrap().path().join("data.mdb"))
        .filter(|path| path.exists())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(file.metadata().unwrap().len() <= (4 << 20) / 10 * 11);
    assert!(store.clear().unwrap());
    assert_eq!(store.held().unwrap().bytes, 0);
}

#[test]
fn a_value_that_is_too_large_is_refused_and_leaves_nothing() {
    let (store, _directory) = open(1 << 20, 0);
    let small = Value::from(b"small".to_vec());
    let large = Value::from(vec![b'x'; 300_000]);
    assert!(store.set(b"other", &small, Lifetime::Forever).unwrap());
    assert!(store.set(b"key", &small, Lifetime::Forever).unwrap());
    assert!(!store.set(b"key", &large, Lifetime::Forever).unwrap());
    assert!(!store.has(b"key").unwrap());
    assert!(store.has(b"other").unwrap());
}

#[test]
fn what_nobody_reads_any_more_leaves_for_what_is_new() {
    let (store, _directory) = open(64 << 20, 10);
    let old: Vec<_> = (0..11).map(|number| format!("old {number}")).collect();
    for key in &old {
        set_only(&store, key);
    }
    // All but the newest: that one leaves, and the hand is at the end.
    for key in &old[..10] {
        store.get(key.as_bytes()).unwrap();
    }
    for number in 0..50 {
        set_only(&store, &format!("new {number}"));
    }
    let left = old.iter().filter(|key| store.has(key.as_bytes()).unwrap());
    assert_eq!(left.count(), 0);
}

fn set_only(store: &LmdbStore, key: &str) {
    let value = Value::from(b"value".to_vec());
    assert!(
        store
            .set(key.as_bytes(), &value, Lifetime::Forever)
            .unwrap()
    );
}

fn set(store: &LmdbStore, key: &str, length: usize) -> bool {
    let value = Value::from(vec![b'x'; length]);
    let stored = store.set(key.as_bytes(), &value, Lifetime::Forever);
    let is_stored = stored.unwrap();
    if is_stored {
        assert_eq!(store.get(key.as_bytes()).unwrap(), Some(value), "{key}");
    }
    is_stored
}

/// What was stored last is there whatever the sizes were before, and the store is as full as it may be.
#[test]
fn values_that_grow_and_shrink_where_they_are_always_find_room() {
    for max_bytes in [1 << 20, 4 << 20] {
        let (store, _directory) = open(max_bytes, 0);
        for length in [10, 1900, 2500, 20_000, 100_000, 3000, 10] {
            for number in 0..300 {
                assert!(set(&store, &format!("key {number}"), length));
            }
            let held = store.held().unwrap();
            assert!(held.bytes <= max_bytes, "{length}: {held:?}");
            assert!(held.entries > 5, "{length}: {held:?}");
        }
        assert_eq!(store.held().unwrap().entries, 300);
    }
}

#[test]
fn a_large_value_finds_room_among_small_ones() {
    for max_bytes in [1 << 20, 8 << 20] {
        let (store, _directory) = open(max_bytes, 0);
        let mut numbers = Numbers(7);
        for _ in 0..max_bytes / 500 {
            set(&store, &format!("small {}", numbers.next() % 10_000), 400);
        }
        let large = usize::try_from(max_bytes / 5).unwrap();
        for number in 0..8 {
            assert!(set(&store, &format!("large {number}"), large));
        }
        for number in 0..500 {
            assert!(set(&store, &format!("again {number}"), 400));
        }
        let held = store.held().unwrap();
        // One of the large ones at least, and what came after them.
        assert!(
            held.bytes <= max_bytes && held.bytes > max_bytes / 4,
            "{held:?}"
        );
    }
}

#[test]
fn many_at_once_may_be_more_than_there_is_room_for() {
    let (store, _directory) = open(2 << 20, 0);
    for (count, length) in [(300, 30_000), (5, 400_000), (5000, 300), (2, 10)] {
        let keys: Vec<_> = (0..count).map(|n| format!("{length}: {n}")).collect();
        let value = Value::from(vec![b'x'; length]);
        let entries: Vec<_> = keys.iter().map(|key| (key.as_bytes(), &value)).collect();
        let stored = store.set_many(&entries, Lifetime::Forever).unwrap();
        assert_eq!(stored, vec![true; count]);
        let last = keys.last().unwrap().as_bytes();
        assert_eq!(store.get(last).unwrap(), Some(value.clone()));
    }
    let keys: Vec<_> = (0..5000).map(|n| format!("300: {n}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_bytes).collect();
    let entries = store.held().unwrap().entries;
    let deleted = store.delete_many(&keys).unwrap();
    let deleted = deleted.into_iter().filter(|deleted| *deleted).count() as u64;
    assert!(deleted > 1000 && deleted + store.held().unwrap().entries == entries);
}

#[test]
fn sizes_of_chance_never_fill_the_file_for_good() {
    let (store, _directory) = open(1 << 20, 0);
    let mut numbers = Numbers(11);
    for _ in 0..4000 {
        let key = format!("key {}", numbers.next() % 300);
        if numbers.next().is_multiple_of(5) {
            store.delete(key.as_bytes()).unwrap();
        } else {
            let most = 10_u64.pow(2 + u32::try_from(numbers.next() % 4).unwrap());
            set(
                &store,
                &key,
                usize::try_from(numbers.next() % most).unwrap(),
            );
        }
    }
    let held = store.held().unwrap();
    assert!(held.bytes <= 1 << 20 && held.evictions > 100, "{held:?}");
    let keys = store.keys(b"", usize::MAX).unwrap();
    assert_eq!(keys.len() as u64, held.entries);
    let keys: Vec<_> = keys.iter().map(Vec::as_slice).collect();
    assert_eq!(store.delete_many(&keys).unwrap(), vec![true; keys.len()]);
    let held = store.held().unwrap();
    assert_eq!((held.bytes, held.entries), (0, 0));
}

/// One that is stopped while it reads keeps what it reads from being used again, and no more.
#[test]
fn a_reader_that_does_not_end_lets_writes_fail_until_it_does() {
    let (store, _directory) = open(1 << 20, 0);
    for number in 0..100 {
        assert!(set(&store, &format!("key {number}"), 2000));
    }
    let (reads, is_reading) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            let found = store.get_by_guard(b"key 7", |_| {
                reads.send(()).unwrap();
                let _ = may_go.recv();
                Some(b"key 8".to_vec())
            });
            assert_eq!(found.unwrap().unwrap().data.len(), 2000);
        });
        is_reading.recv().unwrap();
        let value = Value::from(vec![b'y'; 2000]);
        let failed = (0..10_000_u32)
            .map(|number| format!("new {number}"))
            .find_map(|key| store.set(key.as_bytes(), &value, Lifetime::Forever).err());
        let message = failed.unwrap().to_string();
        assert!(message.contains("stopped while it reads"), "{message}");
        // What was there is still read, and most of it.
        assert!(store.held().unwrap().entries > 50);
        assert!(store.has(b"new 0").unwrap());
        drop(go);
    });
    assert!(set(&store, "key", 2000));
    assert!(store.delete(b"key").unwrap());
}
