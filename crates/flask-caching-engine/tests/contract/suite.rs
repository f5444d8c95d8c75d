//! What every backend does: one function a behaviour.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use flask_caching_engine::Lifetime::{Expired, Forever};
use flask_caching_engine::envelope::compression;
use flask_caching_engine::envelope::metadata::Metadata;
use flask_caching_engine::{Backend, ErrorKind, Lifetime, Presence, Value, clock};

/// A backend under test, empty, and what the suite must know of it.
pub(crate) struct Subject {
    pub(crate) backend: Box<dyn Backend>,
    /// Lets this much time pass for the backend.
    pub(crate) pass: fn(Duration),
    /// How much longer than its lifetime an entry may be there, at most.
    pub(crate) tolerance: Duration,
    /// What must live as long as the backend: a directory, a server.
    #[allow(dead_code, reason = "held, not read")]
    keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    /// A subject whose time is the engine's clock, exact.
    pub(crate) fn new(backend: impl Backend + 'static) -> Self {
        Self {
            backend: Box::new(backend),
            pass: clock::advance,
            tolerance: Duration::ZERO,
            #[allow(dead_code, reason = "held, not read")]
            keep: Box::new(()),
        }
    }

    /// The same with a clock of the backend's own, and how exactly it keeps lifetimes.
    #[allow(dead_code, reason = "for the backends whose time is a server's")]
    pub(crate) fn with_time(mut self, pass: fn(Duration), tolerance: Duration) -> Self {
        self.pass = pass;
        self.tolerance = tolerance;
        self
    }

    /// The same; `keep` is dropped after the backend.
    #[allow(dead_code, reason = "for the backends that live in something")]
    pub(crate) fn keeping(mut self, keep: impl Any + Send + Sync) -> Self {
        self.keep = Box::new(keep);
        self
    }

    fn pass(&self, lifetime: Duration) {
        (self.pass)(lifetime + self.tolerance);
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.backend.get(key).unwrap().map(|value| value.data)
    }

    fn set(&self, key: &[u8], data: &[u8], lifetime: Lifetime) -> bool {
        self.backend.set(key, &value(data), lifetime).unwrap()
    }

    fn add(&self, key: &[u8], data: &[u8], lifetime: Lifetime) -> bool {
        self.backend.add(key, &value(data), lifetime).unwrap()
    }

    fn has(&self, key: &[u8]) -> bool {
        self.backend.has(key).unwrap()
    }

    fn delete(&self, key: &[u8]) -> bool {
        self.backend.delete(key).unwrap()
    }

    fn incr(&self, key: &[u8], delta: i64) -> i64 {
        self.backend.incr(key, delta, Forever).unwrap()
    }
}

/// The engine's clock belongs to one test at a time, which finds it stopped.
pub(crate) struct Clock(#[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Clock {
    pub(crate) fn hold() -> Self {
        static OWNER: Mutex<()> = Mutex::new(());
        let guard = OWNER.lock().unwrap_or_else(PoisonError::into_inner);
        clock::stop();
        Self(guard)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        clock::resume();
    }
}

/// The tests of every behaviour, for the backend that `$open` opens.
macro_rules! contract_tests {
    ($open:path) => {
        contract_tests!(@each $open;
            a_key_never_written_is_a_miss
            a_value_is_read_back
            a_write_replaces
            any_bytes_are_a_key
            any_bytes_are_a_value
            add_stores_only_where_nothing_lives
            add_stores_where_the_entry_has_expired
            delete_tells_whether_there_was_an_entry
            has_tells_whether_there_is_an_entry
            what_only_reading_tells_is_told
            an_add_tells_what_is_there
            clear_removes_every_entry
            an_entry_lives_as_long_as_its_lifetime
            an_entry_without_lifetime_stays
            a_write_renews_the_lifetime
            a_lifetime_already_over_removes_the_entry
            many_operations_keep_the_order_of_their_keys
            incr_counts
            incr_keeps_the_lifetime
            incr_gives_a_new_counter_its_lifetime
            incr_refuses_what_is_no_integer
            what_an_entry_has_left_is_told_where_it_can_be
            extend_lets_an_entry_live_longer_never_shorter
            compare_exchange_replaces_only_what_was_expected
            compare_exchange_removes_only_what_was_expected
            set_if_stores_only_over_what_was_expected
            set_if_gives_the_entry_its_own_lifetime
            of_many_threads_that_add_one_succeeds
            many_threads_lose_no_count
        );
    };
    (@each $open:path; $($behaviour:ident)*) => {
        $(
            #[test]
            fn $behaviour() {
                let _clock = $crate::suite::Clock::hold();
                $crate::suite::$behaviour(&$open());
            }
        )*
    };
}

