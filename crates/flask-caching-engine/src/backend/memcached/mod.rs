//! Entries on memcached servers, placed and encoded as libmemcached's clients do it.
//!
//! | file | what it knows |
//! |---|---|
//! | `config`, `address` | what a backend is made of, and how addresses are written |
//! | `key`, `expiry` | keys and lifetimes as the protocol can carry them |
//! | `hash`, `distribution` | which server holds a key |
//! | `server`, `pool`, `connection`, `wire` | one server; its connections; their bytes |
//! | `protocol`, `text`, `binary` | what can be said to a server, in two languages |
//! | `commands` | what clients are asked for beside what a cache does |
//! | `counter` | numbers |
//! | `spread` | values larger than an item |

mod address;
mod commands;
mod config;
mod connection;
mod counter;
mod distribution;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod pool;
mod protocol;
mod server;
mod spread;

use std::borrow::Cow;
use std::sync::Arc;

pub use address::{Address, DEFAULT_PORT, Endpoint};
pub use config::{Config, Credentials, PoolOptions};
pub use connection::SocketOptions;
pub use counter::INTEGER_FLAGS;
pub use distribution::Distribution;
pub use distribution::hash::KeyHash;
pub use key::{MAX_KEY_LENGTH, wire_key};
pub use protocol::{Counted, Direction, Item, Protocol, Statistic, Store, Stored};
pub use spread::Spread;

use distribution::Placement;
use server::Server;

use super::net::fan_out;
use super::{Backend, Value};
use crate::resilience::{Deadline, Resilient, ServerHealth};
use crate::{Lifetime, Result};

/// A cache on one or more memcached servers.
///
/// A server that fails is left alone for a moment and tried again; its keys stay its own meanwhile
/// (no other server answers for it, so no stale copy is left behind when it is back), and what it is
/// owed in deletions is delivered first. A call that touches several servers asks all of them at the
/// same time, does what it can on each, and then fails if one of them did.
pub struct Memcached {
    config: Arc<Config>,
    placement: Placement,
    servers: Vec<Resilient<Server>>,
}

