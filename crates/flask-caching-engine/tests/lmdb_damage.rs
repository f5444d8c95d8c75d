//! A file of the shared store in which something else has written: it is set aside, or what it says is
//! not believed; and nobody ends for it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flask_caching_engine::backend::lmdb::{LmdbStore, Options};
use flask_caching_engine::{Backend, Lifetime, Value};

const PAGE: usize = 4096;

/// A generator of numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            bytes.extend(self.below(u64::MAX).to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

fn open(directory: &Path) -> LmdbStore {
    let options = Options {
        directory: directory.to_owned(),
        max_bytes: 2 << 20,
        threshold: 0,
    };
    LmdbStore::open(options).unwrap()
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number}").into_bytes()
}

fn value(number: u32) -> Value {
    let length = [20, 300, 5000][number as usize % 3];
    Value::from(number.to_string().repeat(length / 4).into_bytes())
}

/// The file of a store in which entries of all sizes were stored, replaced, deleted.
fn made(directory: &Path) -> PathBuf {
    let store = open(directory);
    for number in 0..600 {
        store
            .set(&key(number), &value(number), Lifetime::Forever)
            .unwrap();
    }
    for number in (0..600).step_by(4) {
        store.delete(&key(number)).unwrap();
    }
    for number in 0..100 {
        store
            .set(&key(number), &value(number), Lifetime::Forever)
            .unwrap();
    }
    drop(store);
    data(directory)
}

fn data(directory: &Path) -> PathBuf {
    let mut found = fs::read_dir(directory)
        .unwrap()
        .map(|found| found.unwrap().path().join("data.mdb"))
        .filter(|path| path.exists() && !path.parent().unwrap().ends_with("damaged"));
    found.next().unwrap()
}

/// Uses a store in all ways; whatever is found is what was stored.
fn used(store: &LmdbStore) {
    for number in 0..600 {
        if let Ok(Some(found)) = store.get(&key(number)) {
            assert_eq!(found, value(number));
        }
    }
    for number in (0..600).step_by(7) {
        let _ = store.delete(&key(number));
        let _ = store.set(&key(number), &value(number), Lifetime::Forever);
    }
    let _ = store.held();
    let _ = store.keys(b"", 1000);
    let _ = store.clear();
}

#[test]
fn what_was_left_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    made(&path);
    let store = open(&path);
    assert!(!path.join("damaged").exists());
    let found = (0..600).filter(|number| store.has(&key(*number)).unwrap());
    assert!(found.count() > 300);
}

#[test]
fn pages_that_are_overwritten_end_nobody() {
    let seed = std::env::var("DAMAGE_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut numbers = Numbers(seed);
    let mut set_aside = 0;
    for round in 0..45 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let file = made(&path);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(file)
            .unwrap();
        let mut meta = [0; 8];
        file.read_exact_at(&mut meta, 136).unwrap();
        let pages = u64::from_le_bytes(meta) + 1;
        let mut page = || numbers.below(pages) * PAGE as u64;
        let (at, other) = (page(), page());
        let mut written = vec![0; PAGE];
        match round % 3 {
            0 => written = numbers.bytes(PAGE),
            1 => file.read_exact_at(&mut written, other).unwrap(),
            // One byte of what the page says of itself.
            _ => {
                file.read_exact_at(&mut written, at).unwrap();
                let byte = usize::try_from(numbers.below(64)).unwrap();
                written[byte] = numbers.bytes(1)[0];
            }
        }
        file.write_all_at(&written, at).unwrap();
        let store = open(&path);
        set_aside += u32::from(path.join("damaged").exists());
        used(&store);
    }
    assert!(set_aside > 10, "{set_aside} of 45");
}