/// A lifetime that every protocol can express.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(60);

fn value(data: &[u8]) -> Value {
    data.to_vec().into()
}

pub(crate) fn a_key_never_written_is_a_miss(subject: &Subject) {
    assert_eq!(subject.get(b"key"), None);
    assert!(!subject.has(b"key"));
    assert!(!subject.delete(b"key"));
}

pub(crate) fn a_value_is_read_back(subject: &Subject) {
    assert!(subject.set(b"key", b"value", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"value"[..]));
}

pub(crate) fn a_write_replaces(subject: &Subject) {
    subject.set(b"key", b"a longer value than the next", Forever);
    assert!(subject.set(b"key", b"new", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"new"[..]));
}

pub(crate) fn any_bytes_are_a_key(subject: &Subject) {
    let long = [b'x'; 300];
    let longer = [b'x'; 301];
    let keys: [&[u8]; 12] = [
        b"plain",
        b"with space",
        b"with\r\nset injected 0 0 1\r\n1",
        b"nul\0nul",
        b"",
        b"\xff\xfe not utf-8",
        "päth/日本".as_bytes(),
        b"../../etc/passwd",
        b"glob*[a-z]?",
        b"glob*[a-z]",
        &long,
        &longer,
    ];
    for (number, key) in keys.iter().enumerate() {
        assert!(subject.set(key, number.to_string().as_bytes(), Forever));
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(subject.get(key), Some(number.to_string().into_bytes()));
        assert!(subject.has(key), "{key:?}");
    }
    assert!(!subject.has(b"injected"));
    for key in keys {
        assert!(subject.delete(key), "{key:?}");
        assert_eq!(subject.get(key), None);
    }
}

pub(crate) fn any_bytes_are_a_value(subject: &Subject) {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let large = all.repeat(400);
    for data in [&b""[..], b"\0", b"\r\nEND\r\n", &all, &large] {
        assert!(subject.set(b"key", data, Forever));
        assert_eq!(subject.get(b"key").as_deref(), Some(data));
    }
}

pub(crate) fn add_stores_only_where_nothing_lives(subject: &Subject) {
    assert!(subject.add(b"key", b"first", Forever));
    assert!(!subject.add(b"key", b"second", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"first"[..]));
    subject.delete(b"key");
    assert!(subject.add(b"key", b"third", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"third"[..]));
}

pub(crate) fn add_stores_where_the_entry_has_expired(subject: &Subject) {
    subject.set(b"key", b"old", Lifetime::For(SHORT));
    subject.pass(SHORT);
    assert!(subject.add(b"key", b"new", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"new"[..]));
}

pub(crate) fn delete_tells_whether_there_was_an_entry(subject: &Subject) {
    subject.set(b"key", b"value", Forever);
    assert!(subject.delete(b"key"));
    assert_eq!(subject.get(b"key"), None);
    assert!(!subject.delete(b"key"));
    subject.set(b"key", b"value", Lifetime::For(SHORT));
    subject.pass(SHORT);
    assert!(!subject.delete(b"key"));
}

