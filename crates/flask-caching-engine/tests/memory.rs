//! The in-process store: what it promises beyond the contract of every backend.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::backend::memory::DEFAULT_THRESHOLD;
use flask_caching_engine::{Lifetime, clock};
use proptest::prelude::*;

/// The engine's clock belongs to one test at a time, which finds it stopped.
struct Clock(#[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Clock {
    fn hold() -> Self {
        let running = Self::running();
        clock::stop();
        running
    }

    /// The same, but it runs.
    fn running() -> Self {
        static OWNER: Mutex<()> = Mutex::new(());
        Self(OWNER.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        clock::resume();
    }
}

fn seconds(seconds: u64) -> Lifetime {
    Lifetime::For(Duration::from_secs(seconds))
}

fn get<V: Clone>(store: &MemoryStore<V>, key: &str) -> Option<V> {
    store.read(key.as_bytes(), V::clone)
}

/// A store with the entries `0` to `n - 1`, each under its own number.
fn filled(threshold: usize, entries: usize) -> MemoryStore<usize> {
    let store = MemoryStore::new(threshold);
    for number in 0..entries {
        store.set(number.to_string().as_bytes(), number, Forever);
    }
    store
}

#[test]
fn many_keys_are_read_in_their_order_from_one_shard_and_from_many() {
    let _clock = Clock::hold();
    for threshold in [500, 1_000_000] {
        let store = filled(threshold, 100);
        store.set(b"3", 3, seconds(5));
        clock::advance(Duration::from_secs(6));
        let keys: Vec<String> = (0..200).chain([7, 7, 3]).map(|n| n.to_string()).collect();
        let mut read = Vec::new();
        store.reader().read_each(&keys, |found| {
            read.push(found.map(|(value, handle)| (*value, handle)));
        });
        let one_by_one: Vec<_> = keys
            .iter()
            .map(|key| store.read_with_handle(key.as_bytes(), |value, handle| (*value, handle)))
            .collect();
        assert_eq!(read, one_by_one);
        assert_eq!(read[99].map(|(value, _)| value), Some(99));
        assert_eq!((read[3], read[100]), (None, None));
    }
}

#[test]
fn the_threshold_is_never_exceeded() {
    let _clock = Clock::hold();
    for threshold in [1, 2, 10, 500, 5000] {
        let store = MemoryStore::new(threshold);
        for number in 0..threshold * 3 {
            let key = number.to_string();
            store.set(key.as_bytes(), number, Forever);
            assert!(store.len() <= threshold);
            assert_eq!(get(&store, &key), Some(number), "the entry just written");
        }
        assert_eq!(store.len(), threshold);
    }
}

#[test]
fn a_threshold_of_0_is_the_default() {
    assert_eq!(MemoryStore::<()>::new(0).threshold(), DEFAULT_THRESHOLD);
}

#[test]
fn a_lower_threshold_evicts_at_once() {
    let _clock = Clock::hold();
    for threshold in [100, 10_000] {
        let store = filled(threshold, 100);
        store.set_threshold(7);
        assert_eq!(store.len(), 7);
        store.set(b"new", 0, Forever);
        assert_eq!(store.len(), 7);
    }
}

#[test]
fn what_has_expired_goes_first() {
    let _clock = Clock::hold();
    let store = filled(10, 9);
    store.set(b"expired", 0, seconds(1));
    clock::advance(Duration::from_secs(1));
    store.set(b"new", 0, Forever);
    assert_eq!(store.len(), 10);
    assert!((0..9).all(|number| get(&store, &number.to_string()).is_some()));
}

#[test]
fn the_hottest_entry_stays() {
    let _clock = Clock::hold();
    for position in [0, 250, 499] {
        let store = filled(500, 500);
        for _ in 0..1000 {
            get(&store, &position.to_string());
        }
        // Every other entry is used as well, but less.
        for number in 0..500 {
            get(&store, &number.to_string());
        }
        for number in 500..3000 {
            store.set(number.to_string().as_bytes(), number, Forever);
        }
        assert!(get(&store, &position.to_string()).is_some(), "{position}");
    }
}

#[test]
fn a_new_working_set_takes_over() {
    let _clock = Clock::hold();
    let store = filled(500, 400);
    for number in 0..400 {
        get(&store, &number.to_string());
    }
    // None of the old entries is used any more; there is room for all of the new ones.
    let mut hits = 0;
    for _ in 0..10 {
        hits = 0;
        for number in 1000..1500 {
            if get(&store, &number.to_string()).is_some() {
                hits += 1;
            } else {
                store.set(number.to_string().as_bytes(), number, Forever);
            }
        }
    }
    assert!(hits > 450, "{hits} of 500");
}

#[test]
fn entries_without_a_lifetime_do_not_go_first() {
    let _clock = Clock::hold();
    let store = MemoryStore::new(100);
    for number in 0..50 {
        store.set(format!("mortal{number}").as_bytes(), (), seconds(1000));
    }
    for number in 0..50 {
        store.set(format!("forever{number}").as_bytes(), (), Forever);
    }
    for number in 0..50 {
        store.set(format!("new{number}").as_bytes(), (), seconds(1000));
    }
    assert!((0..50).all(|number| get(&store, &format!("forever{number}")).is_some()));
}

#[test]
fn add_to_an_existing_key_evicts_nothing() {
    let _clock = Clock::hold();
    let store = filled(10, 10);
    assert!(!store.add(b"3", 0, Forever));
    assert!(!store.add(b"0", 0, Forever));
    assert!((0..10).all(|number| get(&store, &number.to_string()) == Some(number)));
}

#[test]
fn overwriting_in_a_full_store_evicts_nothing() {
    let _clock = Clock::hold();
    let store = filled(10, 10);
    store.set(b"3", 33, Forever);
    assert!((0..10).all(|number| get(&store, &number.to_string()).is_some()));
}

#[test]
fn a_lifetime_is_exact() {
    let _clock = Clock::hold();
    let store = MemoryStore::new(10);
    store.set(b"key", (), seconds(1));
    clock::advance(Duration::from_millis(990));
    assert!(store.contains(b"key"));
    clock::advance(Duration::from_millis(10));
    assert!(!store.contains(b"key"));
}

#[test]
fn the_running_clock_keeps_a_lifetime_to_10_ms() {
    // The exact clock, against which the store's is measured.
    fn exact() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap(),
        )
    }
    let _clock = Clock::running();
    let store = MemoryStore::new(10);
    let lifetime = Duration::from_millis(50);
    let before = exact();
    store.set(b"key", (), Lifetime::For(lifetime));
    let after = exact();
    // The time before the question: this thread may be put aside after it.
    let mut asked = exact();
    while store.contains(b"key") {
        assert!(asked < after + lifetime + Duration::from_millis(11));
        asked = exact();
    }
    assert!(exact() + Duration::from_millis(11) > before + lifetime);
}

