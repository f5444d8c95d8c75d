//! Layers hand every method on as what it is: none becomes several, none is answered in its place.
//! What a server is owed is remembered by the layers that exist for it, and not asked here.
//!
//! A layer joins with a test that names it. That it keeps the contract of a backend is asked in
//! `contract/layers.rs`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flask_caching_engine::backend::Copied;
use flask_caching_engine::layer::near::{Invalidating, Near};
use flask_caching_engine::layer::resilience::{
    GuardedDeletions, Resilient, ServerHealth, Settings,
};
use flask_caching_engine::{Backend, Lifetime, Presence, Result, Value};

/// A backend that notes what it is asked, and has an answer for everything.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<&'static str>>>);

impl Recorder {
    fn note<T>(&self, method: &'static str, answer: T) -> T {
        self.0.lock().unwrap().push(method);
        answer
    }
}

impl Backend for Recorder {
    fn get(&self, _: &[u8]) -> Result<Option<Value>> {
        Ok(self.note("get", Some(b"1".to_vec().into())))
    }

    fn set(&self, _: &[u8], _: &Value, _: Lifetime) -> Result<bool> {
        Ok(self.note("set", true))
    }

    fn add(&self, _: &[u8], _: &Value, _: Lifetime) -> Result<bool> {
        Ok(self.note("add", true))
    }

    fn delete(&self, _: &[u8]) -> Result<bool> {
        Ok(self.note("delete", true))
    }

    fn has(&self, _: &[u8]) -> Result<bool> {
        Ok(self.note("has", true))
    }

    fn presence(&self, _: &[u8]) -> Result<Presence> {
        Ok(self.note("presence", Presence::Sealed))
    }

    fn add_or_tell(&self, _: &[u8], _: &Value, _: Lifetime) -> Result<(bool, Presence)> {
        Ok(self.note("add_or_tell", (false, Presence::Plain)))
    }

    fn remaining(&self, _: &[u8]) -> Result<Option<Lifetime>> {
        Ok(self.note("remaining", Some(Lifetime::Forever)))
    }

    fn clear(&self) -> Result<bool> {
        Ok(self.note("clear", true))
    }

    fn incr(&self, _: &[u8], delta: i64, _: Lifetime) -> Result<i64> {
        Ok(self.note("incr", delta))
    }

    fn extend(&self, _: &[u8], _: Lifetime) -> Result<bool> {
        Ok(self.note("extend", true))
    }

    fn compare_exchange(
        &self,
        _: &[u8],
        _: &Value,
        _: Option<&Value>,
        _: Lifetime,
    ) -> Result<bool> {
        Ok(self.note("compare_exchange", true))
    }

    fn set_if(&self, _: &[u8], _: &Value, _: &Value, _: Lifetime) -> Result<bool> {
        Ok(self.note("set_if", true))
    }

    fn is_left_alone(&self) -> bool {
        true
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        vec![well()]
    }

    fn set_extending(
        &self,
        _: &[u8],
        _: &Value,
        _: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        Ok(self.note("set_extending", (true, vec![true; extended.len()])))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        Ok(self.note("get_many", vec![Some(b"1".to_vec().into()); keys.len()]))
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        Ok(self.note("copies", vec![None; keys.len()]))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], _: Lifetime) -> Result<Vec<bool>> {
        Ok(self.note("set_many", vec![true; entries.len()]))
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        Ok(self.note("delete_many", vec![true; keys.len()]))
    }
}

/// A server of which nothing bad is known.
fn well() -> ServerHealth {
    ServerHealth {
        server: "the recorder".to_owned(),
        is_left_alone: false,
        failing_for: None,
        failures: 0,
        last_error: None,
    }
}

