//! Time that is moved outside the engine: entries follow it, servers do not.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use flask_caching_engine::backend::file::{FileOptions, FileStore};
use flask_caching_engine::backend::memory::MemoryStore;
use flask_caching_engine::{Backend, Lifetime, Value, clock};

/// 2030-01-01, in microseconds.
const IN_2030: i64 = 1_893_456_000_000_000;
const SECOND: i64 = 1_000_000;

static MOVED_TO: AtomicI64 = AtomicI64::new(IN_2030);
static WORD: AtomicUsize = AtomicUsize::new(1);

fn moved() -> Option<i64> {
    match MOVED_TO.load(Ordering::Relaxed) {
        i64::MIN => None,
        time => Some(time),
    }
}

fn move_to(time: i64) {
    MOVED_TO.store(time, Ordering::Relaxed);
}

/// Whether a backend has the entry that it was given.
type Has<'a> = Box<dyn Fn() -> bool + 'a>;

// One test: the clock is the process's.
#[test]
fn entries_live_by_the_clock_that_is_followed() {
    clock::set_source(moved);
    clock::watch(&WORD, 1);
    let memory = MemoryStore::<Value>::new(10);
    let directory = tempfile::tempdir().unwrap();
    let file = FileStore::open(FileOptions::new(directory.path())).unwrap();
    let minute = Lifetime::For(Duration::from_secs(60));
    let store = |key: &[u8]| {
        let value = Value::from(b"value".to_vec());
        assert!(Backend::set(&memory, key, &value, minute).unwrap());
        assert!(file.set(key, &value, minute).unwrap());
    };
    let stores: [Has<'_>; 2] = [
        Box::new(|| Backend::has(&memory, b"k").unwrap()),
        Box::new(|| file.has(b"k").unwrap()),
    ];
    let is_there = || {
        let found: Vec<bool> = stores.iter().map(|has| has()).collect();
        assert_eq!(found[0], found[1]);
        found[0]
    };

    let follows: [fn(bool); 2] = [clock::follow, |on| {
        WORD.store(if on { 7 } else { 1 }, Ordering::Relaxed);
    }];
    for follow in follows {
        let (steady, system) = (clock::steady(), clock::system());
        move_to(IN_2030);
        store(b"k");
        // Of an entry of the present, nothing is left in 2030.
        follow(true);
        assert_eq!(clock::wall(), Duration::from_micros(IN_2030.unsigned_abs()));
        assert!(!is_there());
        // To the microsecond, and standing still meanwhile.
        store(b"k");
        move_to(IN_2030 + 60 * SECOND - 1);
        assert!(is_there());
        move_to(IN_2030 + 60 * SECOND);
        assert!(!is_there());
        for past in [IN_2030 - 3600 * SECOND, 946_684_800 * SECOND, 0] {
            move_to(past);
            store(b"k");
            assert!(is_there());
            move_to(past + 61 * SECOND);
            assert!(!is_there());
        }
        // What waits for servers is not moved.
        assert!(clock::steady() >= steady);
        assert!(clock::steady().0 - steady.0 < 60_000_000_000);
        assert!(clock::system().abs_diff(system) < Duration::from_secs(60));
        // A clock that cannot say is the real one.
        move_to(i64::MIN);
        assert!(clock::wall().abs_diff(system) < Duration::from_secs(60));
        // What was stored in 2030 lives until then.
        move_to(IN_2030);
        store(b"k");
        follow(false);
        assert!(is_there());
        store(b"k");
        assert!(is_there());
        // A clock that is stopped stands where it was, and is followed again when it runs.
        follow(true);
        clock::stop();
        move_to(IN_2030 + 5 * SECOND);
        assert_eq!(clock::wall(), Duration::from_micros(IN_2030.unsigned_abs()));
        clock::advance(Duration::from_secs(1));
        assert_eq!(
            clock::wall(),
            Duration::from_micros((IN_2030 + SECOND).unsigned_abs())
        );
        clock::resume();
        assert_eq!(
            clock::wall(),
            Duration::from_micros((IN_2030 + 5 * SECOND).unsigned_abs())
        );
        follow(false);
        assert!(clock::wall().abs_diff(system) < Duration::from_secs(60));
    }
}
