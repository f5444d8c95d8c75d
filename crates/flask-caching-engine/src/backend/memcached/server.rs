//! One server as a backend: its conversations, over its connections.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::config::Config;
use super::connection::Connection;
use super::counter;
use super::failure::{Failure, Outcome};
use super::pool::{Permit, Pool};
use super::protocol::binary;
use super::protocol::expiry::{self, exptime};
use super::protocol::{Entry, Item, Protocol, Remaining, Store, Stored};
use crate::backend::{Backend, Value};
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, Probe};
use crate::telemetry::contacted;
use crate::{Lifetime, Result};

/// A server. The caller guarantees that keys are wire keys.
pub(super) struct Server {
    address: Address,
    target: String,
    config: Arc<Config>,
    pool: PerProcess<Pool>,
}

impl Server {
    pub(super) fn new(address: Address, config: Arc<Config>) -> Self {
        let pool = config.pool;
        Self {
            target: format!("memcached at {address}"),
            address,
            config,
            pool: PerProcess::new(move || Pool::new(pool)),
        }
    }

    /// Whether it answers.
    pub(super) fn probe(&self) -> Probe {
        let (address, config) = (self.address.clone(), Arc::clone(&self.config));
        Arc::new(move |deadline| {
            // On a connection of its own: those that rest may have been to the server that hung.
            let server = Self::new(address.clone(), Arc::clone(&config));
            deadline.during(|| server.has(b"probe")).is_ok()
        })
    }

    /// The same server, without a connection to it.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.address.clone(), Arc::clone(&self.config))
    }

    /// How errors and logs call it.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Does `operation` by one `conversation` on a connection, within the operation's deadline.
    pub(super) fn talk<T>(
        &self,
        operation: &'static str,
        conversation: impl FnOnce(Protocol, &mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        let deadline = Deadline::of_operation(self.config.settings.operation_timeout);
        contacted::note(&self.address);
        self.pool
            .get()
            .lend(deadline)
            .and_then(|permit| self.converse(permit, deadline, conversation))
            .map_err(|failure| failure.into_error(operation, &self.target))
    }

    fn converse<T>(
        &self,
        mut permit: Permit<'_>,
        deadline: Deadline,
        conversation: impl FnOnce(Protocol, &mut Connection) -> Outcome<T>,
    ) -> Outcome<T> {
        let rested = permit.take().filter(Connection::is_quiet);
        let mut connection = match rested {
            Some(connection) => connection,
            None => self.connect(deadline)?,
        };
        connection.begin(deadline, self.config.settings.operation_timeout)?;
        let outcome = conversation(self.config.protocol, &mut connection);
        match &outcome {
            Ok(_) | Err(Failure::Value(_)) => permit.keep(connection),
            Err(_) => {}
        }
        outcome
    }

    fn connect(&self, deadline: Deadline) -> Outcome<Connection> {
        let config = &self.config;
        let deadline = deadline.at_most(config.settings.connect_timeout);
        let mut connection = Connection::open(&self.address, config.socket, deadline)
            .map_err(|error| Failure::Io(connect_error(&error)))?;
        if let Some(credentials) = &config.credentials {
            connection.begin(deadline, deadline.remaining()?)?;
            binary::log_in(
                &mut connection,
                &credentials.username,
                &credentials.password,
            )?;
        }
        Ok(connection)
    }
}

fn connect_error(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot connect: {error}"))
}

