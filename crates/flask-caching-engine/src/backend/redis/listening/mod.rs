//! Hears from the servers what changes, for copies nearby ([`crate::layer::near`]).
//!
//! A process has one connection to each master for it, on which the server sends the keys that change
//! (`CLIENT TRACKING ON BCAST`, <https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//! What is sent there arrives in order: an answer to a `PING` says that every change before the
//! question has been heard of. Nothing else is taken for a sign of life.

mod subscriber;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use subscriber::Subscriber;

use super::server::{Operation, Server};
use super::topology::Topology;
use crate::clock::Instant;
use crate::layer::near::Near;
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, Settings};
use crate::{Error, ErrorKind};

/// How often in a silence that is too long the servers are asked.
const QUESTIONS: u32 = 4;
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_secs(1);

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
    /// Whether copies were asked for since a server was lost: somebody wants to know.
    is_wanted: AtomicBool,
    /// Whether it was said that a server cannot be heard.
    is_warned: AtomicBool,
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
                    is_wanted: AtomicBool::new(false),
                    is_warned: AtomicBool::new(false),
                })
            }),
        }
    }

    /// What it tells of changes.
    pub(super) fn near(&self) -> &Arc<Near> {
        &self.near
    }

    /// Whether this process hears of what changes on `server`.
    pub(super) fn hears_of(&self, server: &Arc<Server>) -> bool {
        lock(&self.state.get().links)
            .iter()
            .any(|link| Arc::ptr_eq(&link.server, server) && link.is_heard())
    }

    /// Listens from now on, unless it does; returns at once. It is called where a copy is wanted.
    pub fn begin(&self) {
        let state = self.state.get();
        state.is_wanted.store(true, Ordering::Relaxed);
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
            Some(heard) => {
                near.heard_until(Instant(heard).after(near.silence()));
                self.is_warned.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Says once that a server cannot be heard, where somebody wants copies: a cache that was left
    /// has nobody.
    fn warn_of_silence(&self, error: &Error) {
        if self.is_wanted.load(Ordering::Relaxed) && !self.is_warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "CACHE_NEAR: nothing is heard of what changes, so that the cache goes on without \
                 copies and asks the server each time: {error}"
            );
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
            old.heard.store(0, Ordering::Release);
            old.is_over.store(true, Ordering::Release);
        }
        near.invalidate_all();
    }
}

impl Link {
    fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Acquire) > 0
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
            let subscriber = Subscriber {
                state,
                link: Arc::clone(&link),
                every: (self.silence / QUESTIONS).clamp(SOONEST, LATEST),
                silence: self.silence,
                settings,
            };
            if let Err(error) = spawn(move || subscriber.run()) {
                log::debug!("no thread to hear of changes: {error}");
                // The next look finds that it has no link, and tries again.
                lock(&self.state.links).retain(|other| !Arc::ptr_eq(other, &link));
            }
        }
    }
}