#[test]
fn expired_values_are_freed_without_waiting_for_the_threshold() {
    let _clock = Clock::hold();
    for threshold in [4096, 1_000_000] {
        let store = MemoryStore::new(threshold);
        let value = Arc::new(());
        for number in 0..2000 {
            let key = format!("key{number}");
            store.set(key.as_bytes(), Arc::clone(&value), seconds(1));
        }
        store.set(b"other", Arc::new(()), Forever);
        clock::advance(Duration::from_secs(1));
        // Reading one other key frees them all, a few at a time, whatever shard they are in.
        for _ in 0..20_000 {
            store.contains(b"other");
        }
        assert_eq!(Arc::strong_count(&value), 1);
        assert_eq!(store.len(), 1);
    }
}

#[test]
fn a_handle_finds_its_value_and_no_other() {
    let _clock = Clock::hold();
    let store = MemoryStore::new(2);
    let find = |handle| store.read_handle(handle, |value: &i32| *value);

    let handle = store.set(b"key", 1, seconds(10)).unwrap();
    assert_eq!(find(handle), Some(1));
    assert_eq!(store.key_of(handle), Some(b"key".to_vec()));
    assert_eq!(
        store.read_with_handle(b"key", |_, handle| handle),
        Some(handle)
    );
    store.set(b"key", 2, seconds(10));
    assert_eq!(find(handle), None, "overwritten");
    assert_eq!(store.key_of(handle), None, "overwritten");

    let handle = store.set(b"key", 3, seconds(10)).unwrap();
    store.delete(b"key");
    assert_eq!(find(handle), None, "deleted");
    store.set(b"key", 4, seconds(10));
    assert_eq!(find(handle), None, "written again, in the same slot");

    let handle = store.set(b"key", 5, seconds(10)).unwrap();
    clock::advance(Duration::from_secs(10));
    assert_eq!(find(handle), None, "expired");

    let handle = store.set(b"key", 6, seconds(10)).unwrap();
    store.clear();
    store.set(b"key", 7, seconds(10));
    assert_eq!(find(handle), None, "cleared");

    store.delete(b"key");
    let handle = store.set(b"key", 8, seconds(10)).unwrap();
    store.set(b"a", 0, Forever);
    store.set(b"b", 0, Forever);
    store.set(b"c", 0, Forever);
    assert_eq!(find(handle), None, "evicted");

    let elsewhere = MemoryStore::new(1_000_000);
    for number in 0..100 {
        store.set(&[number], 0, Forever);
        let handle = elsewhere.set(&[number], 0, Forever).unwrap();
        assert_eq!(find(handle), None, "of another store");
    }
}

