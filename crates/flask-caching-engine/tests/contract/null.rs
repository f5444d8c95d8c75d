//! The backend that stores nothing: every write is accepted, every read is a miss.

use flask_caching_engine::backend::Null;
use flask_caching_engine::{Backend, Lifetime, Value};

#[test]
fn every_write_is_accepted_and_every_read_is_a_miss() {
    let value = Value::from(b"value".to_vec());
    let forever = Lifetime::Forever;
    assert!(Null.set(b"key", &value, forever).unwrap());
    assert!(Null.add(b"key", &value, forever).unwrap());
    assert_eq!(Null.get(b"key").unwrap(), None);
    assert!(!Null.has(b"key").unwrap());
    assert!(!Null.extend(b"key", forever).unwrap());
    assert_eq!(Null.get_many(&[b"key", b"other"]).unwrap(), [None, None]);
    assert!(Null.clear().unwrap());
}

#[test]
fn every_count_starts_anew() {
    assert_eq!(Null.incr(b"key", 5, Lifetime::Forever).unwrap(), 5);
    assert_eq!(Null.incr(b"key", 5, Lifetime::Forever).unwrap(), 5);
}
