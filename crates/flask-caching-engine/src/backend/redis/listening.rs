//! Hears from the servers what changes, for copies nearby ([`crate::layer::near`]).
//!
//! A process has one connection to each master for it, on which the server sends the keys that change
//! (`CLIENT TRACKING ON BCAST`, <https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//! What is sent there arrives in order: an answer to a `PING` says that every change before the
//! question has been heard of. Nothing else is taken for a sign of life.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::config::ConnectionConfig;
use super::connection::Connection;
use super::fault;
use super::resp::{self, Message, Reply};
use super::server::{Operation, Server};
use super::topology::Topology;
use crate::clock::{self, Instant};
use crate::layer::near::Near;
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, Settings};
use crate::{Error, ErrorKind, Result};

/// How often in a silence that is too long the servers are asked.
const QUESTIONS: u32 = 4;
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_secs(1);
/// After how long it is tried again what failed, and what a server has refused.
const RETRY: Duration = Duration::from_millis(200);
/// After so many failures it is said that nobody can be heard, and tried more seldom.
const MANY: u32 = 25;
const RETRY_REFUSED: Duration = Duration::from_secs(30);

const LISTEN: &str = "near";

/// Listens to the servers of one cache, from the first [`begin`](Self::begin) in a process on.
pub struct Listener {
    topology: Arc<dyn Topology>,
    near: Arc<Near>,
    settings: Settings,
    state: PerProcess<Arc<State>>,
}

/// What the threads of one process share. They end when the copies are gone.
struct State {
    near: Weak<Near>,
    is_begun: AtomicBool,
    links: Mutex<Vec<Arc<Link>>>,
    /// Why nobody listens.
    trouble: Mutex<Option<Trouble>>,
}

struct Trouble {
    message: String,
    is_refusal: bool,
}

/// The connection to one server.
struct Link {
    server: Arc<Server>,
    /// Every change before this moment, on the real clock, was heard of; 0: it is not connected.
    heard: AtomicU64,
    is_over: AtomicBool,
}

impl Listener {
    pub(super) fn new(topology: Arc<dyn Topology>, near: Arc<Near>, settings: Settings) -> Self {
        let weak = Arc::downgrade(&near);
        Self {
            topology,
            near,
            settings,
            state: PerProcess::new(move || {
                Arc::new(State {
                    near: Weak::clone(&weak),
                    is_begun: AtomicBool::new(false),
                    links: Mutex::default(),
                    trouble: Mutex::default(),
                })
            }),
        }
    }

    /// Listens from now on, unless it does; returns at once.
    pub fn begin(&self) {
        let state = self.state.get();
        if state.is_begun.swap(true, Ordering::AcqRel) {
            return;
        }
        let supervisor = Supervisor {
            topology: Arc::clone(&self.topology),
            state: Arc::clone(state),
            settings: self.settings,
            silence: self.near.silence(),
        };
        if let Err(error) = spawn(move || supervisor.run()) {
            log::debug!("no thread to hear of changes: {error}");
            state.is_begun.store(false, Ordering::Release);
        }
    }

    /// Why nobody listens at present, where that is known.
    pub fn trouble(&self) -> Option<String> {
        let trouble = lock(&self.state.get().trouble);
        trouble.as_ref().map(|trouble| trouble.message.clone())
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name("cache-near".to_owned());
    thread.spawn(run).map(drop)
}

impl State {
    /// Vouches for as long as every server was heard of.
    fn vouch(&self, near: &Near) {
        let links = lock(&self.links);
        let heard = links.iter().map(|link| link.heard.load(Ordering::Acquire));
        match heard.min() {
            None | Some(0) => near.heard_until(Instant(0)),
            Some(heard) => near.heard_until(Instant(heard).after(near.silence())),
        }
    }

    fn note_trouble(&self, error: Option<&Error>) {
        let is_refusal = error.is_some_and(|error| is_refusal(error.kind()));
        let noted = error.map(|error| Trouble {
            message: error.to_string(),
            is_refusal,
        });
        let before = std::mem::replace(&mut *lock(&self.trouble), noted);
        if let Some(error) = error
            && is_refusal
            && !before.is_some_and(|before| before.is_refusal)
        {
            log::warn!(
                "CACHE_NEAR: the cache goes on without copies, and asks the server each time. It \
                 needs Redis 6 or newer, without a proxy that hides it, and a user that may call \
                 CLIENT TRACKING: {error}"
            );
        }
    }