impl Memcached {
    /// The backend that `config` describes. Connects on first use.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] where it describes nothing that can work.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        let config = Arc::new(config);
        let addresses = config.servers.iter().cloned();
        let servers = addresses.map(|address| {
            let server = Server::new(address, Arc::clone(&config));
            let target = server.target().to_owned();
            let probe = server.probe();
            Resilient::probed(server, target, config.settings, probe)
        });
        Ok(Self {
            placement: Placement::new(config.distribution, config.hash, &config.servers),
            servers: servers.collect(),
            config,
        })
    }

    /// The longest that an operation may take.
    fn operation_timeout(&self) -> std::time::Duration {
        self.config.settings.operation_timeout
    }

    /// The server that holds the wire key `key`.
    fn server_of(&self, key: &[u8]) -> &Resilient<Server> {
        &self.servers[self.placement.server_of(key)]
    }

    /// Asks each server that holds one of the wire keys of `requests` for its share of them, all at
    /// the same time; the answers in the order of the requests. All servers are asked, whatever one
    /// of them says.
    fn ask_each<Q: Copy + Sync, A: Send>(
        &self,
        requests: &[Q],
        key: impl Fn(&Q) -> &[u8],
        ask: impl Fn(&Resilient<Server>, &[Q]) -> Result<Vec<A>> + Sync,
    ) -> Result<Vec<A>> {
        if let [server] = self.servers.as_slice() {
            return ask(server, requests);
        }
        let mut answers: Vec<(usize, A)> = Vec::with_capacity(requests.len());
        let mut failed = None;
        for (places, outcome) in self.ask_shares(requests, key, ask) {
            match outcome {
                Ok(answered) => answers.extend(places.into_iter().zip(answered)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        answers.sort_unstable_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// [`ask_each`](Self::ask_each); for each server, the places of its share among the requests, and
    /// what became of it.
    fn ask_shares<Q: Copy + Sync, A: Send>(
        &self,
        requests: &[Q],
        key: impl Fn(&Q) -> &[u8],
        ask: impl Fn(&Resilient<Server>, &[Q]) -> Result<Vec<A>> + Sync,
    ) -> Vec<(Vec<usize>, Result<Vec<A>>)> {
        let mut shares: Vec<(Vec<usize>, Vec<Q>)> = vec![Default::default(); self.servers.len()];
        for (place, request) in requests.iter().enumerate() {
            let (places, share) = &mut shares[self.placement.server_of(key(request))];
            places.push(place);
            share.push(*request);
        }
        let shares = self.servers.iter().zip(shares);
        let shares = shares.filter(|(_, (places, _))| !places.is_empty());
        self.fan_out(shares, |server, (_, share)| ask(server, share))
            .into_iter()
            .map(|((places, _), outcome)| (places, outcome))
            .collect()
    }

    /// Asks servers by `ask`, all at the same time and by one deadline. With each goes the part of
    /// the work that is its own; it comes back with the answer.
    fn fan_out<'a, P: Sync, A: Send>(
        &self,
        parts: impl Iterator<Item = (&'a Resilient<Server>, P)>,
        ask: impl Fn(&Resilient<Server>, &P) -> A + Sync,
    ) -> Vec<(P, A)> {
        // One that is left alone says so without being asked, which needs no thread.
        let (left_alone, up): (Vec<_>, Vec<_>) =
            parts.partition(|(server, _)| server.is_left_alone());
        let deadline = Deadline::of_operation(self.operation_timeout());
        let mut answers = fan_out(&up, deadline, |(server, part)| ask(server, part));
        answers.extend(left_alone.iter().map(|(server, part)| ask(server, part)));
        let parts = up.into_iter().chain(left_alone).map(|(_, part)| part);
        parts.zip(answers).collect()
    }
}

impl Backend for Memcached {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let key = wire_key(key);
        self.server_of(&key).get(&key)
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key).set(&key, value, lifetime)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key).add(&key, value, lifetime)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key).delete(&key)
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        let keys = wire_keys(keys.iter().copied());
        let shares = self.ask_shares(&slices(&keys), |key| key, Resilient::delete_many);
        let mut outcomes: Vec<(usize, Result<bool>)> = Vec::with_capacity(keys.len());
        for (places, outcome) in shares {
            match outcome {
                Ok(deleted) => outcomes.extend(places.into_iter().zip(deleted.into_iter().map(Ok))),
                Err(error) => {
                    outcomes.extend(places.into_iter().map(|place| (place, Err(error.again()))));
                }
            }
        }
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        let keys = wire_keys(keys.iter().copied());
        let owed = keys.iter().map(|key| self.server_of(key).owe(&[&**key]));
        // Each is remembered before one that is not is reported.
        let outcomes: Vec<Result<()>> = owed.collect();
        outcomes.into_iter().collect()
    }

    fn owes(&self) -> bool {
        self.servers.iter().any(Resilient::owes)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key).has(&key)
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        let key = wire_key(key);
        self.server_of(&key).remaining(&key)
    }

    fn clear(&self) -> Result<bool> {
        let servers = self.servers.iter().map(|server| (server, ()));
        let outcomes = self.fan_out(servers, |server, ()| server.clear());
        // Each is asked before one that failed is reported.
        let all: Result<Vec<bool>> = outcomes.into_iter().map(|((), outcome)| outcome).collect();
        Ok(all?.iter().all(|done| *done))
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        let key = wire_key(key);
        self.server_of(&key).incr(&key, delta, lifetime)
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key).extend(&key, lifetime)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let key = wire_key(key);
        let server = self.server_of(&key);
        server.compare_exchange(&key, expected, new, lifetime)
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let key = wire_key(key);
        let server = self.server_of(&key);
        server.set_if(&key, expected, value, lifetime)
    }

    fn is_left_alone(&self) -> bool {
        self.servers.iter().all(Resilient::is_left_alone)
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.servers
            .iter()
            .flat_map(Resilient::server_health)
            .collect()
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let keys = wire_keys(keys.iter().copied());
        self.ask_each(&slices(&keys), |key| key, Resilient::get_many)
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys = wire_keys(entries.iter().map(|(key, _)| *key));
        let values = entries.iter().map(|(_, value)| *value);
        let entries: Vec<(&[u8], &Value)> = keys.iter().map(|key| &**key).zip(values).collect();
        self.ask_each(
            &entries,
            |(key, _)| key,
            |server, share| server.set_many(share, lifetime),
        )
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let keys = wire_keys(keys.iter().copied());
        self.ask_each(&slices(&keys), |key| key, Resilient::delete_many)
    }
}

fn wire_keys<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Vec<Cow<'a, [u8]>> {
    keys.map(wire_key).collect()
}

fn slices<'a>(keys: &'a [Cow<'_, [u8]>]) -> Vec<&'a [u8]> {
    keys.iter().map(|key| &**key).collect()
}
