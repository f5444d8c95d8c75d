//! One server: its connections, its health, and one exchange of commands and replies with it.

use std::io;
use std::sync::Arc;

use super::config::{ConnectionConfig, Endpoint};
use super::connection::Connection;
use super::connection::pool::{Pool, PooledConnection};
use super::denied;
use super::fault;
use super::resp::Reply;
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, Health, Probe, ServerHealth};
use crate::telemetry::contacted;
use crate::{Error, ErrorKind, Result};

/// What an operation is to the servers.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(super) struct Operation {
    /// Its name, for errors and logs.
    pub(super) name: &'static str,
    /// Whether it changes anything: then a master has to do it.
    pub(super) writes: bool,
    /// Whether it reads what has to be the latest: then a master has to do it, too.
    pub(super) reads_latest: bool,
    /// Whether it stores anything. A server that is full refuses that, and only that.
    pub(super) stores: bool,
    /// Whether doing it twice does the same as doing it once: then it may be tried again where
    /// it is unknown whether it was done.
    pub(super) repeatable: bool,
}

impl Operation {
    pub(super) const fn read(name: &'static str) -> Self {
        Self {
            name,
            writes: false,
            reads_latest: false,
            stores: false,
            repeatable: true,
        }
    }

    /// A read that no replica may answer.
    pub(super) const fn read_latest(name: &'static str) -> Self {
        Self {
            reads_latest: true,
            ..Self::read(name)
        }
    }

    pub(super) const fn store(name: &'static str) -> Self {
        Self {
            name,
            writes: true,
            reads_latest: false,
            stores: true,
            repeatable: true,
        }
    }

    pub(super) const fn remove(name: &'static str) -> Self {
        Self {
            name,
            writes: true,
            reads_latest: false,
            stores: false,
            repeatable: true,
        }
    }

    /// This operation, not to be done twice.
    pub(super) const fn once(self) -> Self {
        Self {
            repeatable: false,
            ..self
        }
    }
}

/// Packed commands and how many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) packed: Vec<u8>,
    pub(super) count: usize,
}

/// One server.
pub(super) struct Server {
    endpoint: Endpoint,
    config: ConnectionConfig,
    state: PerProcess<State>,
}

struct State {
    pool: Pool,
    health: Health,
}

/// Commands that have been sent and not been answered yet.
pub(super) struct Sent<'a> {
    pooled: PooledConnection<'a>,
    count: usize,
}

/// Whether the server at `endpoint` answers, be it that it wants another password.
fn probe(endpoint: Endpoint, config: ConnectionConfig) -> Probe {
    Arc::new(
        move |deadline| match Connection::open("probe", &endpoint, &config, deadline) {
            Ok(mut connection) => connection.answers(deadline),
            Err(error) => error.kind() == ErrorKind::Refused,
        },
    )
}

impl Server {
    pub(super) fn new(endpoint: Endpoint, config: ConnectionConfig) -> Self {
        let (target, settings) = (endpoint.server(), config.settings);
        let probe = probe(endpoint.clone(), config.clone());
        Self {
            endpoint,
            config,
            state: PerProcess::new(move || State {
                pool: Pool::new(),
                health: Health::new(target.clone(), &settings).probed(Probe::clone(&probe)),
            }),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How it is connected to.
    pub(super) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// Whether it failed a moment ago and is being left alone: nothing would be tried now.
    pub(super) fn is_left_alone(&self) -> bool {
        self.state.get().health.is_left_alone()
    }

    /// What is known of it.
    pub(super) fn health(&self) -> ServerHealth {
        self.state.get().health.report()
    }

    /// Whether it has failed and not been heard of since: another one is better asked first.
    pub(super) fn is_doubtful(&self) -> bool {
        self.state.get().health.is_open()
    }

    /// Sends `batch` and reads the replies, one for each command. An error reply is a reply.
    ///
    /// # Errors
    /// Where the server is left alone, cannot be reached, answers nonsense or too late.
    pub(super) fn exchange(
        &self,
        operation: Operation,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        let sent = self.send(operation, batch, deadline)?;
        self.receive(operation, batch, sent, deadline)
    }

    /// The first half of [`Server::exchange`], so that several servers work at the same time. The
    /// caller guarantees to call [`Server::receive`] with what it returns.
    pub(super) fn send(
        &self,
        operation: Operation,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<Sent<'_>> {
        let state = self.state.get();
        contacted::note(&self.endpoint);
        state.health.admit(operation.name)?;
        let sent = self.try_send(operation, batch, deadline);
        if let Err(error) = &sent {
            state.health.record(operation.stores, Some(error));
        }
        sent
    }

    /// The second half of [`Server::exchange`].
    pub(super) fn receive(
        &self,
        operation: Operation,
        batch: &Batch,
        sent: Sent<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        let reused = sent.pooled.reused;
        let mut outcome = self.try_receive(operation, sent, deadline);
        if let Err(error) = &outcome
            && operation.repeatable
        {
            // A connection that rested may have been closed by then, which says nothing about
            // the server: one more try on a new one.
            let closed_meanwhile = reused && error.kind() == ErrorKind::Unavailable;
            let timed_out = self.config.retry_on_timeout && error.kind() == ErrorKind::Timeout;
            let deadline = if timed_out {
                Deadline::after(self.config.settings.operation_timeout)
            } else {
                deadline
            };
            if closed_meanwhile || timed_out {
                outcome = self
                    .try_send(operation, batch, deadline)
                    .and_then(|sent| self.try_receive(operation, sent, deadline));
            }
        }
        let refusal = match &outcome {
            Ok(replies) => replies
                .iter()
                .find_map(|reply| self.refusal(operation, reply)),
            Err(_) => None,
        };
        let error = outcome.as_ref().err().or(refusal.as_ref());
        self.state.get().health.record(operation.stores, error);
        outcome
    }

    fn try_send(
        &self,
        operation: Operation,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<Sent<'_>> {
        let pool = &self.state.get().pool;
        loop {
            let mut pooled = pool.lend(operation.name, &self.endpoint, &self.config, deadline)?;
            match pooled.connection.send(&batch.packed, deadline) {
                Ok(()) => {
                    return Ok(Sent {
                        pooled,
                        count: batch.count,
                    });
                }
                Err(error) => {
                    pool.close_idle();
                    // Nothing of it was done: a command that is not complete is not run.
                    let again = pooled.reused
                        && error.kind() != io::ErrorKind::TimedOut
                        && (operation.repeatable || batch.count == 1);
                    if !again {
                        return Err(fault::io(operation.name, self.endpoint.server(), error));
                    }
                }
            }
        }
    }

    fn try_receive(
        &self,
        operation: Operation,
        mut sent: Sent<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Reply>> {
        let connection = &mut sent.pooled.connection;
        connection.set_deadline(deadline);
        let mut replies = Vec::with_capacity(sent.count);
        while replies.len() < sent.count {
            match connection.receive() {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    self.state.get().pool.close_idle();
                    return Err(fault::io(operation.name, self.endpoint.server(), error));
                }
            }
        }
        sent.pooled.give_back();
        Ok(replies)
    }

    /// The error of a reply by which the server refuses to do its work at all. What another command can
    /// stand in for is none.
    fn refusal(&self, operation: Operation, reply: &Reply) -> Option<Error> {
        let Reply::Error(message) = reply else {
            return None;
        };
        let error = fault::server(operation.name, self.endpoint.server(), message);
        let is_work =
            !matches!(fault::code(message), "MOVED" | "ASK") && denied::of(message).is_none();
        (is_work && error.kind() != ErrorKind::Value).then_some(error)
    }
}