pub(crate) fn has_tells_whether_there_is_an_entry(subject: &Subject) {
    subject.set(b"key", b"", Lifetime::For(SHORT));
    assert!(subject.has(b"key"));
    subject.pass(SHORT);
    assert!(!subject.has(b"key"));
}

pub(crate) fn what_only_reading_tells_is_told(subject: &Subject) {
    let presence = || subject.backend.presence(b"key").unwrap();
    assert_eq!(presence(), Presence::Missing);
    let sealed = Metadata::default().seal(b"value").unwrap();
    let compressed = [compression::MARK.as_slice(), b"anything"].concat();
    for (data, expected) in [
        (b"".as_slice(), Presence::Plain),
        (b"v", Presence::Plain),
        (b"a longer value", Presence::Plain),
        (&sealed, Presence::Sealed),
        (&compressed, Presence::Sealed),
    ] {
        subject.set(b"key", data, Lifetime::For(SHORT));
        assert_eq!(presence(), expected, "{data:?}");
    }
    subject.pass(SHORT);
    assert_eq!(presence(), Presence::Missing);
}

pub(crate) fn an_add_tells_what_is_there(subject: &Subject) {
    let add = |data: &[u8]| {
        let added = subject.backend.add_or_tell(b"key", &value(data), Forever);
        added.unwrap()
    };
    let sealed = Metadata::default().seal(b"value").unwrap();
    assert_eq!(add(&sealed), (true, Presence::Missing));
    assert_eq!(add(b"other"), (false, Presence::Sealed));
    assert_eq!(subject.get(b"key"), Some(sealed));
    subject.set(b"key", b"plain", Forever);
    assert_eq!(add(b"other"), (false, Presence::Plain));
    assert_eq!(subject.get(b"key").as_deref(), Some(b"plain".as_slice()));
}

pub(crate) fn clear_removes_every_entry(subject: &Subject) {
    for number in 0..20 {
        subject.set(format!("key{number}").as_bytes(), b"value", Forever);
    }
    assert!(subject.backend.clear().unwrap());
    for number in 0..20 {
        assert_eq!(subject.get(format!("key{number}").as_bytes()), None);
    }
    assert!(subject.set(b"key0", b"again", Forever));
    assert_eq!(subject.get(b"key0").as_deref(), Some(&b"again"[..]));
}

pub(crate) fn an_entry_lives_as_long_as_its_lifetime(subject: &Subject) {
    subject.set(b"short", b"value", Lifetime::For(SHORT));
    subject.set(b"long", b"value", Lifetime::For(LONG));
    assert!(subject.get(b"short").is_some());
    subject.pass(SHORT);
    assert_eq!(subject.get(b"short"), None);
    assert!(subject.get(b"long").is_some());
}

pub(crate) fn an_entry_without_lifetime_stays(subject: &Subject) {
    subject.set(b"key", b"value", Forever);
    subject.pass(SHORT);
    assert!(subject.get(b"key").is_some());
}

pub(crate) fn a_write_renews_the_lifetime(subject: &Subject) {
    subject.set(b"renewed", b"value", Lifetime::For(SHORT));
    subject.set(b"renewed", b"value", Lifetime::For(LONG));
    subject.set(b"shortened", b"value", Lifetime::For(LONG));
    subject.set(b"shortened", b"value", Lifetime::For(SHORT));
    subject.pass(SHORT);
    assert!(subject.get(b"renewed").is_some());
    assert_eq!(subject.get(b"shortened"), None);
}

pub(crate) fn a_lifetime_already_over_removes_the_entry(subject: &Subject) {
    subject.set(b"key", b"value", Forever);
    assert!(subject.set(b"key", b"new", Expired));
    assert_eq!(subject.get(b"key"), None);
    assert!(!subject.has(b"key"));
    assert!(subject.add(b"key", b"new", Expired));
    assert_eq!(subject.get(b"key"), None);
    subject.set(b"key", b"value", Forever);
    assert!(!subject.add(b"key", b"new", Expired));
    assert!(subject.get(b"key").is_some());
}

