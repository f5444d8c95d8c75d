//! One server: its connections and its health.

use super::address::Address;
use super::binary;
use super::config::Config;
use super::connection::Connection;
use super::failure::{Failure, Outcome};
use super::pool::{Lease, Pool};
use super::protocol::Protocol;
use crate::Result;
use crate::resilience::{Deadline, Health};

/// A server as one process sees it.
#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    pool: Pool,
    health: Health,
}

impl Server {
    pub(super) fn new(address: Address, config: &Config) -> Self {
        let health = Health::new(format!("memcached at {address}"), &config.settings);
        Self {
            address,
            pool: Pool::new(config.pool),
            health,
        }
    }

    /// Does `operation` by one `conversation` on a connection, within the operation's deadline.
    pub(super) fn talk<T>(
        &self,
        config: &Config,
        operation: &'static str,
        writes: bool,
        conversation: impl FnOnce(Protocol, &mut Connection) -> Outcome<T>,
    ) -> Result<T> {
        self.health.admit(operation)?;
        let deadline = Deadline::after(config.settings.operation_timeout);
        let lease = match self.pool.lend(deadline) {
            Ok(lease) => Ok(lease),
            // This process is busy; that says nothing about the server.
            Err(failure @ Failure::Refused(_)) => {
                return Err(failure.into_error(operation, self.health.target()));
            }
            Err(failure) => Err(failure),
        };
        let outcome = lease
            .and_then(|lease| self.converse(config, lease, deadline, conversation))
            .map_err(|failure| failure.into_error(operation, self.health.target()));
        self.health.record(writes, outcome.as_ref().err());
        outcome
    }

    fn converse<T>(
        &self,
        config: &Config,
        mut lease: Lease<'_>,
        deadline: Deadline,
        conversation: impl FnOnce(Protocol, &mut Connection) -> Outcome<T>,
    ) -> Outcome<T> {
        let rested = lease.take().filter(Connection::is_quiet);
        let mut connection = match rested {
            Some(connection) => connection,
            None => self.connect(config, deadline)?,
        };
        connection.begin(deadline, config.settings.operation_timeout)?;
        let outcome = conversation(config.protocol, &mut connection);
        match &outcome {
            Ok(_) | Err(Failure::Value(_)) => lease.keep(connection),
            Err(_) => {}
        }
        outcome
    }

    fn connect(&self, config: &Config, deadline: Deadline) -> Outcome<Connection> {
        let deadline = deadline.at_most(config.settings.connect_timeout);
        let mut connection = Connection::open(&self.address, config.socket, deadline)
            .map_err(|error| Failure::Io(connect_error(&error)))?;
        if let Some(credentials) = &config.credentials {
            connection.begin(deadline, deadline.remaining()?)?;
            binary::log_in(
                &mut connection,
                &credentials.username,
                &credentials.password,
            )?;
        }
        Ok(connection)
    }
}

fn connect_error(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot connect: {error}"))
}
