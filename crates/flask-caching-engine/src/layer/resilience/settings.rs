//! The settings of the resilience layer.

use std::time::Duration;

/// How long to wait for a server, and when to leave it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest that making a connection may take, name lookup and login included.
    pub connect_timeout: Duration,
    /// The longest that one operation may wait for the server, all its steps together.
    pub operation_timeout: Duration,
    /// After this many failures in a row the server is left alone. A timeout counts as all of
    /// them: it cost a whole deadline. 0: it is never left alone.
    pub breaker_failures: u32,
    /// How long it is left alone before one call tries again; five times as long after a timeout,
    /// unless a probe in the background hears of it before.
    pub breaker_reset: Duration,
    /// How many bytes the deletions may take that a server is owed, about 64 for each beside its
    /// key. One that there is no room for is not remembered, and its error says so.
    pub owed_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(1),
            breaker_failures: 3,
            breaker_reset: Duration::from_secs(1),
            owed_bytes: 64 << 20,
        }
    }
}
