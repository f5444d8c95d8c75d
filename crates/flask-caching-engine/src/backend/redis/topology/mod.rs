//! Which server is in charge of a key.

pub(super) mod cluster;
pub(super) mod known_servers;
pub(super) mod sentinel;
pub(super) mod single;
pub(super) mod view;

use std::sync::Arc;

use super::resp::Reply;
use super::server::{Batch, Operation, Server};
use crate::Result;
use crate::resilience::{Deadline, ServerHealth};

/// One command on keys that live together.
pub(super) struct Request<'a> {
    /// The key that says which server is in charge; of several, any.
    pub(super) key: &'a [u8],
    pub(super) command: Batch,
}

/// A way of spreading keys over servers.
pub(super) trait Topology: Send + Sync {
    /// Divides the places of `keys` so that one command may name all keys of a part.
    fn parts(&self, operation: Operation, keys: &[&[u8]]) -> Vec<Vec<usize>>;

    /// Has each request done by the server in charge; for each, its reply. Requests to different
    /// servers are done at the same time.
    ///
    /// # Errors
    /// Where any of them could not be asked.
    fn ask(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        let replies = self.ask_whom(operation, requests, deadline)?;
        Ok(replies.into_iter().map(|(reply, _)| reply).collect())
    }

    /// As [`ask`](Self::ask), and who gave each of the replies.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    fn ask_whom(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>>;

    /// Finds out anew which servers [`masters`](Self::masters) are, and who has which keys: a number
    /// that changes with that.
    ///
    /// # Errors
    /// Where they were never found out.
    fn look_again(
        &self,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<(Vec<Arc<Server>>, u64)>;

    /// One of each set of servers with the same keys: those that take writes.
    ///
    /// # Errors
    /// Where they cannot be found out.
    fn masters(&self, operation: Operation, deadline: Deadline) -> Result<Vec<Arc<Server>>>;

    /// The server, where there is just one.
    fn one_server(&self) -> Option<&Server> {
        None
    }

    /// What is known of each server that has been heard of.
    fn server_health(&self) -> Vec<ServerHealth>;

    /// How errors call the whole of it.
    fn target(&self) -> &str;
}
