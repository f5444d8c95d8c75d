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
fn a_closed_flight_is_followed_by_nobody_who_asks_after_that() {
    let flights = flights();
    let Joined::Lead(flight) = flights.join(1, b"k", [], 1) else {
        panic!("somebody computes it");
    };
    let Joined::Follow(_) = flights.join(1, b"k", [], 2) else {
        panic!("nobody computes it");
    };
    flight.close();
    let Joined::Lead(_) = flights.join(1, b"k", [], 3) else {
        panic!("it was followed");
    };
    assert!(flight.begin_write().is_some_and(stands));
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

fn lead(flights: &Arc<Flights>, key: &[u8], leader: usize) -> Flight {
    match flights.join(1, key, [VERSION], leader) {
        Joined::Lead(flight) => flight,
        Joined::Follow(_) => panic!("somebody computes it"),
    }
}

fn follow(flights: &Arc<Flights>, key: &[u8]) -> Follower {
    match flights.join(1, key, [VERSION], 99) {
        Joined::Lead(_) => panic!("nobody computes it"),
        Joined::Follow(follower) => follower,
    }
}

fn shared(landing: Option<Landing>) -> Option<u32> {
    match landing {
        Some(Landing::Shared(Some(payload))) => payload.downcast_ref().copied(),
        _ => None,
    }
}

#[test]
fn one_computes_and_the_others_get_its_result() {
    let flights = flights();
    let leader = lead(&flights, KEY, 1);
    let waiting: Vec<_> = (2..5)
        .map(|number| follow(&flights, KEY).wait([number]).unwrap())
        .collect();
    assert!(waiting[0].landing().is_none());
    let (woken, is_woken) = mpsc::channel();
    let waits = thread::spawn({
        let other = follow(&flights, KEY).wait([5]).unwrap();
        let woken = woken.clone();
        other.wake_by(move || woken.send(1).unwrap());
        move || shared(other.landing_within(Duration::from_secs(60)))
    });
    leader.land(Landing::Shared(Some(Arc::new(7_u32))));
    drop(leader);
    assert_eq!(is_woken.recv(), Ok(1));
    assert_eq!(waits.join().unwrap(), Some(7));
    assert!(waiting.iter().all(|it| shared(it.landing()) == Some(7)));
    waiting[0].wake_by(move || woken.send(2).unwrap());
    assert_eq!(is_woken.recv(), Ok(2));
    assert_eq!(flights.len(), 0);
    drop(lead(&flights, KEY, 1));
}

#[test]
fn a_failure_is_the_leaders_alone_and_another_computes() {
    let flights = flights();
    let leader = lead(&flights, KEY, 1);
    let waiting = follow(&flights, KEY).wait([2]).unwrap();
    drop(leader);
    assert!(matches!(waiting.landing(), Some(Landing::Failed)));
    let next = lead(&flights, KEY, 2);
    drop((follow(&flights, KEY), next));
}

#[test]
fn what_was_superseded_is_followed_no_more() {
    let flights = flights();
    let leader = lead(&flights, KEY, 1);
    let waiting = follow(&flights, KEY).wait([2]).unwrap();
    flights.supersede(1, [VERSION]).wait();
    let next = lead(&flights, KEY, 3);
    drop(follow(&flights, KEY));
    leader.land(Landing::Shared(None));
    drop(leader);
    assert!(matches!(waiting.landing(), Some(Landing::Failed)));
    next.land(Landing::Shared(None));
}

#[test]
fn after_a_refusal_nobody_queues_for_a_moment() {
    let flights = flights();
    let leader = lead(&flights, KEY, 1);
    let waiting = follow(&flights, KEY).wait([2]).unwrap();
    leader.land(Landing::Refused);
    drop(leader);
    assert!(matches!(waiting.landing(), Some(Landing::Refused)));
    let beside = (lead(&flights, KEY, 2), lead(&flights, KEY, 3));
    assert!(!beside.0.is_superseded());
    drop(lead(&flights, b"other", 4));
    drop((lead(&flights, b"another", 5), follow(&flights, b"another")));
}

#[test]
fn who_sees_other_versions_does_not_follow() {
    let flights = flights();
    let join = |seen: &[u8], who| flights.join_seeing(1, KEY, [VERSION], who, seen);
    let Joined::Lead(_one) = join(b"before", 1) else {
        panic!("somebody computes it");
    };
    assert!(matches!(join(b"before", 2), Joined::Follow(_)));
    let Joined::Lead(_other) = join(b"after", 3) else {
        panic!("what began before a deletion was followed");
    };
    assert!(matches!(join(b"after", 4), Joined::Follow(_)));
}

#[test]
fn who_looked_before_a_result_landed_looks_again() {
    let flights = flights();
    let before = flights.landings();
    assert!(!flights.has_landed_since(1, KEY, before));
    let leader = lead(&flights, KEY, 1);
    leader.land(Landing::Shared(None));
    drop(leader);
    assert!(flights.has_landed_since(1, KEY, before));
    assert!(!flights.has_landed_since(1, b"other", before));
    // Who has looked since then has seen it.
    assert!(!flights.has_landed_since(1, KEY, flights.landings()));
}

#[test]
fn nobody_waits_for_himself() {
    let flights = flights();
    let one = lead(&flights, b"one", 1);
    let two = lead(&flights, b"two", 2);
    let three = lead(&flights, b"three", 3);
    assert!(follow(&flights, b"one").wait([1]).is_none(), "his own");
    let second = follow(&flights, b"one").wait([2]).unwrap();
    let third = follow(&flights, b"two").wait([3]).unwrap();
    assert!(follow(&flights, b"three").wait([1]).is_none(), "a circle");
    // Who is waited for by 1 knows that, and waits in its place as well.
    assert!(follow(&flights, b"three").wait([4, 1]).is_none());
    drop(third);
    let fourth = follow(&flights, b"three").wait([4, 1]).unwrap();
    assert!(follow(&flights, b"one").wait([3]).is_none());
    drop((second, fourth));
    assert!(follow(&flights, b"one").wait([3]).is_some());
    drop((one, two, three));
}

#[test]
fn those_who_compute_beside_others_are_not_followed() {
    let flights = flights();
    let beside = flights.begin(1, KEY, []);
    let leader = lead(&flights, KEY, 1);
    assert!(follow(&flights, KEY).is_on_this_thread());
    leader.lead_as(8);
    assert_eq!(follow(&flights, KEY).leader(), 8);
    drop((beside, leader));
}
