//! The cache on Redis, whatever the topology.

use std::sync::Arc;
use std::time::Duration;

use super::command::{self, Reader};
use super::fault;
use super::resp::Reply;
use super::server::{Batch, Operation, Server};
use super::topology::{Request, Topology};
use crate::backend::net::at_once;
use crate::backend::{Backend, Copied, Presence, Value};
use crate::resilience::{Deadline, ServerHealth};
use crate::{Error, ErrorKind, Lifetime, Result, compression, metadata};

/// Many-operations are sent this many keys at a time. Those that follow the first have a deadline
/// of their own: the server has shown that it answers.
const MOST_KEYS: usize = 10_000;
/// A pipeline of writes is sent when it is about this long, so that it fits its deadline.
const MOST_BYTES: usize = 4 << 20;

/// A cache on Redis; made by [`super::Servers::cache`].
pub struct Redis {
    topology: Arc<dyn Topology>,
    /// What [`Backend::clear`] removes: keys that start with it; everything where it is empty.
    clear_prefix: Vec<u8>,
    operation_timeout: Duration,
    /// Whether each extension of a lifetime is told to somebody, and so there are better few.
    extends_seldom: bool,
}

impl Redis {
    pub(super) fn new(
        topology: Arc<dyn Topology>,
        clear_prefix: Vec<u8>,
        operation_timeout: Duration,
    ) -> Self {
        Self {
            topology,
            clear_prefix,
            operation_timeout,
            extends_seldom: false,
        }
    }

    /// The same, which extends lifetimes by a fourth more than it is asked to, and so more seldom.
    pub(super) fn extending_seldom(self) -> Self {
        Self {
            extends_seldom: true,
            ..self
        }
    }

    fn deadline(&self) -> Deadline {
        Deadline::of_operation(self.operation_timeout)
    }

    /// Does `step`, which follows others of the same operation, by a deadline of its own.
    fn next_step<T>(&self, is_first: bool, step: impl FnOnce() -> Result<T>) -> Result<T> {
        if is_first {
            return step();
        }
        Deadline::after(self.operation_timeout).during(step)
    }

    fn reader(&self, operation: Operation) -> Reader<'_> {
        Reader {
            operation: operation.name,
            target: self.topology.target(),
        }
    }

    /// Whether a script has found what it expected.
    fn exchanged(&self, operation: Operation, key: &[u8], command: Batch) -> Result<bool> {
        let reply = self.one(operation, key, command)?;
        match &reply {
            // Another program's list or hash is not what was expected.
            Reply::Error(message) if message.contains("WRONGTYPE") => Ok(false),
            reply => self.reader(operation).done(reply),
        }
    }

    /// Has one command on `key` done.
    fn one(&self, operation: Operation, key: &[u8], command: Batch) -> Result<Reply> {
        let request = Request { key, command };
        let replies = self.topology.ask(operation, &[request], self.deadline())?;
        Ok(first(replies))
    }

    /// Has the command `name` done on all of `keys`, one command for each part of them that may
    /// share one. Returns the parts and their replies.
    fn over(
        &self,
        operation: Operation,
        name: &[u8],
        keys: &[&[u8]],
    ) -> Result<Vec<(Vec<usize>, Reply)>> {
        let parts = self.topology.parts(operation, keys);
        let requests: Vec<Request<'_>> = parts
            .iter()
            .filter_map(|part| {
                let command = command::over(name, part.iter().map(|&place| keys[place]));
                part.first().map(|&place| Request {
                    key: keys[place],
                    command,
                })
            })
            .collect();
        let replies = self.topology.ask(operation, &requests, self.deadline())?;
        Ok(parts.into_iter().zip(replies).collect())
    }

    /// Removes what is under `key` after a refused overwrite: the old value is not the value any
    /// more. Deleting is allowed to a server that is out of memory.
    fn drop_old(&self, key: &[u8], error: &Error) {
        if error.kind() == ErrorKind::Refused
            && let Err(also) = self.one(
                Operation::remove("delete"),
                key,
                Batch::of(&[b"UNLINK", key]),
            )
        {
            log::debug!("the value under a key that could not be overwritten stays: {also}");
        }
    }

    fn clear_server(&self, operation: Operation, server: &Server) -> Result<()> {
        let reader = self.reader(operation);
        if self.clear_prefix.is_empty() {
            let flush = Batch::of(&[b"FLUSHDB", b"ASYNC"]);
            let replies = server.exchange(operation, &flush, self.deadline())?;
            return reader.done(&first(replies)).map(drop);
        }
        let mut cursor = b"0".to_vec();
        let mut is_first = true;
        loop {
            let step = command::scan(&cursor, &self.clear_prefix);
            cursor = self.next_step(is_first, || {
                let replies = server.exchange(operation, &step, self.deadline())?;
                let (next, keys) = reader.scanned(first(replies))?;
                if !keys.is_empty() {
                    self.delete_many(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
                }
                Ok(next)
            })?;
            if cursor == b"0" {
                return Ok(());
            }
            is_first = false;
        }
    }
}

