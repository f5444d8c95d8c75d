//! Copies nearby: which of them stand, and for how long.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::clock::{self, Instant};
use flask_caching_engine::layer::near::{Invalidating, Near};
use flask_caching_engine::{Backend, Lifetime, Value};

const SILENCE: Duration = Duration::from_secs(2);

struct Copies {
    near: Arc<Near>,
    store: MemoryStore<u32>,
}

impl Copies {
    /// Of which everything is heard for an hour.
    fn new(most: Option<Duration>) -> Self {
        let near = Arc::new(Near::new(b"p:".to_vec(), 100, most, SILENCE));
        near.begin_listening();
        near.heard_until(clock::real().after(Duration::from_secs(3600)));
        let store = MemoryStore::of_copies(100, 0, near.marks());
        Self { near, store }
    }

    /// Fetches a copy, while `meanwhile` happens.
    fn fetch(&self, key: &[u8], value: u32, left: Lifetime, meanwhile: impl FnOnce(&Near)) {
        let begun = self.near.begin(1).unwrap();
        meanwhile(&self.near);
        if let Some(until) = self.near.expiry(begun, left) {
            self.store.keep(key, value, 1, until, begun.stamp(0));
        }
    }

    fn get(&self, key: &[u8]) -> Option<u32> {
        self.store.read(key, |value| *value)
    }
}

#[test]
fn what_is_fetched_before_a_change_never_stands_after_it() {
    let copies = Copies::new(None);
    copies.fetch(b"k", 1, Lifetime::Forever, |_| ());
    assert_eq!(copies.get(b"k"), Some(1));
    copies.near.invalidate(b"p:k");
    assert_eq!(copies.get(b"k"), None);
    copies.fetch(b"k", 2, Lifetime::Forever, |near| near.invalidate(b"p:k"));
    assert_eq!(copies.get(b"k"), None);
    copies.fetch(b"k", 3, Lifetime::Forever, Near::invalidate_all);
    assert_eq!(copies.get(b"k"), None);
    copies.fetch(b"k", 4, Lifetime::Forever, |near| {
        near.invalidate(b"other:k");
    });
    assert_eq!(copies.get(b"k"), Some(4));
}

#[test]
fn a_handle_leads_to_a_copy_while_it_stands() {
    let copies = Copies::new(None);
    copies.fetch(b"k", 1, Lifetime::Forever, |_| ());
    let handle = copies
        .store
        .read_with_handle(b"k", |_, handle| handle)
        .unwrap();
    let read = |handle| copies.store.reader().read_handle(handle, |value| *value);
    assert_eq!(read(handle), Some(1));
    copies.near.invalidate(b"p:k");
    assert_eq!(read(handle), None);
    copies.fetch(b"k", 2, Lifetime::Forever, |_| ());
    assert_eq!(read(handle), None);
}

#[test]
fn lifetimes_are_those_of_the_originals_and_no_longer_than_told() {
    let copies = Copies::new(Some(Duration::from_secs(50)));
    let begun = copies.near.begin(1).unwrap();
    let at = clock::monotonic();
    let life = |seconds| {
        let left = Lifetime::For(Duration::from_secs(seconds));
        let until = copies.near.expiry(begun, left).unwrap().unwrap();
        (until.since(at) + Duration::from_millis(500)).as_secs()
    };
    assert_eq!([life(10), life(100)], [10, 50]);
    assert!(
        copies
            .near
            .expiry(begun, Lifetime::Forever)
            .unwrap()
            .is_some()
    );
    assert!(copies.near.expiry(begun, Lifetime::Expired).is_none());
}

#[test]
fn nothing_is_read_after_a_silence() {
    let copies = Copies::new(None);
    assert!(copies.near.is_current());
    copies.near.heard_until(Instant(0));
    assert!(!copies.near.is_current());
    assert!(copies.near.begin(1).is_none());
}

#[test]
fn what_this_process_changes_is_invalidated_at_once() {
    let copies = Copies::new(None);
    let invalidating = Invalidating::new(MemoryStore::<Value>::new(10), Arc::clone(&copies.near));
    let value = Value::from(b"1".to_vec());
    let forever = Lifetime::Forever;
    let changes: [&dyn Fn(); 8] = [
        &|| drop(invalidating.set(b"p:k", &value, forever)),
        &|| drop(invalidating.add(b"p:k", &value, forever)),
        &|| drop(invalidating.delete(b"p:k")),
        &|| drop(invalidating.delete_many(&[b"p:k"])),
        &|| drop(invalidating.incr(b"p:k", 1, forever)),
        &|| drop(invalidating.compare_exchange(b"p:k", &value, None, forever)),
        &|| drop(invalidating.set_many(&[(b"p:k", &value)], forever)),
        &|| drop(invalidating.clear()),
    ];
    for change in changes {
        copies.fetch(b"k", 1, forever, |_| ());
        assert_eq!(copies.get(b"k"), Some(1));
        change();
        assert_eq!(copies.get(b"k"), None);
    }
}
