//! The connections of one process to one server.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::config::PoolOptions;
use super::connection::Connection;
use super::failure::{Failure, Outcome};
use crate::resilience::Deadline;

/// Connections at rest, and a count of those that may still be made.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
#[derive(Debug)]
pub(super) struct Pool {
    options: PoolOptions,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

/// The right to one connection, given back when it is dropped.
pub(super) struct Permit<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Pool {
    pub(super) fn new(options: PoolOptions) -> Self {
        Self {
            options,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// The right to a connection, by `deadline`.
    ///
    /// # Errors
    /// All are in use: [`Failure::Refused`] at once, or a timeout where the pool blocks.
    pub(super) fn lend(&self, deadline: Deadline) -> Outcome<Permit<'_>> {
        let mut state = self.lock();
        while state.lent >= self.options.size {
            let size = self.options.size;
            if !self.options.blocking {
                let why = format!("all connections (pool_size: {size}) are in use");
                return Err(Failure::Refused(why));
            }
            let left = deadline.remaining().map_err(|over| {
                let why =
                    format!("{over}: those before it use all connections (pool_size: {size})");
                io::Error::new(over.kind(), why)
            })?;
            state = self
                .returned
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.lent += 1;
        Ok(Permit {
            pool: self,
            connection: state.idle.pop(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The connection that came with it, if one was at rest. The caller puts it back with
    /// [`Permit::keep`] where it is still good.
    pub(super) fn take(&mut self) -> Option<Connection> {
        self.connection.take()
    }

    /// Puts a connection to rest. The caller guarantees that every reply on it has been read.
    pub(super) fn keep(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.lent -= 1;
        state.idle.extend(self.connection.take());
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ErrorKind;

    fn pool(size: usize, blocking: bool) -> Pool {
        Pool::new(PoolOptions { size, blocking })
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(20))
    }

    #[test]
    fn an_exhausted_pool_fails_at_once_or_waits_until_the_deadline() {
        for blocking in [false, true] {
            let pool = pool(1, blocking);
            let permit = pool.lend(soon()).unwrap();
            let failure = pool.lend(soon()).err().unwrap();
            let kind = failure.into_error("get", "there").kind();
            let expected = if blocking {
                ErrorKind::Timeout
            } else {
                ErrorKind::Refused
            };
            assert_eq!(kind, expected);
            drop(permit);
            assert!(pool.lend(soon()).is_ok());
        }
    }

    #[test]
    fn waiting_ends_when_a_connection_comes_back() {
        let pool = pool(1, true);
        let permit = pool.lend(soon()).unwrap();
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| pool.lend(Deadline::after(Duration::from_secs(30))).is_ok());
            drop(permit);
            assert!(waiting.join().unwrap());
        });
    }
}
