//! What the first and the last bytes of an entry tell of it, which are cheaper to have than all.

use super::Redis;
use crate::Result;
use crate::backend::Presence;
use crate::backend::redis::denied::Replaceable;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation};
use crate::backend::redis::topology::Request;
use crate::backend::redis::{command, fault};
use crate::envelope::{compression, metadata};

impl Redis {
    /// Sends `command`, and asks in the same breath what the entry under `key` begins and ends with.
    pub(super) fn with_edges(
        &self,
        operation: Operation,
        key: &[u8],
        command: Batch,
    ) -> Result<[Reply; 3]> {
        let first = (compression::MARK.len() - 1).to_string();
        let last = format!("-{}", metadata::MAGIC.len());
        let edges: &[Batch] = if self.denied.has(Replaceable::GetRange) {
            &[command::get(key)]
        } else {
            &[
                Batch::of(&[b"GETRANGE", key, b"0", first.as_bytes()]),
                Batch::of(&[b"GETRANGE", key, last.as_bytes(), b"-1"]),
            ]
        };
        let commands = std::iter::once(command).chain(edges.iter().cloned());
        let requests: Vec<_> = commands.map(|command| Request { key, command }).collect();
        let replies = self.topology.ask(operation, &requests, self.deadline())?;
        let mut replies = replies.into_iter();
        let mut next = || replies.next();
        let (done, beginning) = (next().unwrap_or(Reply::Nil), next().unwrap_or(Reply::Nil));
        // All of it has both.
        let end = next().unwrap_or_else(|| beginning.clone());
        Ok([done, beginning, end])
    }

    /// What the edges of a live entry tell.
    pub(super) fn told(&self, key: &[u8], beginning: &Reply, end: &Reply) -> Result<Presence> {
        match (beginning, end) {
            (Reply::Data(beginning), Reply::Data(end)) => Ok(Presence::of(beginning, end)),
            // Another program's list or hash is nothing that was sealed.
            (Reply::Error(message), _) if message.contains("WRONGTYPE") => Ok(Presence::Plain),
            (Reply::Nil, _) => Ok(Presence::Missing),
            (reply, _) if self.denied.by(reply, Replaceable::GetRange) => {
                let reply = self.one(Operation::read("get"), key, command::get(key))?;
                self.told(key, &reply, &reply)
            }
            // There is an entry, which this user of the server may not read at all.
            (Reply::Error(message), _) if fault::code(message) == "NOPERM" => Ok(Presence::Plain),
            (reply, _) => Err(self.reader(Operation::read("get")).unexpected(reply)),
        }
    }
}
