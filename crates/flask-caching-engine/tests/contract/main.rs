//! One behaviour suite for every backend of the engine.
//!
//! A backend joins with a file of its own that opens it and names the suite:
//!
//! ```ignore
//! fn open() -> Subject {
//!     Subject::new(MyBackend::open())
//! }
//!
//! contract_tests!(open);
//! ```

#[macro_use]
mod suite;

mod file;
mod memcached;
mod memory;
mod null;
mod redis;
