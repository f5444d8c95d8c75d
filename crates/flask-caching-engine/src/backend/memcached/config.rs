//! What a memcached backend is made of.

use std::fmt;

use super::address::Address;
use super::connection::SocketOptions;
use super::distribution::Distribution;
use super::distribution::hash::KeyHash;
use super::protocol::Protocol;
use crate::resilience::Settings;
use crate::{Error, ErrorKind, Result};

/// A user name and password for SASL PLAIN.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The user's password; it is shown nowhere.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The connections that a process may have to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// How many at most, 1 or more.
    pub size: usize,
    /// Where all are in use: wait for one (until the operation's deadline), or fail at once.
    pub blocking: bool,
}

/// A memcached backend, described.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers; their order decides which of them holds a key.
    pub servers: Vec<Address>,
    /// How they are spoken to.
    pub protocol: Protocol,
    /// How to log in; `None`: not at all. Only the binary protocol can.
    pub credentials: Option<Credentials>,
    /// How keys are spread over the servers.
    pub distribution: Distribution,
    /// The hash that places a key.
    pub hash: KeyHash,
    /// Connections to each server.
    pub pool: PoolOptions,
    /// How sockets are set up.
    pub socket: SocketOptions,
    /// Deadlines, and when a server is left alone.
    pub settings: Settings,
}

impl Config {
    /// The configuration for `servers` where nothing else is said.
    pub fn new(servers: Vec<Address>) -> Self {
        Self {
            servers,
            protocol: Protocol::Text,
            credentials: None,
            distribution: Distribution::default(),
            hash: KeyHash::default(),
            pool: PoolOptions {
                size: 1,
                blocking: true,
            },
            socket: SocketOptions::default(),
            settings: Settings::default(),
        }
    }

    /// # Errors
    /// [`ErrorKind::Config`] where it describes nothing that can work.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |what: &str, why: &str| {
            Err(Error::new(
                ErrorKind::Config,
                "setting up memcached",
                what,
                why,
            ))
        };
        if self.servers.is_empty() {
            return invalid("the servers", "there must be at least one");
        }
        if self.pool.size == 0 {
            return invalid("pool_size", "it must be 1 or more");
        }
        if self.credentials.is_some() && self.protocol == Protocol::Text {
            return invalid("the user name", "only the binary protocol can log in");
        }
        Ok(())
    }
}