/// The reply to a batch of one command.
fn first(replies: Vec<Reply>) -> Reply {
    replies.into_iter().next().unwrap_or(Reply::Nil)
}

impl Backend for Redis {
    fn is_left_alone(&self) -> bool {
        let server = self.topology.one_server();
        server.is_some_and(Server::is_left_alone)
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.topology.server_health()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let operation = Operation::read("get");
        let reply = self.one(operation, key, command::get(key))?;
        self.reader(operation).value(reply)
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        if lifetime == Lifetime::Expired {
            return self.delete(key).map(|_| true);
        }
        let operation = Operation::store("set");
        let reply = self.one(operation, key, command::set(key, value, lifetime, false))?;
        let stored = self.reader(operation).done(&reply);
        if let Err(error) = &stored {
            self.drop_old(key, error);
        }
        stored
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        if lifetime == Lifetime::Expired {
            return Ok((self.set(key, value, lifetime)?, vec![true; extended.len()]));
        }
        let operation = Operation::store("set");
        let mut requests = vec![Request {
            key,
            command: command::set(key, value, lifetime, false),
        }];
        requests.extend(extended.iter().map(|key| Request {
            key,
            command: command::extend(key, lifetime, self.extends_seldom),
        }));
        let mut replies = self
            .topology
            .ask(operation, &requests, self.deadline())?
            .into_iter();
        let reader = self.reader(operation);
        let stored = reader.done(&replies.next().unwrap_or(Reply::Nil));
        if let Err(error) = &stored {
            self.drop_old(key, error);
        }
        let live = replies
            .map(|reply| reader.done(&reply))
            .collect::<Result<_>>()?;
        Ok((stored?, live))
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        if lifetime == Lifetime::Expired {
            return Ok(!self.has(key)?);
        }
        // Once only: the second try of one that did succeed would say that it had not.
        let operation = Operation::store("add").once();
        let reply = self.one(operation, key, command::set(key, value, lifetime, true))?;
        self.reader(operation).done(&reply)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let operation = Operation::remove("delete");
        let reply = self.one(operation, key, Batch::of(&[b"UNLINK", key]))?;
        self.reader(operation).done(&reply)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        let operation = Operation::read("has");
        let reply = self.one(operation, key, Batch::of(&[b"EXISTS", key]))?;
        self.reader(operation).done(&reply)
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        let operation = Operation::read("has");
        let exists = Batch::of(&[b"EXISTS", key]);
        let [exists, beginning, end] = self.with_edges(operation, key, exists)?;
        if !self.reader(operation).done(&exists)? {
            return Ok(Presence::Missing);
        }
        self.told(key, &beginning, &end)
    }

    fn add_or_tell(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<(bool, Presence)> {
        if lifetime == Lifetime::Expired {
            let presence = self.presence(key)?;
            return Ok((presence == Presence::Missing, presence));
        }
        let operation = Operation::store("add").once();
        let add = command::set(key, value, lifetime, true);
        let [added, beginning, end] = self.with_edges(operation, key, add)?;
        if self.reader(operation).done(&added)? {
            return Ok((true, Presence::Missing));
        }
        Ok((false, self.told(key, &beginning, &end)?))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        let operation = Operation::read("has");
        let reply = self.one(operation, key, Batch::of(&[b"PTTL", key]))?;
        Ok(match self.reader(operation).integer(&reply)? {
            -1 => Some(Lifetime::Forever),
            left => u64::try_from(left)
                .ok()
                .map(|left| Lifetime::For(Duration::from_millis(left.max(1)))),
        })
    }

    fn clear(&self) -> Result<bool> {
        let operation = Operation::remove("clear");
        let deadline = self.deadline();
        let masters = self.topology.masters(operation, deadline)?;
        let outcomes = at_once(&masters, deadline, |server| {
            self.clear_server(operation, server)
        });
        // Each is asked before one that failed is reported.
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        let operation = Operation::store("incr").once();
        let reply = self.one(operation, key, command::incr(key, delta, lifetime))?;
        self.reader(operation).integer(&reply)
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let operation = Operation::remove("extend");
        let reply = self.one(
            operation,
            key,
            command::extend(key, lifetime, self.extends_seldom),
        )?;
        self.reader(operation).done(&reply)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        let operation = Operation::remove("compare_exchange").once();
        let command = command::compare_exchange(key, expected, new);
        self.exchanged(operation, key, command)
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let operation = Operation::store("set_if").once();
        let command = command::set_if(key, expected, value, lifetime);
        self.exchanged(operation, key, command)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let operation = Operation::read("get_many");
        let mut values = vec![None; keys.len()];
        let chunks = keys.chunks(MOST_KEYS).zip(values.chunks_mut(MOST_KEYS));
        for (step, (chunk, into)) in chunks.enumerate() {
            let ask = || self.over(operation, b"MGET", chunk);
            for (part, reply) in self.next_step(step == 0, ask)? {
                let found = self.reader(operation).values(reply, part.len())?;
                for (place, value) in part.into_iter().zip(found) {
                    into[place] = value;
                }
            }
        }
        Ok(values)
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        let mut copies = Vec::with_capacity(keys.len());
        for (step, chunk) in keys.chunks(MOST_KEYS).enumerate() {
            copies.extend(self.next_step(step == 0, || self.copies_of(chunk))?);
        }
        Ok(copies)
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        if lifetime == Lifetime::Expired {
            let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
            return Ok(vec![true; self.delete_many(&keys)?.len()]);
        }
        let operation = Operation::store("set_many");
        let mut stored = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let requests: Vec<Request<'_>> = rest
                .iter()
                .take(MOST_KEYS)
                .take_while(|(_, value)| {
                    let fits = bytes < MOST_BYTES;
                    bytes += value.data.len();
                    fits
                })
                .map(|(key, value)| Request {
                    key,
                    command: command::set(key, value, lifetime, false),
                })
                .collect();
            let replies = self.next_step(stored.is_empty(), || {
                self.topology.ask(operation, &requests, self.deadline())
            })?;
            for (reply, (key, _)) in replies.into_iter().zip(rest) {
                stored.push(self.stored(operation, key, &reply)?);
            }
            rest = &rest[requests.len()..];
        }
        Ok(stored)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let operation = Operation::remove("delete_many");
        let mut deleted = vec![false; keys.len()];
        let chunks = keys.chunks(MOST_KEYS).zip(deleted.chunks_mut(MOST_KEYS));
        for (step, (chunk, into)) in chunks.enumerate() {
            let ask = || self.over(operation, b"UNLINK", chunk);
            for (part, reply) in self.next_step(step == 0, ask)? {
                // One command says how many there were, not which.
                let count = self.reader(operation).integer(&reply)?;
                for place in part.into_iter().take(usize::try_from(count).unwrap_or(0)) {
                    into[place] = true;
                }
            }
        }
        Ok(deleted)
    }
}

