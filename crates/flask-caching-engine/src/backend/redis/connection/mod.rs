//! One connection: login, commands out, replies in.

pub(super) mod inherited;
pub(super) mod pool;
pub(super) mod stream;
pub(super) mod tls;

use std::io::{self, Write};
use std::time::Duration;

use super::config::{ConnectionConfig, Endpoint, Login};
use super::fault;
use super::resp::{self, Incoming, Message, Reply};
use crate::clock::Instant;
use crate::resilience::Deadline;
use crate::{Result, clock};
use stream::Stream;

/// A connection that is logged in and on its database.
///
/// The caller guarantees to read one reply for each command sent, and to drop the connection after
/// the first error: what comes then answers nobody knows what.
pub(super) struct Connection {
    stream: Stream,
    incoming: Incoming,
    last_used: Instant,
}

impl Connection {
    /// Connects to `endpoint` and logs in, for `operation`, before `deadline`.
    pub(super) fn open(
        operation: &'static str,
        endpoint: &Endpoint,
        config: &ConnectionConfig,
        deadline: Deadline,
    ) -> Result<Self> {
        let failed = |error| fault::connecting(operation, endpoint.server(), error);
        let login = config.login(operation, endpoint)?;
        let stream = Stream::connect(endpoint, config, deadline).map_err(failed)?;
        let mut connection = Self {
            stream,
            incoming: Incoming::new(),
            last_used: clock::steady(),
        };
        let (greeting, count) = greeting(config, &login);
        if count > 0 {
            connection.send(&greeting, deadline).map_err(failed)?;
        }
        for _ in 0..count {
            if let Reply::Error(message) = connection.receive().map_err(failed)? {
                return Err(fault::login(operation, endpoint.server(), &message, &login));
            }
        }
        Ok(connection)
    }

    /// Sends packed commands. Their replies are to be read before `deadline`.
    pub(super) fn send(&mut self, packed: &[u8], deadline: Deadline) -> io::Result<()> {
        self.set_deadline(deadline);
        self.stream.write_all(packed)?;
        self.stream.flush()
    }

    /// Has everything from now on end by `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        self.stream.set_deadline(deadline);
    }

    /// Reads the next reply.
    pub(super) fn receive(&mut self) -> io::Result<Reply> {
        self.incoming.reply(&mut self.stream)
    }

    /// Reads the next reply, or a message that the server sends of its own accord.
    pub(super) fn message(&mut self) -> io::Result<Message> {
        self.incoming.message(&mut self.stream)
    }

    /// Waits until something has arrived; after a timeout it may be waited again.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        self.incoming.wait(&mut self.stream)
    }

    /// Notes that an operation is over.
    pub(super) fn rest(&mut self) {
        self.last_used = clock::steady();
    }

    /// Whether it can be used again after it rested: the server has not closed it meanwhile.
    pub(super) fn is_usable(&mut self, config: &ConnectionConfig, deadline: Deadline) -> bool {
        if !self.incoming.is_empty() || !self.stream.is_usable() {
            return false;
        }
        let due = config
            .health_check_interval
            .is_some_and(|interval| self.rested() >= interval);
        !due || self.answers(deadline)
    }

    fn rested(&self) -> Duration {
        Duration::from_nanos(clock::steady().0.saturating_sub(self.last_used.0))
    }

    /// Whether the server answers before `deadline`.
    pub(super) fn answers(&mut self, deadline: Deadline) -> bool {
        let mut question = Vec::new();
        resp::encode(&mut question, &[b"PING"]);
        self.send(&question, deadline).is_ok()
            && matches!(self.receive(), Ok(Reply::Data(pong)) if pong == b"PONG")
    }
}

/// The commands that a new connection starts with, and how many they are.
fn greeting(config: &ConnectionConfig, login: &Login) -> (Vec<u8>, usize) {
    let mut packed = Vec::new();
    let mut count = 0;
    let mut add = |args: &[&[u8]]| {
        resp::encode(&mut packed, args);
        count += 1;
    };
    let username = login.username.as_deref().map(str::as_bytes);
    let password = login.password.as_deref().map(str::as_bytes);
    match (config.resp3, username, password) {
        (true, _, None) => add(&[b"HELLO", b"3"]),
        (true, name, Some(password)) => {
            add(&[
                b"HELLO",
                b"3",
                b"AUTH",
                name.unwrap_or(b"default"),
                password,
            ]);
        }
        (false, None, Some(password)) => add(&[b"AUTH", password]),
        (false, Some(name), Some(password)) => add(&[b"AUTH", name, password]),
        // A user without a password: one that needs none ("nopass" takes any).
        (false, Some(name), None) => add(&[b"AUTH", name, b""]),
        (false, None, None) => {}
    }
    if let Some(name) = &config.client_name {
        add(&[b"CLIENT", b"SETNAME", name.as_bytes()]);
    }
    if config.database != 0 {
        add(&[b"SELECT", config.database.to_string().as_bytes()]);
    }
    (packed, count)
}
