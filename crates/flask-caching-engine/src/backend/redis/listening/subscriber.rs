//! Follows one server, from connecting to the end of the copies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::super::config::ConnectionConfig;
use super::super::connection::Connection;
use super::super::resp::{self, Message, Reply};
use super::super::{fault, scheduling};
use super::{LATEST, LISTEN, Link, State, is_refusal};
use crate::Result;
use crate::clock::{self, Instant};
use crate::resilience::{Deadline, Settings};

/// After how long it is tried again what failed, and what a server has refused.
const RETRY: Duration = Duration::from_millis(200);
/// After so many failures it is said that nobody can be heard, and tried more seldom.
const MANY: u32 = 25;
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// Follows one server.
pub(super) struct Subscriber {
    pub(super) state: Arc<State>,
    pub(super) link: Arc<Link>,
    pub(super) every: Duration,
    pub(super) silence: Duration,
    pub(super) settings: Settings,
}

impl Subscriber {
    pub(super) fn run(self) {
        // Readers have old values until it has run.
        scheduling::run_soon();
        let mut failures = 0;
        while !self.is_over() {
            let Err(error) = self.listen() else {
                return;
            };
            failures = if self.link.is_heard() {
                1
            } else {
                failures + 1
            };
            self.lose();
            if self.is_over() {
                return;
            }
            log::debug!("changes are not heard of any more: {error}");
            self.state.note_trouble(Some(&error));
            if failures == 1 {
                self.state.is_wanted.store(false, Ordering::Relaxed);
            }
            if failures >= MANY && !is_refusal(error.kind()) {
                self.state.warn_of_silence(&error);
            }
            self.pause(match error.kind() {
                kind if is_refusal(kind) => RETRY_REFUSED,
                _ if failures >= MANY => LATEST,
                _ => RETRY,
            });
        }
    }

    fn is_over(&self) -> bool {
        self.link.is_over.load(Ordering::Acquire) || self.state.near.strong_count() == 0
    }

    fn pause(&self, pause: Duration) {
        let deadline = Deadline::after(pause);
        while let Ok(left) = deadline.remaining() {
            if self.is_over() {
                return;
            }
            thread::park_timeout(left.min(LATEST));
        }
    }

    /// Nothing is known any more of what this server has.
    fn lose(&self) {
        if let Some(near) = self.state.near.upgrade() {
            self.link.heard.store(0, Ordering::Release);
            self.state.vouch(&near);
            near.invalidate_all();
        }
    }

    /// Listens until it is over; otherwise returns what has gone wrong.
    fn listen(&self) -> Result<()> {
        let (mut connection, mut heard) = self.connect()?;
        let server = &self.link.server;
        let failed = |error| fault::io(LISTEN, server.endpoint().server(), error);
        if let Some(near) = self.state.near.upgrade() {
            near.begin_listening();
            self.link.heard.store(heard.0, Ordering::Release);
            self.state.note_trouble(None);
            self.state.vouch(&near);
        }
        let mut asked = None;
        while !self.is_over() {
            let now = clock::real();
            match asked {
                None if now.since(heard) >= self.every => {
                    let mut ping = Vec::new();
                    resp::encode(&mut ping, &[b"PING"]);
                    connection
                        .send(&ping, Deadline::after(self.silence))
                        .map_err(failed)?;
                    asked = Some(now);
                }
                Some(since) if now.since(since) >= self.silence => {
                    return Err(failed(Deadline::after(self.silence).timed_out()));
                }
                _ => {}
            }
            connection.set_deadline(Deadline::after(self.every));
            match connection.wait() {
                Err(error) if is_timeout(&error) => continue,
                outcome => outcome.map_err(failed)?,
            }
            connection.set_deadline(Deadline::after(self.silence));
            match connection.message().map_err(failed)? {
                Message::Push(parts) => self.heed(&parts),
                Message::Reply(Reply::Error(message)) => {
                    return Err(fault::server(LISTEN, server.endpoint().server(), &message));
                }
                Message::Reply(_) => {
                    heard = asked.take().unwrap_or(heard);
                    self.link.heard.store(heard.0, Ordering::Release);
                    if let Some(near) = self.state.near.upgrade() {
                        self.state.vouch(&near);
                    }
                }
            }
        }
        Ok(())
    }

    /// A connection that hears of changes, and since when.
    fn connect(&self) -> Result<(Connection, Instant)> {
        let server = &self.link.server;
        let target = || server.endpoint().server();
        let config = ConnectionConfig {
            resp3: true,
            is_inherited: false,
            ..server.config().clone()
        };
        let deadline = Deadline::after(self.settings.connect_timeout.max(self.silence));
        let mut connection = Connection::open(LISTEN, server.endpoint(), &config, deadline)?;
        let Some(near) = self.state.near.upgrade() else {
            return Ok((connection, Instant(0)));
        };
        let mut track = Vec::new();
        let words: [&[u8]; 6] = [
            b"CLIENT",
            b"TRACKING",
            b"ON",
            b"BCAST",
            b"PREFIX",
            near.prefix(),
        ];
        let words = if near.prefix().is_empty() {
            &words[..4]
        } else {
            &words
        };
        resp::encode(&mut track, words);
        let failed = |error| fault::io(LISTEN, target(), error);
        connection.send(&track, deadline).map_err(failed)?;
        match connection.receive().map_err(failed)? {
            Reply::Error(message) => Err(fault::server(LISTEN, target(), &message)),
            // Nothing was copied before now.
            _ => Ok((connection, clock::real())),
        }
    }

    /// Does as a message says that nobody asked for.
    fn heed(&self, parts: &[Reply]) {
        let (Some(Reply::Data(kind)), Some(near)) = (parts.first(), self.state.near.upgrade())
        else {
            return;
        };
        if kind != b"invalidate" {
            return;
        }
        match parts.get(1) {
            Some(Reply::Array(keys)) => {
                for key in keys {
                    match key {
                        Reply::Data(key) => near.invalidate(key),
                        _ => near.invalidate_all(),
                    }
                }
            }
            // The database was emptied.
            _ => near.invalidate_all(),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