impl Redis {
    /// The entries of `keys` and what is left of their lifetimes, from the servers that are told of
    /// every change of them first.
    ///
    /// A change between the two questions is heard of after both, and spoils what they made.
    fn copies_of(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        let operation = Operation::read_latest("get");
        let values = keys.iter().map(|key| (*key, command::get(key)));
        let lives = keys.iter().map(|key| (*key, command::life(key)));
        let requests: Vec<_> = values
            .chain(lives)
            .map(|(key, command)| Request { key, command })
            .collect();
        let mut replies = self
            .topology
            .ask_whom(operation, &requests, self.deadline())?;
        let lives = replies.split_off(keys.len());
        let reader = self.reader(operation);
        replies
            .into_iter()
            .zip(lives)
            .map(|((value, whose), (life, of))| {
                let is_heard_of = Arc::ptr_eq(&whose, &of) && whose.is_followed();
                let left = command::lifetime(&life).filter(|_| is_heard_of);
                let left = left.unwrap_or(Lifetime::Expired);
                let value = reader.value(value)?;
                Ok(value.map(|value| Copied { value, left }))
            })
            .collect()
    }

    /// Whether one of many entries was stored. One that was refused is logged and leaves no old
    /// value behind; the others are not affected.
    fn stored(&self, operation: Operation, key: &[u8], reply: &Reply) -> Result<bool> {
        let reader = self.reader(operation);
        match reply {
            Reply::Error(message) if fault::kind_of(message) == ErrorKind::Refused => {
                let error = reader.unexpected(reply);
                self.drop_old(key, &error);
                log::debug!("{}: {error}", String::from_utf8_lossy(key));
                Ok(false)
            }
            reply => reader.done(reply),
        }
    }

    /// Sends `command`, and asks in the same breath what the entry under `key` begins and ends with.
    fn with_edges(&self, operation: Operation, key: &[u8], command: Batch) -> Result<[Reply; 3]> {
        let first = (compression::MARK.len() - 1).to_string();
        let last = format!("-{}", metadata::MAGIC.len());
        let requests = [
            command,
            Batch::of(&[b"GETRANGE", key, b"0", first.as_bytes()]),
            Batch::of(&[b"GETRANGE", key, last.as_bytes(), b"-1"]),
        ]
        .map(|command| Request { key, command });
        let replies = self.topology.ask(operation, &requests, self.deadline())?;
        let mut replies = replies.into_iter();
        Ok(std::array::from_fn(|_| {
            replies.next().unwrap_or(Reply::Nil)
        }))
    }

    /// What the edges of a live entry tell.
    fn told(&self, key: &[u8], beginning: &Reply, end: &Reply) -> Result<Presence> {
        match (beginning, end) {
            (Reply::Data(beginning), Reply::Data(end)) => Ok(Presence::of(beginning, end)),
            // Another program's list or hash is nothing that was sealed.
            (Reply::Error(message), _) if message.contains("WRONGTYPE") => Ok(Presence::Plain),
            // A user of the server who may not ask so.
            _ => {
                let found = self.get(key)?;
                Ok(found.map_or(Presence::Missing, |value| {
                    Presence::of(&value.data, &value.data)
                }))
            }
        }
    }
}