pub(crate) fn many_operations_keep_the_order_of_their_keys(subject: &Subject) {
    let (one, two) = (value(b"1"), value(b"2"));
    let stored = subject
        .backend
        .set_many(&[(b"one", &one), (b"two", &two)], Forever)
        .unwrap();
    assert_eq!(stored, [true, true]);
    let found: Vec<_> = subject
        .backend
        .get_many(&[b"two", b"none", b"one", b"two"])
        .unwrap()
        .into_iter()
        .map(|value| value.map(|value| value.data))
        .collect();
    let (one, two) = (Some(one.data), Some(two.data));
    assert_eq!(found, [two.clone(), None, one, two]);
    let deleted = subject.backend.delete_many(&[b"none", b"two"]).unwrap();
    assert_eq!(deleted.len(), 2);
    assert_eq!(deleted.into_iter().filter(|deleted| *deleted).count(), 1);
    assert!(!subject.has(b"two"));
    assert!(subject.has(b"one"));
    assert!(subject.backend.get_many(&[]).unwrap().is_empty());
    assert!(subject.backend.delete_many(&[]).unwrap().is_empty());
    assert!(subject.backend.set_many(&[], Forever).unwrap().is_empty());
}

pub(crate) fn incr_counts(subject: &Subject) {
    assert_eq!(subject.incr(b"counter", 5), 5);
    assert_eq!(subject.incr(b"counter", 2), 7);
    assert_eq!(subject.incr(b"counter", -3), 4);
    assert_eq!(subject.incr(b"counter", 0), 4);
    assert!(subject.has(b"counter"));
}

pub(crate) fn incr_keeps_the_lifetime(subject: &Subject) {
    let counter = |lifetime| subject.backend.incr(b"counter", 1, lifetime).unwrap();
    assert_eq!(counter(Lifetime::For(SHORT)), 1);
    assert_eq!(counter(Lifetime::For(LONG)), 2);
    subject.pass(SHORT);
    assert_eq!(counter(Forever), 1);
}

pub(crate) fn incr_gives_a_new_counter_its_lifetime(subject: &Subject) {
    let lifetime = Lifetime::For(SHORT);
    subject.backend.incr(b"counter", 1, lifetime).unwrap();
    subject.pass(SHORT);
    assert!(!subject.has(b"counter"));
}

pub(crate) fn incr_refuses_what_is_no_integer(subject: &Subject) {
    subject.set(b"key", b"no number", Forever);
    let error = subject.backend.incr(b"key", 1, Forever).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"no number"[..]));
}

pub(crate) fn what_an_entry_has_left_is_told_where_it_can_be(subject: &Subject) {
    let remaining = |key: &[u8]| subject.backend.remaining(key).unwrap();
    assert_eq!(remaining(b"none"), None);
    subject.set(b"long", b"value", Lifetime::For(LONG));
    subject.set(b"forever", b"value", Forever);
    // Not every server can say.
    match remaining(b"long") {
        // Some count in whole seconds, rounded up.
        Some(Lifetime::For(left)) => assert!((LONG / 2..=LONG + SHORT).contains(&left), "{left:?}"),
        other => assert_eq!(other, None),
    }
    assert!(matches!(remaining(b"forever"), Some(Forever) | None));
}

pub(crate) fn extend_lets_an_entry_live_longer_never_shorter(subject: &Subject) {
    let extend = |key: &[u8], lifetime| subject.backend.extend(key, lifetime).unwrap();
    assert!(!extend(b"none", Lifetime::For(LONG)));
    subject.set(b"short", b"value", Lifetime::For(SHORT));
    subject.set(b"long", b"value", Lifetime::For(LONG));
    subject.set(b"forever", b"value", Forever);
    assert!(extend(b"short", Lifetime::For(LONG)));
    assert!(extend(b"long", Lifetime::For(SHORT)));
    assert!(extend(b"forever", Lifetime::For(SHORT)));
    subject.pass(SHORT);
    for key in [&b"short"[..], b"long", b"forever"] {
        assert_eq!(subject.get(key).as_deref(), Some(&b"value"[..]), "{key:?}");
    }
    assert!(!subject.has(b"none"));
}

