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