#[test]
fn replace_keeps_the_lifetime_and_refuses_a_stale_handle() {
    let _clock = Clock::hold();
    let store = MemoryStore::new(10);
    let handle = store.set(b"key", 1, seconds(2)).unwrap();
    clock::advance(Duration::from_secs(1));
    assert!(store.replace(handle, 2));
    assert!(!store.replace(handle, 3), "it was for the first value");
    assert_eq!(get(&store, "key"), Some(2));
    clock::advance(Duration::from_secs(1));
    assert_eq!(get(&store, "key"), None);
}

#[test]
fn delete_handle_leaves_a_newer_value() {
    let store = MemoryStore::new(10);
    let old = store.set(b"key", 1, Forever).unwrap();
    let new = store.set(b"key", 2, Forever).unwrap();
    assert!(!store.delete_handle(b"key", old));
    assert_eq!(get(&store, "key"), Some(2));
    assert!(store.delete_handle(b"key", new));
    assert_eq!(store.len(), 0);
}

#[test]
fn a_lifetime_already_over_removes() {
    let store = MemoryStore::new(10);
    store.set(b"key", 1, Forever);
    assert_eq!(store.set(b"key", 2, Expired), None);
    assert_eq!(store.len(), 0);
}

#[test]
fn collect_sees_live_entries_and_the_time_they_have_left() {
    let _clock = Clock::hold();
    let store = MemoryStore::new(10_000);
    store.set(b"forever", 1, Forever);
    store.set(b"mortal", 2, seconds(10));
    store.set(b"expired", 3, seconds(3));
    clock::advance(Duration::from_secs(4));
    let mut found = store.collect(|key, left, value| (key.to_vec(), left, *value));
    found.sort();
    let mortal = (b"mortal".to_vec(), Some(Duration::from_secs(6)), 2);
    assert_eq!(found, [(b"forever".to_vec(), None, 1), mortal]);
}

/// A value whose drop calls the store it is in.
struct Reentrant {
    store: Arc<MemoryStore<Reentrant>>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.store.contains(b"any");
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn threads_never_exceed_the_threshold_and_lose_no_write() {
    for threshold in [50, 8000] {
        let store = MemoryStore::new(threshold);
        thread::scope(|scope| {
            for thread in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..3000 {
                        let key = format!("{thread}-{}", number % 1500);
                        store.set(key.as_bytes(), key.clone(), Forever);
                        assert!(store.len() <= store.threshold());
                        if let Some(value) = store.read(key.as_bytes(), String::clone) {
                            assert_eq!(value, key);
                        }
                        if number % 7 == 0 {
                            store.delete(key.as_bytes());
                        }
                    }
                });
            }
        });
        assert!(store.len() <= threshold);
        assert_eq!(store.collect(|_, _, _| ()).len(), store.len());
    }
}

/// What a program of operations may do.
#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    Set(u8, Option<u8>),
    Add(u8, Option<u8>),
    Extend(u8, Option<u8>),
    Modify(u8),
    Delete(u8),
    Clear,
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24u8;
    let lifetime = prop_oneof![Just(None), (0..20u8).prop_map(Some)];
    prop_oneof![
        6 => key.clone().prop_map(Step::Get),
        6 => (key.clone(), lifetime.clone()).prop_map(|(key, life)| Step::Set(key, life)),
        3 => (key.clone(), lifetime.clone()).prop_map(|(key, life)| Step::Add(key, life)),
        2 => (key.clone(), lifetime).prop_map(|(key, life)| Step::Extend(key, life)),
        2 => key.clone().prop_map(Step::Modify),
        2 => key.prop_map(Step::Delete),
        1 => Just(Step::Clear),
        3 => (0..8u8).prop_map(Step::Pass),
    ]
}

/// Seconds as a lifetime; none is for ever, 0 is over at once.
fn lifetime(life: Option<u8>) -> Lifetime {
    match life {
        None => Forever,
        Some(0) => Expired,
        Some(life) => seconds(u64::from(life)),
    }
}

/// The store as a map, which never forgets by itself.
#[derive(Default)]
struct Model {
    now: u64,
    entries: HashMap<u8, (usize, Option<u64>)>,
}

