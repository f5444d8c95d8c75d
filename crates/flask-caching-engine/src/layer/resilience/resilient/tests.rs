//! The wrapper on a backend that fails on command.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::Lifetime;
use crate::resilience::flaky::{Flaky, value};

/// A reset of zero: after it opens, the breaker lets every call through as a probe.
fn probing() -> Settings {
    Settings {
        breaker_reset: Duration::ZERO,
        ..Settings::default()
    }
}

/// A reset so long that it never comes.
fn patient() -> Settings {
    Settings {
        breaker_reset: Duration::from_secs(86_400),
        ..Settings::default()
    }
}

#[test]
fn a_deletion_in_an_outage_is_delivered_before_the_next_read() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    cache.set(b"k", &value("old"), Lifetime::Forever).unwrap();
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.delete(b"k").is_err());
    assert!(cache.get(b"k").is_err());
    cache.inner().fail(None);
    assert_eq!(cache.get(b"k").unwrap(), None);
    cache.inner().calls();
    cache.get(b"k").unwrap();
    assert_eq!(cache.inner().calls(), 1, "delivered once, not on each read");
}

#[test]
fn a_new_value_is_not_deleted_by_an_old_deletion() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.delete_many(&[b"k", b"l"]).is_err());
    cache.inner().fail(None);
    cache.set(b"k", &value("new"), Lifetime::Forever).unwrap();
    assert_eq!(cache.get(b"k").unwrap(), Some(value("new")));
}

#[test]
fn a_clear_in_an_outage_is_delivered_too() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    for key in [b"a", b"b"] {
        cache.set(key, &value("old"), Lifetime::Forever).unwrap();
    }
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.clear().is_err());
    cache.inner().fail(None);
    assert_eq!(cache.get_many(&[b"a", b"b"]).unwrap(), vec![None, None]);
}

#[test]
fn storing_something_expired_is_a_deletion() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    cache.set(b"k", &value("old"), Lifetime::Forever).unwrap();
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.set(b"k", &value("x"), Lifetime::Expired).is_err());
    cache.inner().fail(None);
    assert!(!cache.has(b"k").unwrap());
}

#[test]
fn a_deletion_that_is_not_remembered_says_so_and_no_other_key_is_touched() {
    let settings = Settings {
        owed_bytes: 150,
        ..probing()
    };
    let cache = Resilient::new(Flaky::default(), "flaky", settings);
    for key in [b"a", b"b", b"c", b"d"] {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.inner().fail(Some(ErrorKind::Unavailable));
    let error = cache.delete_many(&[b"a", b"b", b"c"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("1 deletions are not remembered"),
        "{error}"
    );
    assert!(cache.owe(&[b"c"]).is_err());
    cache.inner().fail(None);
    let found = cache.get_many(&[b"a", b"b", b"c", b"d"]).unwrap();
    assert_eq!(found, [None, None, Some(value("v")), Some(value("v"))]);
    assert!(!cache.owes());
}

#[test]
fn however_many_deletions_are_owed_only_they_are_delivered() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    cache.set(b"other", &value("v"), Lifetime::Forever).unwrap();
    let keys: Vec<Vec<u8>> = (0..25_000).map(|n| format!("{n}").into_bytes()).collect();
    for key in &keys {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.inner().fail(Some(ErrorKind::Unavailable));
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    assert!(cache.delete_many(&keys).is_err());
    cache.inner().fail(None);
    // What an operation touches is deleted before it, the rest by it and the next ones.
    assert_eq!(cache.get(keys[24_999]).unwrap(), None);
    while cache.owes() {
        assert_eq!(cache.get(b"other").unwrap(), Some(value("v")));
    }
    assert_eq!(cache.inner().len(), 1);
}

#[test]
fn what_is_owed_without_being_tried_is_delivered_before_the_next_read() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    cache.set(b"k", &value("old"), Lifetime::Forever).unwrap();
    cache.inner().calls();
    cache.owe(&[b"k"]).unwrap();
    assert_eq!(cache.inner().calls(), 0);
    assert_eq!(cache.get(b"k").unwrap(), None);
}

#[test]
fn readers_of_an_owed_key_wait_for_a_deadline_together() {
    let settings = Settings {
        operation_timeout: Duration::from_millis(50),
        breaker_failures: 0,
        ..patient()
    };
    let cache = Resilient::new(Flaky::default(), "flaky", settings);
    cache.owe(&[b"k"]).unwrap();
    let _delivering = cache.state.get().turn.try_take().unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| cache.get(b"k"))).collect();
        for reader in readers {
            let error = reader.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        }
    });
    assert_eq!(cache.inner().calls(), 0);
    assert_eq!(cache.get(b"another").unwrap(), None, "others do not wait");
}

