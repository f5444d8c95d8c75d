//! The servers of a topology that changes, by where they listen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::redis::config::{ConnectionConfig, Endpoint};
use crate::backend::redis::server::Server;
use crate::resilience::ServerHealth;

/// Servers that nobody uses are forgotten when so many are known: those of a cluster may come and go with
/// addresses of their own.
const MOST: usize = 1000;

/// Keeps one [`Server`], with its connections and its health, for each endpoint that was heard of.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
pub(in crate::backend::redis) struct KnownServers {
    config: ConnectionConfig,
    servers: Mutex<HashMap<Endpoint, Arc<Server>>>,
}

impl KnownServers {
    /// None yet; new servers are connected to as `config` says.
    pub(in crate::backend::redis) fn new(config: ConnectionConfig) -> Self {
        Self {
            config,
            servers: Mutex::new(HashMap::new()),
        }
    }

    /// The server at `endpoint`.
    pub(in crate::backend::redis) fn server(&self, endpoint: &Endpoint) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(endpoint) {
            return Arc::clone(server);
        }
        let mut unused = Vec::new();
        if servers.len() >= MOST {
            unused.extend(servers.extract_if(|_, server| Arc::strong_count(server) == 1));
        }
        let server = Arc::new(Server::new(endpoint.clone(), self.config.clone()));
        servers.insert(endpoint.clone(), Arc::clone(&server));
        drop(servers);
        // Their connections are closed without the lock.
        drop(unused);
        server
    }

    /// What is known of each of its servers, in the order of their names.
    pub(in crate::backend::redis) fn server_health(&self) -> Vec<ServerHealth> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: Vec<_> = servers.values().map(|server| server.health()).collect();
        known.sort_by(|one, other| one.server.cmp(&other.server));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_nobody_uses_are_forgotten_where_there_are_many() {
        let known = KnownServers::new(ConnectionConfig::default());
        let endpoint = |number: usize| Endpoint::Tcp(format!("server{number}"), 6379);
        let used = known.server(&endpoint(0));
        for number in 1..3 * MOST {
            known.server(&endpoint(number));
            assert!(known.server_health().len() <= MOST);
        }
        assert!(Arc::ptr_eq(&used, &known.server(&endpoint(0))));
    }
}