impl Model {
    fn live(&self, key: u8) -> Option<usize> {
        let (value, expires) = self.entries.get(&key)?;
        expires
            .is_none_or(|expires| self.now < expires)
            .then_some(*value)
    }

    fn expires(&self, life: Option<u8>) -> Option<u64> {
        life.map(|life| self.now + u64::from(life))
    }

    fn set(&mut self, key: u8, value: usize, life: Option<u8>) {
        self.entries.insert(key, (value, self.expires(life)));
    }

    fn extend(&mut self, key: u8, life: Option<u8>) {
        let new = self.expires(life);
        if self.live(key).is_some() {
            let (_, expires) = self.entries.get_mut(&key).unwrap();
            *expires = expires.zip(new).map(|(old, new)| old.max(new));
        }
    }
}

proptest! {
    /// With room for all, the store is the model; without, it is the model with entries missing, and
    /// never more than the threshold.
    #[test]
    fn the_store_is_a_map_that_forgets_only_when_full(
        threshold in prop_oneof![Just(1), Just(5), Just(100), Just(10_000)],
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let _clock = Clock::hold();
        let store = MemoryStore::new(threshold);
        let mut model = Model::default();
        let has_room = threshold >= 100;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Get(key) => {
                    let found = store.read(&[key], |value| *value);
                    if has_room || found.is_some() {
                        prop_assert_eq!(found, model.live(key));
                    }
                }
                Step::Set(key, life) => {
                    store.set(&[key], number, lifetime(life));
                    model.set(key, number, life);
                    prop_assert_eq!(store.read(&[key], |value| *value), model.live(key));
                }
                Step::Add(key, life) => {
                    let there = store.contains(&[key]);
                    prop_assert_eq!(store.add(&[key], number, lifetime(life)), !there);
                    if !there {
                        prop_assert!(!has_room || model.live(key).is_none());
                        model.set(key, number, life);
                    }
                }
                Step::Extend(key, life) => {
                    if store.extend(&[key], lifetime(life)) {
                        prop_assert!(model.live(key).is_some());
                        model.extend(key, life);
                    } else {
                        prop_assert!(!has_room || model.live(key).is_none());
                        model.entries.remove(&key);
                    }
                }
                Step::Modify(key) => {
                    let changed = store.modify(&[key], |value| *value += 1);
                    prop_assert!(!has_room || changed.is_some() == model.live(key).is_some());
                    match model.entries.get_mut(&key) {
                        Some((value, _)) if changed.is_some() => *value += 1,
                        _ => drop(model.entries.remove(&key)),
                    }
                }
                Step::Delete(key) => {
                    let deleted = store.delete(&[key]);
                    prop_assert!(!deleted || model.live(key).is_some());
                    prop_assert!(!has_room || deleted == model.live(key).is_some());
                    model.entries.remove(&key);
                }
                Step::Clear => {
                    store.clear();
                    model.entries.clear();
                    prop_assert!(store.is_empty());
                }
                Step::Pass(time) => {
                    clock::advance(Duration::from_secs(u64::from(time)));
                    model.now += u64::from(time);
                }
            }
            prop_assert!(store.len() <= threshold);
        }
        let found = store.collect(|key, _, value| (key[0], *value));
        for &(key, value) in &found {
            prop_assert_eq!(model.live(key), Some(value));
        }
        if has_room {
            let live = (0..24).filter(|&key| model.live(key).is_some()).count();
            prop_assert_eq!(found.len(), live);
        }
    }
}

#[test]
fn a_value_may_call_the_store_when_it_is_dropped() {
    let _clock = Clock::hold();
    for threshold in [4, 10_000] {
        let store = Arc::new(MemoryStore::new(threshold));
        let dropped = Arc::new(AtomicUsize::new(0));
        let value = || Reentrant {
            store: Arc::clone(&store),
            dropped: Arc::clone(&dropped),
        };
        store.set(b"key", value(), seconds(1));
        store.set(b"key", value(), seconds(1));
        store.add(b"key", value(), Forever);
        store.delete(b"key");
        store.set(b"key", value(), Expired);
        let stale = store.set(b"key", value(), Forever).unwrap();
        store.delete(b"key");
        store.replace(stale, value());
        for number in 0..10u8 {
            store.set(&[number], value(), seconds(1));
        }
        clock::advance(Duration::from_secs(1));
        for _ in 0..10_000 {
            store.contains(b"any");
        }
        store.set(b"last", value(), Forever);
        store.clear();
        assert_eq!(dropped.load(Ordering::Relaxed), 17);
    }
}
