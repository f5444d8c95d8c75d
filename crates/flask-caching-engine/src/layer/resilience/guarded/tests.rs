//! Deletions by keys that cannot be made yet.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::Lifetime;
use crate::resilience::flaky::{Flaky, value};
use crate::resilience::{Resilient, Settings};

type Cache = GuardedDeletions<Resilient<Flaky>>;

/// A cache that tries its server again at once.
fn cache() -> Cache {
    let settings = Settings {
        breaker_reset: Duration::ZERO,
        ..Settings::default()
    };
    let resilient = Resilient::new(Flaky::default(), "flaky", settings);
    GuardedDeletions::new(resilient, settings)
}

fn flaky(cache: &Cache) -> &Flaky {
    cache.inner().inner()
}

fn put(cache: &Cache, entries: &[(&str, &str)]) {
    for (key, text) in entries {
        let stored = cache.set(key.as_bytes(), &value(text), Lifetime::Forever);
        assert!(stored.unwrap());
    }
}

fn key(prefix: &str, guards: &[&str]) -> GuardedKey {
    GuardedKey {
        prefix: prefix.into(),
        guards: guards.iter().map(|guard| (*guard).into()).collect(),
    }
}

/// What is stored is the text, but for what begins with a question mark.
fn read() -> ReadGuard {
    Arc::new(|_, stored| Ok((!stored.data.starts_with(b"?")).then(|| stored.data.clone())))
}

const DOWN: Option<ErrorKind> = Some(ErrorKind::Unavailable);

#[test]
fn a_key_is_made_when_its_guards_can_be_read() {
    let cache = cache();
    put(
        &cache,
        &[
            ("f", "V"),
            ("i", "W"),
            ("callVW", "old"),
            ("callVX", "kept"),
        ],
    );
    flaky(&cache).fail(DOWN);
    cache.owe_guarded(key("call", &["f", "i"]), read()).unwrap();
    assert!(cache.get(b"callVW").is_err());
    flaky(&cache).fail(None);
    assert_eq!(cache.get(b"callVW").unwrap(), None);
    assert_eq!(cache.get(b"callVX").unwrap(), Some(value("kept")));
    assert!(!cache.owes());
}

#[test]
fn whoever_reads_or_writes_under_its_prefix_waits_for_it() {
    for touch in [
        |cache: &Cache| cache.get_many(&[b"f", b"callV"]).is_err(),
        |cache: &Cache| cache.has(b"callV").is_err(),
        |cache: &Cache| cache.incr(b"callV", 1, Lifetime::Forever).is_err(),
        |cache: &Cache| cache.set(b"callV", &value("x"), Lifetime::Forever).is_err(),
    ] {
        let cache = cache();
        put(&cache, &[("f", "V"), ("callV", "old")]);
        cache.owe_guarded(key("call", &["f"]), read()).unwrap();
        flaky(&cache).only(b"f");
        flaky(&cache).fail(DOWN);
        assert!(touch(&cache), "as the guard cannot be read");
        assert_eq!(
            cache.get(b"cal").unwrap(),
            None,
            "what begins otherwise does not wait"
        );
        flaky(&cache).fail(None);
        put(&cache, &[("callV", "new")]);
        assert_eq!(cache.get(b"callV").unwrap(), Some(value("new")));
    }
}

#[test]
fn it_is_delivered_by_operations_on_other_keys_too() {
    let cache = cache();
    put(
        &cache,
        &[("f", "V"), ("aV", "old"), ("abV", "old"), ("other", "v")],
    );
    for prefix in ["a", "ab"] {
        cache.owe_guarded(key(prefix, &["f"]), read()).unwrap();
    }
    assert_eq!(cache.get(b"other").unwrap(), Some(value("v")));
    assert_eq!(flaky(&cache).len(), 2);
    flaky(&cache).calls();
    cache.get(b"other").unwrap();
    assert_eq!(flaky(&cache).calls(), 1, "delivered once");
}

#[test]
fn where_a_guard_is_missing_or_holds_no_text_there_is_nothing_to_delete() {
    let cache = cache();
    put(&cache, &[("odd", "?"), ("call", "kept")]);
    for guard in ["missing", "odd"] {
        cache.owe_guarded(key("call", &[guard]), read()).unwrap();
    }
    assert_eq!(cache.get(b"call").unwrap(), Some(value("kept")));
    assert!(!cache.owes());
}

#[test]
fn a_reader_that_fails_leaves_it_owed() {
    let cache = cache();
    put(&cache, &[("f", "V"), ("callV", "old")]);
    let failing: ReadGuard = Arc::new(|_, _| {
        let why = "not now";
        Err(Error::new(ErrorKind::Refused, "delete", "test", why))
    });
    cache.owe_guarded(key("call", &["f"]), failing).unwrap();
    assert!(cache.get(b"callV").is_err());
    // The same deletion again, with a reader that can.
    cache.owe_guarded(key("call", &["f"]), read()).unwrap();
    assert_eq!(cache.get(b"callV").unwrap(), None);
}

#[test]
fn clearing_delivers_them_and_what_has_no_room_is_refused() {
    let settings = Settings {
        owed_bytes: 500,
        ..Settings::default()
    };
    let cache = GuardedDeletions::new(Flaky::default(), settings);
    cache.owe_guarded(key("a", &["f"]), read()).unwrap();
    cache.owe_guarded(key("a", &["f"]), read()).unwrap();
    let error = cache.owe_guarded(key("b", &["f"]), read()).unwrap_err();
    assert!(error.to_string().contains("not remembered"), "{error}");
    assert!(cache.owes());
    cache.clear().unwrap();
    assert!(!cache.owes());
    cache.owe_guarded(key("b", &["f"]), read()).unwrap();
}

#[test]
fn a_backend_without_a_server_deletes_at_once() {
    let store = Flaky::default();
    for (key, text) in [("f", "V"), ("callV", "old")] {
        store
            .set(key.as_bytes(), &value(text), Lifetime::Forever)
            .unwrap();
    }
    store.owe_guarded(key("call", &["f"]), read()).unwrap();
    assert_eq!(store.len(), 1);
}
