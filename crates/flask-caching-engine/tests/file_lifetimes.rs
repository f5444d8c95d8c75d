//! How the lifetimes of entries in files are extended.

use std::fs;
use std::time::Duration;

use flask_caching_engine::backend::file::{FileOptions, FileStore};
use flask_caching_engine::{Backend, Lifetime, Value, clock};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn one_extension_serves_for_those_that_follow_soon() {
    clock::stop();
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(FileOptions::new(directory.path())).unwrap();
    let value = Value::from(b"value".to_vec());
    store.set(b"key", &value, Lifetime::For(HOUR / 2)).unwrap();
    let file = || fs::read(store.path_of(b"key").unwrap()).unwrap();
    let extend = || store.extend(b"key", Lifetime::For(HOUR)).unwrap();

    let first = file();
    assert!(extend());
    let second = file();
    assert_ne!(first, second);
    clock::advance(HOUR / 10);
    assert!(extend());
    assert_eq!(file(), second, "not written again");
    clock::advance(HOUR / 10);
    assert!(extend());
    assert_ne!(file(), second);
    clock::advance(HOUR);
    assert_eq!(
        store.get(b"key").unwrap(),
        Some(value),
        "an hour from the last"
    );
    clock::advance(HOUR);
    assert!(!extend());
    clock::resume();
}