pub(crate) fn compare_exchange_replaces_only_what_was_expected(subject: &Subject) {
    let exchange = |expected: &[u8], new: &[u8]| {
        let expected = subject.backend.get(b"key").unwrap().map_or_else(
            || value(expected),
            |found| Value {
                data: expected.to_vec(),
                ..found
            },
        );
        subject
            .backend
            .compare_exchange(b"key", &expected, Some(&value(new)), Forever)
            .unwrap()
    };
    assert!(!exchange(b"old", b"new"));
    assert_eq!(subject.get(b"key"), None);
    subject.set(b"key", b"old", Forever);
    assert!(!exchange(b"other", b"new"));
    assert!(exchange(b"old", b"new"));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"new"[..]));
}

pub(crate) fn compare_exchange_removes_only_what_was_expected(subject: &Subject) {
    subject.set(b"key", b"value", Forever);
    let stored = subject.backend.get(b"key").unwrap().unwrap();
    let other = Value {
        data: b"other".to_vec(),
        ..stored.clone()
    };
    let remove = |expected| {
        subject
            .backend
            .compare_exchange(b"key", expected, None, Forever)
            .unwrap()
    };
    assert!(!remove(&other));
    assert!(subject.has(b"key"));
    assert!(remove(&stored));
    assert!(!subject.has(b"key"));
    assert!(!remove(&stored));
}

pub(crate) fn set_if_stores_only_over_what_was_expected(subject: &Subject) {
    let set_if = |expected: &Value, new: &[u8], lifetime| {
        let backend = &subject.backend;
        backend
            .set_if(b"key", expected, &value(new), lifetime)
            .unwrap()
    };
    assert!(!set_if(&value(b"old"), b"new", Forever));
    assert_eq!(subject.get(b"key"), None);
    subject.set(b"key", b"old", Forever);
    let stored = subject.backend.get(b"key").unwrap().unwrap();
    let other = Value {
        data: b"other".to_vec(),
        ..stored.clone()
    };
    assert!(!set_if(&other, b"new", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"old"[..]));
    assert!(set_if(&stored, b"new", Forever));
    assert_eq!(subject.get(b"key").as_deref(), Some(&b"new"[..]));
    assert!(!set_if(&stored, b"newer", Forever));
    let stored = subject.backend.get(b"key").unwrap().unwrap();
    assert!(set_if(&stored, b"over", Expired));
    assert!(!subject.has(b"key"));
}

pub(crate) fn set_if_gives_the_entry_its_own_lifetime(subject: &Subject) {
    for (key, before, after) in [
        (&b"shorter"[..], Forever, Lifetime::For(SHORT)),
        (b"longer", Lifetime::For(SHORT), Forever),
    ] {
        subject.set(key, b"old", before);
        let stored = subject.backend.get(key).unwrap().unwrap();
        let new = value(b"new");
        assert!(subject.backend.set_if(key, &stored, &new, after).unwrap());
    }
    subject.pass(SHORT);
    assert!(!subject.has(b"shorter"));
    assert_eq!(subject.get(b"longer").as_deref(), Some(&b"new"[..]));
}

pub(crate) fn of_many_threads_that_add_one_succeeds(subject: &Subject) {
    for round in 0..10 {
        let key = format!("key{round}");
        let added: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number: u8| {
                    let key = key.as_bytes();
                    scope.spawn(move || usize::from(subject.add(key, &[number], Forever)))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(added, 1);
    }
}

pub(crate) fn many_threads_lose_no_count(subject: &Subject) {
    const THREADS: i64 = 8;
    const EACH: i64 = 25;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    subject.incr(b"counter", 1);
                }
            });
        }
    });
    assert_eq!(subject.incr(b"counter", 0), THREADS * EACH);
}
