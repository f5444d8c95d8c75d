//! Layers: what is the same for many backends, in a backend of its own around another.
//!
//! # Contract
//!
//! A layer is a struct that holds a [`Backend`], and is one by being a [`Layer`]: it names only what it
//! does, and all else is handed on, each method as what it is. It is one file (or folder) here, and
//! knows neither which backend it holds nor which layers are over or under it.
//!
//! - It keeps the contract of [`Backend`], as if it were the only one: the same answers for a miss, a
//!   refused value, an expired lifetime; safe from many threads and after `fork()`.
//! - What a layer makes of a value is its own: it undoes that in every method that gives a value
//!   back, and applies it to both values of [`compare_exchange`](crate::Backend::compare_exchange) and
//!   [`set_if`](crate::Backend::set_if).
//! - It hands errors on as they are, or says in its documentation which it does not.
//! - A layer that changes stored bytes does so only where an option asks for it, and marks them:
//!   what is read without the mark is what somebody without that layer wrote.
//! - It takes the time from [`crate::clock`], and blocks no longer than what it holds.
//!
//! Layers are put together once, where a store is made, the outermost last: a layer that must see
//! what crosses the network is put on first. `Arc<dyn Backend>` is a backend, so one can be put around
//! whatever there is.
//!
//! A layer joins `tests/layers.rs`, which asks whether each method arrives as what it is, and
//! `tests/contract/layers.rs`, which asks what every backend is asked.
//!
//! Signing is none of them: entries that end in Python (a client object, uWSGI, a bucket) are signed as
//! well, so it is the last step of encoding a value, over [`crate::envelope::signing`].
//!
//! [`Backend`]: crate::Backend

mod around;
pub mod near;
pub mod resilience;

pub use around::{Effect, Layer, Operation};