#[test]
fn an_open_breaker_costs_no_call() {
    let cache = Resilient::new(Flaky::default(), "flaky", patient());
    cache.inner().fail(Some(ErrorKind::Unavailable));
    for _ in 0..100 {
        let error = cache.get(b"k").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    assert_eq!(cache.inner().calls(), 3);
}

#[test]
fn one_timeout_is_enough() {
    let cache = Resilient::new(Flaky::default(), "flaky", patient());
    cache.inner().fail(Some(ErrorKind::Timeout));
    assert!(cache.get(b"k").is_err());
    assert!(cache.set(b"k", &value("v"), Lifetime::Forever).is_err());
    assert_eq!(cache.inner().calls(), 1);
}

#[test]
fn a_refusal_is_an_answer() {
    let cache = Resilient::new(Flaky::default(), "flaky", patient());
    cache.inner().fail(Some(ErrorKind::Refused));
    for _ in 0..10 {
        assert!(cache.set(b"k", &value("v"), Lifetime::Forever).is_err());
    }
    assert_eq!(cache.inner().calls(), 10);
}

#[test]
fn where_one_server_of_several_is_away_only_its_keys_fail() {
    let cache = Resilient::of_servers(Flaky::default(), patient());
    for key in [b"near", b"away"] {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.inner().only(b"away");
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.delete(b"away").is_err());
    assert_eq!(cache.get(b"near").unwrap(), Some(value("v")));
    cache.inner().fail(None);
    // The server is back, but delivery has failed a moment ago and is not tried on every call.
    cache
        .state
        .get()
        .next_delivery
        .store(u64::MAX, Ordering::Relaxed);
    assert_eq!(cache.get(b"near").unwrap(), Some(value("v")));
    assert!(cache.inner().get(b"away").unwrap().is_some());
    assert_eq!(
        cache.get(b"away").unwrap(),
        None,
        "but before its own key is read"
    );
}

#[test]
fn a_key_of_a_healthy_server_does_not_wait_for_a_deletion_on_another() {
    let cache = Resilient::of_servers(Flaky::default(), patient());
    for key in [b"near", b"away"] {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.owe(&[b"away", b"near"]).unwrap();
    cache.inner().only(b"away");
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert_eq!(cache.get(b"near").unwrap(), None);
    assert!(cache.get(b"away").is_err());
    assert!(cache.get(b"near").is_ok());
}

#[test]
fn one_server_is_read_only_after_the_deletion_whatever_the_key() {
    let cache = Resilient::new(Flaky::default(), "flaky", probing());
    for key in [b"gone", b"else"] {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.delete(b"gone").is_err());
    // Not even a read of another key is tried before it.
    cache.inner().fail(None);
    cache.inner().only(b"gone");
    cache.inner().fail(Some(ErrorKind::Unavailable));
    assert!(cache.get(b"else").is_err());
    cache.inner().fail(None);
    assert_eq!(cache.get(b"else").unwrap(), Some(value("v")));
    assert_eq!(cache.inner().get(b"gone").unwrap(), None);
}

#[test]
fn a_server_that_refuses_to_delete_is_still_read() {
    let cache = Resilient::new(Flaky::default(), "flaky", patient());
    for key in [b"gone", b"else"] {
        cache.set(key, &value("v"), Lifetime::Forever).unwrap();
    }
    cache.inner().only(b"gone");
    cache.inner().fail(Some(ErrorKind::Refused));
    assert!(cache.delete(b"gone").is_err());
    assert_eq!(cache.get(b"else").unwrap(), Some(value("v")));
    cache.inner().calls();
    assert_eq!(cache.get(b"else").unwrap(), Some(value("v")));
    assert_eq!(cache.inner().calls(), 1, "not delivered on every read");
    assert!(cache.get(b"gone").is_err());
}

#[test]
fn what_is_known_of_a_server_is_its_outage_and_its_last_error() {
    let cache = Resilient::new(Flaky::default(), "flaky", patient());
    cache.get(b"k").unwrap();
    let [well] = &cache.server_health()[..] else {
        panic!("one server")
    };
    assert_eq!(well.server, "flaky");
    assert!(!well.is_left_alone && well.last_error.is_none() && well.failing_for.is_none());

    cache.inner().fail(Some(ErrorKind::Timeout));
    assert!(cache.get(b"k").is_err());
    assert!(cache.get(b"k").is_err());
    let failing = cache.server_health().remove(0);
    assert!(failing.is_left_alone);
    assert!(failing.failing_for.is_some());
    assert_eq!(failing.failures, 2, "one was tried, one was not");
    let (text, _) = failing.last_error.unwrap();
    assert_eq!(text, "test on flaky failed: switched off");
}
