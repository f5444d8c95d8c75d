//! What clients of memcached are asked for beside what a cache does.

use super::protocol::expiry::{exptime, now};
use super::protocol::text;
use super::protocol::{Counted, Direction, Entry, Item, Protocol, Statistic, Store, Stored};
use super::server::{Server, log_refusal, one, store_one};
use super::{Memcached, wire_key};
use crate::{Error, ErrorKind, Lifetime, Result, Value};

impl Memcached {
    /// Stores `value` under `key` where the condition of `store` holds. Appending and prepending keep
    /// flags and lifetime of what is there, whatever those given are.
    ///
    /// # Errors
    /// As every write.
    pub fn store(
        &self,
        store: Store,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<Stored> {
        let key = wire_key(key);
        self.server_of(&key).with("set", &[&key], true, |server| {
            server.store(store, &key, value, lifetime)
        })
    }

    /// The item under `key`, with its token.
    ///
    /// # Errors
    /// As every read.
    pub fn item(&self, key: &[u8]) -> Result<Option<Item>> {
        let key = wire_key(key);
        self.server_of(&key).with("get", &[&key], false, |server| {
            server.talk("get", |protocol, wire| one(protocol, wire, &key))
        })
    }

    /// Lets the item under `key` live for `lifetime` from now, be that longer or shorter. `false`:
    /// there is none.
    ///
    /// # Errors
    /// As every write.
    pub fn touch(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let key = wire_key(key);
        self.server_of(&key)
            .with("touch", &[&key], false, |server| {
                server.talk("touch", |protocol, wire| match exptime(lifetime, now()) {
                    Some(exptime) => protocol.touch(wire, &key, exptime),
                    None => Ok(protocol.delete(wire, &[&key])? == [true]),
                })
            })
    }

    /// Lets the server count the number under `key` by `delta`.
    ///
    /// # Errors
    /// As every write.
    pub fn count(&self, key: &[u8], direction: Direction, delta: u64) -> Result<Counted> {
        let key = wire_key(key);
        self.server_of(&key).with("incr", &[&key], true, |server| {
            server.talk("incr", |protocol, wire| {
                protocol.count(wire, &key, direction, delta)
            })
        })
    }

    /// What each server says of itself, under its address.
    ///
    /// `about`: what to tell of, as `items` or `slabs`; empty: in general.
    ///
    /// # Errors
    /// A server cannot be asked, or knows nothing about that.
    pub fn statistics(&self, about: &str) -> Result<Vec<(String, Vec<Statistic>)>> {
        // It is part of a line.
        if !about.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let message = format!("there are no statistics about {about:?}");
            return Err(Error::new(ErrorKind::Key, "stats", "memcached", message));
        }
        let servers = self.servers.iter().map(|server| (server, ()));
        let answers = self.fan_out(servers, |server, ()| {
            server.with("stats", &[], false, |server| {
                server.talk("stats", |protocol, wire| protocol.statistics(wire, about))
            })
        });
        let all: Result<Vec<_>> = answers.into_iter().map(|((), told)| told).collect();
        let addresses = self.config.servers.iter().map(ToString::to_string);
        Ok(addresses.zip(all?).collect())
    }

    /// The wire keys that start with `prefix`, in their order; about `most` where there are more. `None`:
    /// the servers list none.
    ///
    /// # Errors
    /// A server cannot be asked.
    pub fn keys(&self, prefix: &[u8], most: usize) -> Result<Option<Vec<Vec<u8>>>> {
        if self.config.protocol == Protocol::Binary {
            return Ok(None);
        }
        let servers = self.servers.iter().map(|server| (server, ()));
        let answers = self.fan_out(servers, |server, ()| {
            server.with("keys", &[], false, |server| server.keys(prefix, most))
        });
        let all: Result<Option<Vec<_>>> = answers.into_iter().map(|((), keys)| keys).collect();
        let mut keys = all?.map(|keys| keys.concat());
        if let Some(keys) = &mut keys {
            keys.sort_unstable();
        }
        Ok(keys)
    }

    /// Has each server remove all its items, whoever stored them, `delay` seconds from now.
    ///
    /// # Errors
    /// A server cannot be asked.
    pub fn flush_after(&self, delay: u32) -> Result<()> {
        let servers = self.servers.iter().map(|server| (server, ()));
        let outcomes = self.fan_out(servers, |server, ()| {
            server.with("clear", &[], false, |server| server.flush_after(delay))
        });
        outcomes.into_iter().try_for_each(|((), outcome)| outcome)
    }

    /// The place, among the servers, of the one that holds `key`.
    pub fn place_of(&self, key: &[u8]) -> usize {
        self.placement.server_of(&wire_key(key))
    }
}

impl Server {
    fn store(&self, store: Store, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<Stored> {
        self.talk("set", |protocol, wire| {
            let exptime = match (exptime(lifetime, now()), store) {
                (Some(exptime), _) => exptime,
                (None, Store::Append | Store::Prepend) => 0,
                (None, store) => {
                    // What is over when it is stored is gone.
                    let done = match store {
                        Store::Cas(token) => protocol.remove(wire, key, token)?,
                        _ => protocol.delete(wire, &[key])? == [true],
                    };
                    return Ok(if done { Stored::Yes } else { Stored::No });
                }
            };
            let entry = Entry {
                key,
                value,
                exptime,
            };
            let stored = store_one(protocol, wire, store, entry)?;
            if let Stored::Refused(words) = &stored {
                log_refusal(&entry, words);
            }
            Ok(stored)
        })
    }

    /// Its keys that start with `prefix`, and not many more than `most`.
    fn keys(&self, prefix: &[u8], most: usize) -> Result<Option<Vec<Vec<u8>>>> {
        // On a connection of its own, which ends with it: not all that is said may be read.
        let listing = self.anew();
        listing.talk("keys", |_, wire| text::keys(wire, prefix, most))
    }

    pub(super) fn flush_after(&self, delay: u32) -> Result<()> {
        self.talk("clear", |protocol, wire| protocol.flush_all(wire, delay))
    }
}
