//! One server with all the keys.

use std::sync::Arc;

use super::{Request, Topology};
use crate::Result;
use crate::backend::redis::config::{ConnectionConfig, Endpoint};
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation, Server};
use crate::resilience::{Deadline, ServerHealth};

/// A server that stands alone.
pub(in crate::backend::redis) struct Single {
    server: Arc<Server>,
    target: String,
}

impl Single {
    pub(in crate::backend::redis) fn new(endpoint: Endpoint, config: ConnectionConfig) -> Self {
        Self {
            target: endpoint.server(),
            server: Arc::new(Server::new(endpoint, config)),
        }
    }
}

impl Topology for Single {
    fn parts(&self, _operation: Operation, keys: &[&[u8]]) -> Vec<Vec<usize>> {
        vec![(0..keys.len()).collect()]
    }

    fn ask(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        exchange(&self.server, operation, requests, deadline)
    }

    fn ask_whom(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>> {
        exchange_with(&self.server, operation, requests, deadline)
    }

    fn look_again(
        &self,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<(Vec<Arc<Server>>, u64)> {
        Ok((self.masters(operation, deadline)?, 0))
    }

    fn masters(&self, _operation: Operation, _deadline: Deadline) -> Result<Vec<Arc<Server>>> {
        Ok(vec![Arc::clone(&self.server)])
    }

    fn one_server(&self) -> Option<&Server> {
        Some(&self.server)
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        vec![self.server.health()]
    }

    fn target(&self) -> &str {
        &self.target
    }
}

/// Has all requests done by one server, in one round trip.
pub(in crate::backend::redis) fn exchange(
    server: &Server,
    operation: Operation,
    requests: &[Request<'_>],
    deadline: Deadline,
) -> Result<Vec<Reply>> {
    if let [request] = requests {
        return server.exchange(operation, &request.command, deadline);
    }
    let mut whole = Batch::default();
    for request in requests {
        whole.append(&request.command);
    }
    server.exchange(operation, &whole, deadline)
}

/// As [`exchange`], with the server beside each of its replies.
pub(in crate::backend::redis) fn exchange_with(
    server: &Arc<Server>,
    operation: Operation,
    requests: &[Request<'_>],
    deadline: Deadline,
) -> Result<Vec<(Reply, Arc<Server>)>> {
    let replies = exchange(server, operation, requests, deadline)?;
    Ok(replies
        .into_iter()
        .map(|reply| (reply, Arc::clone(server)))
        .collect())
}