impl Backend for Server {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let items = self.talk("get", |protocol, wire| protocol.get(wire, &[key], false))?;
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
        let entry = Entry {
            key,
            value,
            exptime,
        };
        let stored = self.talk("add", |protocol, wire| {
            store_one(protocol, wire, Store::Add, entry)
        })?;
        if let Stored::Refused(words) = &stored {
            log_refusal(&entry, words);
        }
        Ok(stored == Stored::Yes)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let deleted = self.talk("delete", |protocol, wire| protocol.delete(wire, &[key]))?;
        Ok(deleted == [true])
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.talk("has", |protocol, wire| protocol.has(wire, key))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        let left = self.talk("has", |protocol, wire| protocol.remaining(wire, key))?;
        Ok(match left {
            Remaining::Missing | Remaining::Unknown => None,
            Remaining::Forever => Some(Lifetime::Forever),
            Remaining::Seconds(left) => {
                Some(Lifetime::For(Duration::from_secs(left.max(1).into())))
            }
        })
    }

    /// Empties the server, whoever else keeps entries there: the protocol knows no less.
    fn clear(&self) -> Result<bool> {
        self.flush_after(0)?;
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.talk("incr", |protocol, wire| {
            counter::incr(protocol, wire, key, delta, lifetime)
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
        self.talk("extend", |protocol, wire| {
            match protocol.remaining(wire, key)? {
                Remaining::Missing => Ok(false),
                Remaining::Forever => Ok(true),
                Remaining::Seconds(left) if wanted.is_some_and(|s| s <= u64::from(left)) => {
                    Ok(true)
                }
                Remaining::Seconds(_) => protocol.touch(wire, key, until),
                Remaining::Unknown => protocol.touch(wire, key, 0),
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
        self.talk("compare_exchange", |protocol, wire| {
            let Some(item) = one(protocol, wire, key)?.filter(|item| item.value == *expected)
            else {
                return Ok(false);
            };
            let exptime = remaining_exptime(protocol, wire, key, lifetime)?;
            match (new, exptime) {
                (Some(value), Some(exptime)) => {
                    let entry = Entry {
                        key,
                        value,
                        exptime,
                    };
                    store_over(protocol, wire, item.cas, entry)
                }
                _ => protocol.remove(wire, key, item.cas),
            }
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.talk("set_if", |protocol, wire| {
            let Some(item) = one(protocol, wire, key)?.filter(|item| item.value == *expected)
            else {
                return Ok(false);
            };
            match exptime(lifetime, expiry::now()) {
                Some(exptime) => {
                    let entry = Entry {
                        key,
                        value,
                        exptime,
                    };
                    store_over(protocol, wire, item.cas, entry)
                }
                None => protocol.remove(wire, key, item.cas),
            }
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let items = self.talk("get_many", |protocol, wire| protocol.get(wire, keys, false))?;
        Ok(items
            .into_iter()
            .map(|item| item.map(|item| item.value))
            .collect())
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let Some(exptime) = exptime(lifetime, expiry::now()) else {
            let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
            return Ok(self.delete_many(&keys)?.iter().map(|_| true).collect());
        };
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(key, value)| Entry {
                key,
                value,
                exptime,
            })
            .collect();
        self.talk("set", |protocol, wire| {
            let stored = protocol.store(wire, Store::Set, &entries)?;
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
        })
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        self.talk("delete_many", |protocol, wire| protocol.delete(wire, keys))
    }
}

/// The item under the wire key `key` with its token.
pub(super) fn one(protocol: Protocol, wire: &mut Connection, key: &[u8]) -> Outcome<Option<Item>> {
    Ok(protocol.get(wire, &[key], true)?.pop().flatten())
}

/// Stores one entry; what became of it.
pub(super) fn store_one(
    protocol: Protocol,
    wire: &mut Connection,
    store: Store,
    entry: Entry<'_>,
) -> Outcome<Stored> {
    let stored = protocol.store(wire, store, &[entry])?.pop();
    Ok(stored.unwrap_or(Stored::No))
}

/// Says that the server refused a value.
pub(super) fn log_refusal(entry: &Entry<'_>, words: &str) {
    log::warn!(
        "the value for cache key {} is not stored: {} bytes are refused by memcached ({words})",
        entry.key.escape_ascii(),
        entry.value.data.len(),
    );
}

/// What is left of the life of the item under the wire key `key`, as an `exptime`; `lifetime` where
/// the server cannot say. `None`: it is over.
fn store_over(
    protocol: Protocol,
    wire: &mut Connection,
    cas: u64,
    entry: Entry<'_>,
) -> Outcome<bool> {
    let stored = store_one(protocol, wire, Store::Cas(cas), entry)?;
    if let Stored::Refused(words) = &stored {
        log_refusal(&entry, words);
    }
    Ok(stored == Stored::Yes)
}

pub(super) fn remaining_exptime(
    protocol: Protocol,
    wire: &mut Connection,
    key: &[u8],
    lifetime: Lifetime,
) -> Outcome<Option<u32>> {
    let lifetime = match protocol.remaining(wire, key)? {
        Remaining::Forever => Lifetime::Forever,
        Remaining::Seconds(left) => Lifetime::For(Duration::from_secs(left.max(1).into())),
        Remaining::Missing => Lifetime::Expired,
        Remaining::Unknown => lifetime,
    };
    Ok(exptime(lifetime, expiry::now()))
}
