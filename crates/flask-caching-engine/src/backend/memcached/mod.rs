//! Entries on memcached servers, placed and encoded as libmemcached's clients do it.
//!
//! | file | what it knows |
//! |---|---|
//! | `config`, `address` | what a backend is made of, and how addresses are written |
//! | `key`, `expiry` | keys and lifetimes as the protocol can carry them |
//! | `hash`, `distribution` | which server holds a key |
//! | `server`, `pool`, `connection`, `wire` | one server; its connections; their bytes |
//! | `protocol`, `text`, `binary` | what can be said to a server, in two languages |
//! | `counter` | numbers |
//! | `spread`, `pieces` | values larger than an item |

mod address;
mod binary;
mod config;
mod connection;
mod counter;
mod distribution;
mod expiry;
mod failure;
mod hash;
mod key;
mod pieces;
mod pool;
mod protocol;
mod server;
mod spread;
mod text;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

pub use address::{Address, DEFAULT_PORT, Endpoint};
pub use config::{Config, Credentials, PoolOptions};
pub use connection::SocketOptions;
pub use counter::INTEGER_FLAGS;
pub use distribution::Distribution;
pub use hash::KeyHash;
pub use key::{MAX_KEY_LENGTH, wire_key};
pub use protocol::Protocol;
pub use spread::Spread;

use connection::Connection;
use distribution::Placement;
use expiry::exptime;
use failure::Outcome;
use protocol::{Entry, Item, OVER, Remaining, Store, Stored};
use server::Server;

use super::{Backend, Value};
use crate::per_process::PerProcess;
use crate::{Lifetime, Result};

/// A cache on one or more memcached servers.
///
/// A server that fails is left alone for a moment and tried again; its keys stay its own meanwhile
/// (no other server answers for it, so no stale copy is left behind when it is back). A call that
/// touches several servers does what it can on all of them and then fails if one of them did.
pub struct Memcached {
    config: Arc<Config>,
    placement: Placement,
    servers: PerProcess<Vec<Server>>,
}