    /// Lets go of every link, and of what was heard of by them.
    fn replace_links(&self, near: &Near, links: Vec<Arc<Link>>) {
        let mut present = lock(&self.links);
        near.heard_until(Instant(0));
        for old in std::mem::replace(&mut *present, links) {
            old.server.set_followed(false);
            old.heard.store(0, Ordering::Release);
            old.is_over.store(true, Ordering::Release);
        }
        near.spoil_all();
    }
}

/// Whether a server has said that it will not, rather than not been reached.
fn is_refusal(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that each master has its link.
struct Supervisor {
    topology: Arc<dyn Topology>,
    state: Arc<State>,
    settings: Settings,
    silence: Duration,
}

impl Supervisor {
    fn run(self) {
        let mut layout = None;
        while let Some(near) = self.state.near.upgrade() {
            let deadline = Deadline::after(self.settings.operation_timeout);
            match self.topology.look_again(Operation::read(LISTEN), deadline) {
                Ok((masters, number)) => {
                    let is_new = layout != Some(number) || !self.has_links_to(&masters);
                    layout = Some(number);
                    if is_new {
                        self.link(&near, &masters);
                    }
                }
                // The links that there are know best whether their servers are well.
                Err(error) => {
                    log::debug!("nobody says which servers to hear of changes from: {error}");
                }
            }
            drop(near);
            thread::park_timeout(self.silence.clamp(SOONEST, LATEST));
        }
        for link in lock(&self.state.links).drain(..) {
            link.is_over.store(true, Ordering::Release);
        }
    }

    fn has_links_to(&self, masters: &[Arc<Server>]) -> bool {
        let links = lock(&self.state.links);
        links.len() == masters.len()
            && links.iter().all(|link| {
                masters
                    .iter()
                    .any(|master| Arc::ptr_eq(master, &link.server))
            })
    }

    fn link(&self, near: &Near, masters: &[Arc<Server>]) {
        let links: Vec<_> = masters
            .iter()
            .map(|server| {
                Arc::new(Link {
                    server: Arc::clone(server),
                    heard: AtomicU64::new(0),
                    is_over: AtomicBool::new(false),
                })
            })
            .collect();
        self.state.replace_links(near, links.clone());
        for link in links {
            let (state, settings) = (Arc::clone(&self.state), self.settings);
            let ear = Ear {
                state,
                link: Arc::clone(&link),
                every: (self.silence / QUESTIONS).clamp(SOONEST, LATEST),
                silence: self.silence,
                settings,
            };
            if let Err(error) = spawn(move || ear.run()) {
                log::debug!("no thread to hear of changes: {error}");
                // The next look finds that it has no link, and tries again.
                lock(&self.state.links).retain(|other| !Arc::ptr_eq(other, &link));
            }
        }
    }
}

/// Follows one server.
struct Ear {
    state: Arc<State>,
    link: Arc<Link>,
    every: Duration,
    silence: Duration,
    settings: Settings,
}

impl Ear {
    fn run(self) {
        let mut failures = 0;
        while !self.is_over() {
            let is_heard = || self.link.heard.load(Ordering::Acquire) > 0;
            let Err(error) = self.listen() else {
                return;
            };
            failures = if is_heard() { 1 } else { failures + 1 };
            self.lose();
            if self.is_over() {
                return;
            }
            log::debug!("changes are not heard of any more: {error}");
            self.state.note_trouble(Some(&error));
            if failures == MANY && !is_refusal(error.kind()) {
                log::warn!(
                    "CACHE_NEAR: nothing is heard of what changes, so that the cache goes on without \
                     copies and asks the server each time: {error}"
                );
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
            self.link.server.set_followed(false);
            self.link.heard.store(0, Ordering::Release);
            self.state.vouch(&near);
            near.spoil_all();
        }
    }

    /// Listens until it is over; otherwise returns what has gone wrong.
    fn listen(&self) -> Result<()> {
        let (mut connection, mut heard) = self.connect()?;
        let server = &self.link.server;
        let failed = |error| fault::io(LISTEN, server.endpoint().server(), error);
        if let Some(near) = self.state.near.upgrade() {
            server.set_followed(true);
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
                        Reply::Data(key) => near.spoil(key),
                        _ => near.spoil_all(),
                    }
                }
            }
            // The database was emptied.
            _ => near.spoil_all(),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
