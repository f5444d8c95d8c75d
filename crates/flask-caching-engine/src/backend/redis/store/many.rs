//! What is done for many keys: a part of them at a time, each by a deadline.

use std::sync::Arc;

use super::Redis;
use crate::backend::redis::command;
use crate::backend::redis::fault;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::Operation;
use crate::backend::redis::topology::Request;
use crate::backend::{Backend, Copied, Value};
use crate::resilience::Deadline;
use crate::{ErrorKind, Lifetime, Result};

/// Many-operations are sent this many keys at a time. Those that follow the first have a deadline
/// of their own: the server has shown that it answers.
const MOST_KEYS: usize = 10_000;
/// A pipeline of writes is sent when it is about this long, so that it fits its deadline.
const MOST_BYTES: usize = 4 << 20;

impl Redis {
    /// Does `step`, which follows others of the same operation, by a deadline of its own.
    pub(super) fn next_step<T>(
        &self,
        is_first: bool,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if is_first {
            return step();
        }
        Deadline::after(self.operation_timeout).during(step)
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

    pub(super) fn find_all(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
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

    pub(super) fn copy_all(&self, keys: &[&[u8]]) -> Result<Vec<Option<Copied>>> {
        let mut copies = Vec::with_capacity(keys.len());
        for (step, chunk) in keys.chunks(MOST_KEYS).enumerate() {
            copies.extend(self.next_step(step == 0, || self.copies_of(chunk))?);
        }
        Ok(copies)
    }

    pub(super) fn store_all(
        &self,
        entries: &[(&[u8], &Value)],
        lifetime: Lifetime,
    ) -> Result<Vec<bool>> {
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

    pub(super) fn remove_all(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let operation = Operation::remove("delete_many");
        let mut deleted = vec![false; keys.len()];
        let chunks = keys.chunks(MOST_KEYS).zip(deleted.chunks_mut(MOST_KEYS));
        for (step, (chunk, into)) in chunks.enumerate() {
            let ask = || {
                self.removed(
                    |name| self.over(operation, name, chunk),
                    |parts, denies| parts.iter().any(|(_, reply)| denies(reply)),
                )
            };
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

    /// The entries of `keys` and what is left of their lifetimes, as far as somebody hears of the
    /// changes there.
    ///
    /// A change between the two questions is heard of after both, and invalidates what they made.
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
                let is_heard_of = Arc::ptr_eq(&whose, &of) && self.is_heard_of(&whose);
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
}
