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

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

#[macro_use]
mod suite;

mod file;
mod layers;
mod lmdb;
mod memcached;
mod memory;
mod null;
mod redis;

/// A TCP port that nobody listens on.
///
/// It is none of those that the system gives to connections: such a port could be a client's by the
/// time the server is started, or the test that tries to reach the server on it connect to itself.
fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(16) + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + next % PORTS).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
