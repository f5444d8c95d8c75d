//! The caching engine behind `flask-caching-rs`, usable as an ordinary Rust crate.
//!
//! Bytes and generic values in, bytes and values out: storage, keys, timeouts, eviction, wire
//! protocols and resilience policies. Nothing here knows Python, Flask or HTTP.

pub mod backend;
pub mod clock;
pub mod envelope;
pub mod error;
pub mod flight;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod key;
pub mod layer;
pub mod lease;
pub mod page;
pub mod per_process;
pub mod refreshes;
mod sync;
pub mod telemetry;
pub mod timeout;

pub use backend::{Backend, Presence, Value};
pub use error::{Error, ErrorKind, Result};
pub use layer::resilience;
pub use timeout::{Lifetime, Timeout};