/// Asks everything of the layer that `around` makes, and compares what arrives under it, and what
/// comes back, with what is there without it.
fn hands_everything_on<L: Backend>(around: impl FnOnce(Recorder) -> L) {
    let recorder = Recorder::default();
    let layer = around(recorder.clone());
    let (value, forever) = (Value::from(b"1".to_vec()), Lifetime::Forever);
    let keys: [&[u8]; 2] = [b"one", b"two"];

    assert_eq!(layer.get(b"one").unwrap(), Some(value.clone()));
    assert!(layer.set(b"one", &value, forever).unwrap());
    assert!(layer.add(b"one", &value, forever).unwrap());
    assert!(layer.delete(b"one").unwrap());
    assert!(layer.has(b"one").unwrap());
    assert_eq!(layer.presence(b"one").unwrap(), Presence::Sealed);
    assert_eq!(
        layer.add_or_tell(b"one", &value, forever).unwrap(),
        (false, Presence::Plain)
    );
    assert_eq!(layer.remaining(b"one").unwrap(), Some(forever));
    assert!(layer.clear().unwrap());
    assert_eq!(layer.incr(b"one", 7, forever).unwrap(), 7);
    assert!(layer.extend(b"one", forever).unwrap());
    assert!(
        layer
            .compare_exchange(b"one", &value, None, forever)
            .unwrap()
    );
    assert!(layer.set_if(b"one", &value, &value, forever).unwrap());
    assert_eq!(
        layer.set_extending(b"one", &value, forever, &keys).unwrap(),
        (true, vec![true, true])
    );
    assert_eq!(layer.get_many(&keys).unwrap().len(), 2);
    assert_eq!(layer.copies(&keys).unwrap(), [None, None]);
    let entries: [(&[u8], &Value); 1] = [(b"one", &value)];
    assert_eq!(layer.set_many(&entries, forever).unwrap(), [true]);
    assert_eq!(layer.delete_many(&keys).unwrap(), [true, true]);
    assert!(layer.is_left_alone());
    assert_eq!(layer.server_health(), [well()]);

    assert_eq!(
        *recorder.0.lock().unwrap(),
        [
            "get",
            "set",
            "add",
            "delete",
            "has",
            "presence",
            "add_or_tell",
            "remaining",
            "clear",
            "incr",
            "extend",
            "compare_exchange",
            "set_if",
            "set_extending",
            "get_many",
            "copies",
            "set_many",
            "delete_many",
        ]
    );
}

#[test]
fn what_is_shared() {
    hands_everything_on(|backend| Arc::new(backend) as Arc<dyn Backend>);
}

#[test]
fn resilience() {
    hands_everything_on(|backend| Resilient::of_servers(backend, Settings::default()));
}

#[test]
fn deletions_of_guarded_entries() {
    hands_everything_on(|backend| GuardedDeletions::new(backend, Settings::default()));
}

#[test]
fn copies_nearby() {
    hands_everything_on(|backend| {
        let near = Near::new(Vec::new(), 10, None, Duration::from_secs(2));
        Invalidating::new(backend, Arc::new(near))
    });
}

#[test]
fn one_around_another() {
    hands_everything_on(|backend| {
        let shared: Arc<dyn Backend> =
            Arc::new(Resilient::of_servers(backend, Settings::default()));
        Resilient::of_server(shared, Settings::default())
    });
}

/// A method that is not written down is the one that the trait provides, out of others.
#[test]
fn layers_have_every_method() {
    let names = |code: &str| -> Vec<String> {
        let methods = code.split("\n    fn ").skip(1);
        methods
            .filter_map(|method| method.split('(').next().map(str::to_owned))
            .collect()
    };
    let contract = include_str!("../src/backend/mod.rs");
    let contract = contract.split_once("pub trait Backend").unwrap().1;
    let layers = include_str!("../src/layer/around.rs");
    let layers = names(layers.split_once("Backend for L").unwrap().1);
    assert_eq!(
        names(contract)
            .into_iter()
            .filter(|method| !layers.contains(method))
            .collect::<Vec<_>>(),
        [""; 0]
    );
}
