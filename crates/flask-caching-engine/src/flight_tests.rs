//! Flights that begin, are overtaken and land, in a given order; `tests/models` tries others.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread;

use super::*;

const KEY: &[u8] = b"key";
const VERSION: &[u8] = b"version";

fn flights() -> Arc<Flights> {
    Arc::new(Flights::new())
}

fn stands(write: Write<'_>) -> bool {
    let mut is_undone = false;
    let stands = write.end(|| {
        is_undone = true;
        Ok::<_, Infallible>(())
    });
    assert_ne!(stands, Ok(is_undone));
    !is_undone
}

#[test]
fn what_began_before_a_deletion_is_not_stored() {
    let flights = flights();
    let before = flights.begin(1, KEY, []);
    flights.supersede(1, [KEY]).wait();
    let after = flights.begin(1, KEY, []);
    assert!(before.begin_write().is_none());
    assert!(stands(after.begin_write().unwrap()));
}

#[test]
fn another_key_and_another_store_are_left_alone() {
    let flights = flights();
    let flight = flights.begin(1, KEY, []);
    flights.supersede(2, [KEY]).wait();
    flights.supersede(1, [b"other".as_slice()]).wait();
    flights.supersede_all(2).wait();
    assert!(flight.begin_write().is_some());
    flights.supersede_all(1).wait();
    assert!(flight.is_superseded());
}

#[test]
fn deleting_a_version_supersedes_what_is_computed_under_it() {
    let flights = flights();
    let flight = flights.begin(1, KEY, [VERSION, b"another".as_slice()]);
    flights.supersede(1, [VERSION]).wait();
    assert!(flight.is_superseded());
}

#[test]
fn what_begins_while_a_version_is_replaced_is_not_stored() {
    let flights = flights();
    let (hold, overtaken) = flights.hold(1, [VERSION]);
    assert!(overtaken.is_empty());
    let during = flights.begin(1, KEY, [VERSION]);
    let (again, _) = flights.hold(1, [VERSION]);
    drop(hold);
    let still = flights.begin(1, KEY, [VERSION]);
    drop(again);
    let after = flights.begin(1, KEY, [VERSION]);
    assert!(during.is_superseded() && still.is_superseded());
    assert!(!after.is_superseded());
}

#[test]
fn a_deletion_waits_for_a_write_under_way() {
    let flights = flights();
    let flight = flights.begin(1, KEY, []);
    let write = flight.begin_write().unwrap();
    let (told, tells) = mpsc::channel();
    let deleting = thread::spawn({
        let flights = Arc::clone(&flights);
        move || {
            let overtaken = flights.supersede(1, [KEY]);
            assert!(!overtaken.is_empty());
            told.send(()).unwrap();
            overtaken.wait();
        }
    });
    tells.recv().unwrap();
    assert!(!stands(write));
    deleting.join().unwrap();
}

#[test]
fn a_thread_does_not_wait_for_itself() {
    let flights = flights();
    let flight = flights.begin(1, KEY, []);
    let write = flight.begin_write().unwrap();
    let overtaken = flights.supersede(1, [KEY]);
    assert!(overtaken.is_empty());
    assert!(!stands(write));
}

#[test]
fn a_deletion_waits_until_what_it_has_overtaken_is_taken_back() {
    let flights = flights();
    let flight = flights.begin(1, KEY, []);
    let write = flight.begin_write().unwrap();
    flights.supersede(1, [KEY]).wait();
    let stands = write.end(|| {
        assert!(flight.progress.is_writing());
        Err("the store is away")
    });
    assert_eq!(stands, Err("the store is away"));
    assert!(!flight.progress.is_writing());
}

#[test]
fn what_shares_its_thread_is_let_write() {
    let flights = flights();
    let flight = flights.begin(1, KEY, []);
    let mut write = flight.begin_write();
    let overtaken = flights.supersede(1, [KEY]);
    let mut pauses = 0;
    let waited = overtaken.let_write(|| {
        pauses += 1;
        if pauses == 3 {
            write = None;
        }
        Ok::<_, ()>(())
    });
    assert_eq!((waited, pauses), (Ok(()), 3));
    assert_eq!(overtaken.let_write(|| Err(())), Ok(()));
}

#[test]
fn nothing_stays_registered() {
    let flights = flights();
    let many: Vec<_> = (0_u32..100)
        .map(|n| flights.begin(1, &n.to_be_bytes(), [VERSION]))
        .collect();
    assert!(!flights.is_empty());
    drop(many);
    assert!(flights.is_empty());
    assert!(flights.shards.iter().all(|shard| lock(shard).is_empty()));
}

#[test]
fn a_forked_process_has_none_of_its_parents() {
    let flights = flights();
    let (hold, _) = flights.hold(1, [KEY]);
    let parents = flights.begin(1, KEY, []);
    flights.forget();
    assert!(flights.is_empty());
    assert!(parents.begin_write().is_none());
    let own = flights.begin(1, KEY, []);
    assert!(!own.is_superseded());
    drop((parents, hold));
    assert!(!flights.is_empty());
    drop(own);
    assert!(flights.is_empty());
}
