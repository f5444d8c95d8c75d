//! The cache on Redis, whatever the topology.

mod edges;
mod fallbacks;
mod many;

use std::sync::Arc;
use std::time::Duration;

use super::command::{self, Reader};
use super::denied::{Denied, Replaceable};
use super::listening::Listener;
use super::resp::Reply;
use super::server::{Batch, Operation, Server};
use super::topology::{Request, Topology};
use crate::backend::net::fan_out;
use crate::backend::{Backend, Copied, Presence, Value};
use crate::resilience::{Deadline, ServerHealth};
use crate::{Error, ErrorKind, Lifetime, Result};

/// A cache on Redis; made by [`super::Servers::cache`].
pub struct Redis {
    topology: Arc<dyn Topology>,
    /// What [`Backend::clear`] removes: keys that start with it; everything where it is empty.
    clear_prefix: Vec<u8>,
    operation_timeout: Duration,
    /// Who hears of each change. There are better few extensions of lifetimes then.
    listener: Option<Arc<Listener>>,
    denied: Denied,
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
            listener: None,
            denied: Denied::default(),
        }
    }

    /// This cache, where `listener` hears what changes in it: lifetimes are extended by a fourth more than they
    /// have to be, and so more seldom.
    pub(super) fn heard_of_by(self, listener: &Arc<Listener>) -> Self {
        Self {
            listener: Some(Arc::clone(listener)),
            ..self
        }
    }

    fn is_heard_of(&self, server: &Arc<Server>) -> bool {
        let listener = self.listener.as_ref();
        listener.is_some_and(|listener| listener.hears_of(server))
    }

    fn deadline(&self) -> Deadline {
        Deadline::of_operation(self.operation_timeout)
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

    /// Removes what is under `key` after a refused overwrite: the old value is not the value any
    /// more. Deleting is allowed to a server that is out of memory.
    fn drop_old(&self, key: &[u8], error: &Error) {
        if error.kind() == ErrorKind::Refused
            && let Err(also) = self.remove(key)
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
                let reply = first(server.exchange(operation, &step, self.deadline())?);
                let (next, keys) = if self.denied.by(&reply, Replaceable::Scan) {
                    let all = command::keys(&self.clear_prefix);
                    let replies = server.exchange(operation, &all, self.deadline())?;
                    (b"0".to_vec(), reader.keys(first(replies))?)
                } else {
                    reader.scanned(reply)?
                };
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
        if !self.denied.has(Replaceable::Eval) {
            requests.extend(extended.iter().map(|key| Request {
                key,
                command: command::extend(key, lifetime, self.listener.is_some()),
            }));
        }
        let mut replies = self
            .topology
            .ask(operation, &requests, self.deadline())?
            .into_iter();
        let reader = self.reader(operation);
        let stored = reader.done(&replies.next().unwrap_or(Reply::Nil));
        if let Err(error) = &stored {
            self.drop_old(key, error);
        }
        let live = extended.iter().map(|key| match replies.next() {
            Some(reply) if !self.denied.by(&reply, Replaceable::Eval) => reader.done(&reply),
            _ => self.prolong(key, lifetime),
        });
        let live = live.collect::<Result<_>>()?;
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
        let reply = self.remove(key)?;
        self.reader(Operation::remove("delete")).done(&reply)
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
        let outcomes = fan_out(&masters, deadline, |server| {
            self.clear_server(operation, server)
        });
        // Each is asked before one that failed is reported.
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.count(key, delta, lifetime)
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        self.prolong(key, lifetime)
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
        self.find_all(keys)
    }

    fn copies(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        self.copy_all(keys)
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        self.store_all(entries, lifetime)
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        self.remove_all(keys)
    }
}
