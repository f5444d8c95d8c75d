//! Redis: one server, behind sentinels, or a cluster.
//!
//! The protocol is spoken here, on sockets with one deadline an operation, because no client of
//! the field bounds a whole operation, notices a connection that died at rest, or goes through a
//! cluster in one round trip a node.

mod cluster;
mod command;
mod config;
mod connection;
mod denied;
mod directory;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inherited;
mod listening;
mod pool;
mod prompt;
mod recent;
mod resp;
mod sentinel;
mod server;
mod servers;
mod single;
mod store;
mod stream;
mod tls;
mod topology;
mod usage;
mod view;

pub use config::{ConnectionConfig, CredentialProvider, Endpoint, Keepalive, Login};
pub use fault::LoginRefused;
pub use inherited::close_inherited;
pub use listening::Listener;
pub use sentinel::{NO_MASTER, SentinelConfig};
pub use servers::Servers;
pub use store::Redis;
pub use tls::{Tls, TlsOptions, Verification};
pub use usage::Usage;
