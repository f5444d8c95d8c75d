//! The connections of one process to one server.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Connection;
use crate::backend::redis::config::{ConnectionConfig, Endpoint};
use crate::resilience::Deadline;
use crate::{Error, ErrorKind, Result};

/// Connections that rest are kept up to this many; a burst's others are closed.
const MOST_IDLE: usize = 64;

/// A pool that grows on demand, to `max_connections` where there is such a limit.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
pub(in crate::backend::redis) struct Pool {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Connections that exist, resting or lent.
    open: usize,
}

/// A lent connection. Dropped without [`PooledConnection::give_back`] it is closed.
pub(in crate::backend::redis) struct PooledConnection<'a> {
    pub(in crate::backend::redis) connection: Connection,
    /// Whether it served before: the server may have closed it since.
    pub(in crate::backend::redis) reused: bool,
    place: Place<'a>,
}

/// Counts for one open connection as long as it lives.
struct Place<'a>(&'a Pool);

impl Pool {
    pub(in crate::backend::redis) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            returned: Condvar::new(),
        }
    }

    /// Lends a connection: one that rests, or a new one.
    ///
    /// # Errors
    /// What connecting fails with; [`ErrorKind::Refused`] where all connections that there may be
    /// are in use until the deadline.
    pub(in crate::backend::redis) fn lend(
        &self,
        operation: &'static str,
        endpoint: &Endpoint,
        config: &ConnectionConfig,
        deadline: Deadline,
    ) -> Result<PooledConnection<'_>> {
        loop {
            let (place, resting) = self.take(operation, endpoint, config, deadline)?;
            let Some(mut connection) = resting else {
                let limit = config.settings.connect_timeout;
                return Ok(PooledConnection {
                    connection: Connection::open(
                        operation,
                        endpoint,
                        config,
                        deadline.at_most(limit),
                    )?,
                    reused: false,
                    place,
                });
            };
            if connection.is_usable(config, deadline) {
                return Ok(PooledConnection {
                    connection,
                    reused: true,
                    place,
                });
            }
        }
    }

    /// Closes the connections that rest: another one to the same server has just failed.
    pub(in crate::backend::redis) fn close_idle(&self) {
        let idle = {
            let mut state = self.lock();
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        drop(idle);
        self.returned.notify_all();
    }

    /// A place, and the connection that rests in it if there is one, waiting for either.
    fn take(
        &self,
        operation: &'static str,
        endpoint: &Endpoint,
        config: &ConnectionConfig,
        deadline: Deadline,
    ) -> Result<(Place<'_>, Option<Connection>)> {
        let most = config.max_connections.unwrap_or(usize::MAX);
        let mut state = self.lock();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok((Place(self), Some(connection)));
            }
            if state.open < most {
                state.open += 1;
                return Ok((Place(self), None));
            }
            let left = deadline.remaining().map_err(|_| {
                Error::new(
                    ErrorKind::Refused,
                    operation,
                    endpoint.to_string(),
                    format!("all {most} connections (max_connections) are in use"),
                )
            })?;
            (state, _) = self
                .returned
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PooledConnection<'_> {
    /// Returns the connection. The caller guarantees that all its replies have been read.
    pub(in crate::backend::redis) fn give_back(self) {
        let Self {
            mut connection,
            place,
            ..
        } = self;
        connection.rest();
        let mut state = place.0.lock();
        if state.idle.len() >= MOST_IDLE {
            return;
        }
        state.idle.push(connection);
        drop(state);
        place.0.returned.notify_one();
        // The connection keeps its place.
        std::mem::forget(place);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
        self.0.returned.notify_one();
    }
}
