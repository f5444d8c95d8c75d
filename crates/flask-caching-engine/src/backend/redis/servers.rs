//! The servers behind one or more caches.

use std::fmt;
use std::sync::Arc;

use super::command::{self, Reader};
use super::config::{ConnectionConfig, Endpoint};
use super::listening::Listener;
use super::resp::Reply;
use super::server::{Batch, Operation};
use super::store::Redis;
use super::topology::Topology;
use super::topology::cluster::Cluster;
use super::topology::sentinel::{Sentinel, SentinelConfig};
use super::topology::single::Single;
use crate::Result;
use crate::layer::near::{Invalidating, Near};
use crate::resilience::{Deadline, GuardedDeletions, Resilient, Settings};

/// Redis servers: one, a master with replicas, or a cluster. Nothing is connected to before it is
/// needed, so they may be down when this is made.
#[derive(Clone)]
pub struct Servers {
    pub(super) topology: Arc<dyn Topology>,
    pub(super) settings: Settings,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Servers")
            .field(&self.topology.target())
            .finish()
    }
}

impl Servers {
    /// The one server at `endpoint`.
    pub fn single(endpoint: Endpoint, config: ConnectionConfig) -> Self {
        Self {
            settings: config.settings,
            topology: Arc::new(Single::new(endpoint, config)),
        }
    }

    /// The master that the sentinels of `sentinel` name, and its replicas; `config` says how to
    /// connect to those.
    pub fn sentinel(sentinel: SentinelConfig, config: ConnectionConfig) -> Self {
        Self {
            settings: config.settings,
            topology: Arc::new(Sentinel::new(sentinel, config)),
        }
    }

    /// The cluster that the servers at `seeds` know.
    pub fn cluster(seeds: Vec<Endpoint>, config: ConnectionConfig) -> Self {
        Self {
            settings: config.settings,
            topology: Arc::new(Cluster::new(seeds, config)),
        }
    }

    /// A cache on these servers. Caches on the same servers share their connections.
    ///
    /// `clear_prefix`: the start of all keys of this cache, which clearing removes; empty: the
    /// cache owns the whole database.
    pub fn cache(&self, clear_prefix: impl Into<Vec<u8>>) -> GuardedDeletions<Resilient<Redis>> {
        self.resilient(self.redis(clear_prefix.into()))
    }

    /// As [`cache`](Self::cache), with copies nearby of its entries: `listener` hears what changes. Every change of a lifetime
    /// costs a copy, so that lifetimes are extended by a fourth more than they have to be.
    pub fn copied(
        &self,
        clear_prefix: impl Into<Vec<u8>>,
        listener: &Arc<Listener>,
    ) -> Invalidating<GuardedDeletions<Resilient<Redis>>> {
        let redis = self.redis(clear_prefix.into()).heard_of_by(listener);
        Invalidating::new(self.resilient(redis), Arc::clone(listener.near()))
    }

    fn redis(&self, clear_prefix: Vec<u8>) -> Redis {
        let topology = Arc::clone(&self.topology);
        Redis::new(topology, clear_prefix, self.settings.operation_timeout)
    }

    fn resilient(&self, redis: Redis) -> GuardedDeletions<Resilient<Redis>> {
        let resilient = if self.topology.one_server().is_some() {
            Resilient::of_server(redis, self.settings)
        } else {
            Resilient::of_servers(redis, self.settings)
        };
        GuardedDeletions::new(resilient, self.settings)
    }

    /// What hears of the changes of entries that `near` is to know of. It begins when it is told to.
    pub fn listener(&self, near: &Arc<Near>) -> Listener {
        Listener::new(Arc::clone(&self.topology), Arc::clone(near), self.settings)
    }

    /// The keys that start with `prefix`, in no order; about `most` of them where there are more.
    /// Each step of it has a deadline of its own.
    ///
    /// # Errors
    /// What the first server that could not be asked fails with.
    pub fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>> {
        let operation = Operation::read("keys");
        let deadline = || Deadline::after(self.settings.operation_timeout);
        let reader = Reader {
            operation: operation.name,
            target: self.topology.target(),
        };
        let mut keys = Vec::new();
        for server in self.topology.masters(operation, deadline())? {
            let mut cursor = b"0".to_vec();
            loop {
                let step = command::scan(&cursor, prefix);
                let mut replies = server.exchange(operation, &step, deadline())?;
                let reply = replies.pop().unwrap_or(Reply::Nil);
                let (next, found) = reader.scanned(reply)?;
                keys.extend(found);
                if next == b"0" || keys.len() >= most {
                    break;
                }
                cursor = next;
            }
        }
        // A scan may come to a key twice.
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Asks every server that takes writes whether it is there.
    ///
    /// # Errors
    /// What the first that is not there fails with.
    pub fn ping(&self) -> Result<()> {
        let operation = Operation::read("ping");
        let deadline = Deadline::after(self.settings.operation_timeout);
        let reader = Reader {
            operation: operation.name,
            target: self.topology.target(),
        };
        for server in self.topology.masters(operation, deadline)? {
            let replies = server.exchange(operation, &Batch::of(&[b"PING"]), deadline)?;
            reader.done(replies.first().unwrap_or(&Reply::Nil))?;
        }
        Ok(())
    }
}
