//! Redis: one server, behind sentinels, or a cluster.
//!
//! The protocol is spoken here, on sockets with one deadline an operation, because no client of
//! the field bounds a whole operation, notices a connection that died at rest, or goes through a
//! cluster in one round trip a node.

mod command;
mod config;
mod connection;
mod denied;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod listening;
mod recent;
mod resp;
mod scheduling;
mod server;
mod servers;
mod store;
mod topology;
mod usage;

pub use config::{ConnectionConfig, CredentialProvider, Endpoint, Keepalive, Login};
pub use connection::inherited::close_inherited;
pub use connection::tls::{Tls, TlsOptions, Verification};
pub use fault::LoginRefused;
pub use listening::Listener;
pub use servers::Servers;
pub use store::Redis;
pub use topology::sentinel::{NO_MASTER, SentinelConfig};
pub use usage::Usage;
