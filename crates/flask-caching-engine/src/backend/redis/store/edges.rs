//! What the first and the last bytes of an entry tell of it, which are cheaper to have than all.

use super::Redis;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation};
use crate::backend::redis::topology::Request;
use crate::backend::{Backend, Presence};
use crate::{Result, compression, metadata};

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
    pub(super) fn told(&self, key: &[u8], beginning: &Reply, end: &Reply) -> Result<Presence> {
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