impl Memcached {
    /// The backend that `config` describes. Connects on first use.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] where it describes nothing that can work.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        let placement = Placement::new(config.distribution, config.hash, &config.servers);
        let config = Arc::new(config);
        let shared = Arc::clone(&config);
        let servers = PerProcess::new(move || {
            let addresses = shared.servers.iter().cloned();
            addresses
                .map(|address| Server::new(address, &shared))
                .collect()
        });
        Ok(Self {
            config,
            placement,
            servers,
        })
    }

    /// The longest that an operation may take.
    fn operation_timeout(&self) -> std::time::Duration {
        self.config.settings.operation_timeout
    }

    /// One conversation with the server that holds the wire key `key`.
    fn talk<T>(
        &self,
        key: &[u8],
        operation: &'static str,
        writes: bool,
        conversation: impl FnOnce(Protocol, &mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        let server = &self.servers.get()[self.placement.server_of(key)];
        server.talk(&self.config, operation, writes, conversation)
    }

    /// One conversation with each server that holds one of the wire keys of `requests`; the answers
    /// in the order of the requests. All servers are asked, whatever one of them says.
    fn talk_to_each<Q: Copy, A>(
        &self,
        requests: &[Q],
        key: impl Fn(&Q) -> &[u8],
        operation: &'static str,
        writes: bool,
        conversation: impl Fn(Protocol, &mut Connection, &[Q]) -> Outcome<Vec<A>>,
    ) -> Result<Vec<A>> {
        let servers = self.servers.get();
        let mut shares: Vec<(Vec<usize>, Vec<Q>)> = vec![Default::default(); servers.len()];
        for (place, request) in requests.iter().enumerate() {
            let (places, share) = &mut shares[self.placement.server_of(key(request))];
            places.push(place);
            share.push(*request);
        }
        let mut answers: Vec<(usize, A)> = Vec::with_capacity(requests.len());
        let mut failed = None;
        for (server, (places, share)) in servers.iter().zip(shares) {
            if share.is_empty() {
                continue;
            }
            let outcome = server.talk(&self.config, operation, writes, |protocol, wire| {
                conversation(protocol, wire, &share)
            });
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
}

/// The item under the wire key `key` with its token.
fn one(protocol: Protocol, wire: &mut Connection, key: &[u8]) -> Outcome<Option<Item>> {
    Ok(protocol.get(wire, &[key], true)?.pop().flatten())
}

/// Stores one entry; what became of it.
fn store_one(
    protocol: Protocol,
    wire: &mut Connection,
    store: Store,
    entry: Entry<'_>,
) -> Outcome<Stored> {
    let stored = protocol.store(wire, store, &[entry])?.pop();
    Ok(stored.unwrap_or(Stored::No))
}

/// Says that the server refused a value.
fn log_refusal(entry: &Entry<'_>, words: &str) {
    log::warn!(
        "the value for cache key {} is not stored: {} bytes are refused by memcached ({words})",
        entry.key.escape_ascii(),
        entry.value.data.len(),
    );
}

impl Backend for Memcached {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let key = wire_key(key);
        let items = self.talk(&key, "get", false, |protocol, wire| {
            protocol.get(wire, &[&key], false)
        })?;
        Ok(items.into_iter().flatten().next().map(|item| item.value))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let stored = self.set_many(&[(key, value)], lifetime)?;
        Ok(stored.first().copied().unwrap_or(false))
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let Some(exptime) = exptime(lifetime, expiry::now()) else {
            return self.has(key).map(|there| !there);
        };
        let key = wire_key(key);
        let entry = Entry {
            key: &key,
            value,
            exptime,
        };
        let stored = self.talk(&key, "add", true, |protocol, wire| {
            store_one(protocol, wire, Store::Add, entry)
        })?;
        if let Stored::Refused(words) = &stored {
            log_refusal(&entry, words);
        }
        Ok(stored == Stored::Yes)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let key = wire_key(key);
        let deleted = self.talk(&key, "delete", true, |protocol, wire| {
            protocol.delete(wire, &[&key])
        })?;
        Ok(deleted == [true])
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        let key = wire_key(key);
        self.talk(&key, "has", false, |protocol, wire| {
            protocol.has(wire, &key)
        })
    }

    /// Empties the servers, whoever else keeps entries there: the protocol knows no less.
    fn clear(&self) -> Result<bool> {
        let mut outcome = Ok(true);
        for server in self.servers.get() {
            let cleared = server.talk(&self.config, "clear", true, |protocol, wire| {
                protocol.flush_all(wire)
            });
            outcome = outcome.and_then(|_: bool| cleared.map(|()| true));
        }
        outcome
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        let key = wire_key(key);
        self.talk(&key, "incr", true, |protocol, wire| {
            counter::incr(protocol, wire, &key, delta, lifetime)
        })
    }

    /// Where the server cannot say what is left (the binary protocol, servers without meta commands)
    /// the entry lives until it is deleted or evicted: longer than asked for, never shorter.
    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let now = expiry::now();
        let Some(until) = exptime(lifetime, now) else {
            return self.has(key);
        };
        let wanted = lifetime.whole_seconds();
        let key = wire_key(key);
        self.talk(&key, "extend", true, |protocol, wire| {
            match protocol.remaining(wire, &key)? {
                Remaining::Missing => Ok(false),
                Remaining::Forever => Ok(true),
                Remaining::Seconds(left) if wanted.is_some_and(|s| s <= u64::from(left)) => {
                    Ok(true)
                }
                Remaining::Seconds(_) => protocol.touch(wire, &key, until),
                Remaining::Unknown => protocol.touch(wire, &key, 0),
            }
        })
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let key = wire_key(key);
        self.talk(&key, "compare_exchange", true, |protocol, wire| {
            let Some(item) = one(protocol, wire, &key)?.filter(|item| item.value == *expected)
            else {
                return Ok(false);
            };
            let nothing = Value::default();
            let exptime = match new {
                Some(_) => remaining_exptime(protocol, wire, &key, lifetime)?,
                None => OVER,
            };
            let entry = Entry {
                key: &key,
                value: new.unwrap_or(&nothing),
                exptime,
            };
            let stored = store_one(protocol, wire, Store::Cas(item.cas), entry)?;
            if let Stored::Refused(words) = &stored {
                log_refusal(&entry, words);
            }
            Ok(stored == Stored::Yes)
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let keys: Vec<Cow<'_, [u8]>> = keys.iter().map(|key| wire_key(key)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        let items = self.talk_to_each(
            &keys,
            |key| key,
            "get_many",
            false,
            |protocol, wire, keys| protocol.get(wire, keys, false),
        )?;
        Ok(items
            .into_iter()
            .map(|item| item.map(|item| item.value))
            .collect())
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let keys: Vec<Cow<'_, [u8]>> = entries.iter().map(|(key, _)| wire_key(key)).collect();
        let Some(exptime) = exptime(lifetime, expiry::now()) else {
            let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
            return Ok(self.delete_many(&keys)?.iter().map(|_| true).collect());
        };
        let entries: Vec<Entry<'_>> = keys
            .iter()
            .zip(entries)
            .map(|(key, (_, value))| Entry {
                key,
                value,
                exptime,
            })
            .collect();
        self.talk_to_each(
            &entries,
            |entry| entry.key,
            "set",
            true,
            |protocol, wire, entries| {
                let stored = protocol.store(wire, Store::Set, entries)?;
                let mut refused = Vec::new();
                for (entry, stored) in entries.iter().zip(&stored) {
                    if let Stored::Refused(words) = stored {
                        log_refusal(entry, words);
                        refused.push(entry.key);
                    }
                }
                // Not every server removes the old value where it refuses the new one.
                if !refused.is_empty() {
                    protocol.delete(wire, &refused)?;
                }
                Ok(stored.iter().map(|stored| *stored == Stored::Yes).collect())
            },
        )
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let keys: Vec<Cow<'_, [u8]>> = keys.iter().map(|key| wire_key(key)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
        self.talk_to_each(&keys, |key| key, "delete_many", true, Protocol::delete)
    }
}

/// What is left of the life of the item under the wire key `key`, as an `exptime`; `lifetime` where
/// the server cannot say.
fn remaining_exptime(
    protocol: Protocol,
    wire: &mut Connection,
    key: &[u8],
    lifetime: Lifetime,
) -> Outcome<u32> {
    let lifetime = match protocol.remaining(wire, key)? {
        Remaining::Forever => Lifetime::Forever,
        Remaining::Seconds(left) => {
            Lifetime::For(std::time::Duration::from_secs(left.max(1).into()))
        }
        Remaining::Missing => Lifetime::Expired,
        Remaining::Unknown => lifetime,
    };
    Ok(exptime(lifetime, expiry::now()).unwrap_or(OVER))
}
