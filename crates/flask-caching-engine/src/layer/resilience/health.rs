//! The health of one server: whether to call it, and what to log about it.

use std::borrow::Cow;
use std::sync::Arc;

use super::outage::{Notice, Outage};
use super::report::{LastError, ServerHealth};
use super::watch::Watch;
use super::{Breaker, Probe, Settings};
use crate::clock::{self, Instant};
use crate::{Error, ErrorKind, Result};

/// Breaker and outage log of one server.
///
/// Ask [`Health::admit`] before a call and tell [`Health::record`] its outcome, or let
/// [`Health::call`] do both. Belongs to one process (see [`crate::per_process::PerProcess`]).
#[derive(Debug)]
pub struct Health {
    target: String,
    breaker: Arc<Breaker>,
    /// Finds out when a server that hung answers again.
    watch: Option<Watch>,
    unreachable: Outage,
    refusing: Outage,
    last_error: LastError,
}

impl Health {
    /// The health of the server that errors and logs call `target` (no password in it).
    pub fn new(target: impl Into<String>, settings: &Settings) -> Self {
        Self {
            target: target.into(),
            breaker: Arc::new(Breaker::new(
                settings.breaker_failures,
                settings.breaker_reset,
            )),
            watch: None,
            unreachable: Outage::default(),
            refusing: Outage::default(),
            last_error: LastError::default(),
        }
    }

    /// This health, with a `probe` that says whether the server answers: after it hung it is asked in the
    /// background, so that calls go to it as soon as it does.
    #[must_use]
    pub fn probed(self, probe: Probe) -> Self {
        Self {
            watch: Some(Watch::new(probe)),
            ..self
        }
    }

    /// How errors and logs call the server.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the server is being left alone: nothing would be tried now.
    pub fn is_left_alone(&self) -> bool {
        self.breaker.is_open() && self.breaker.refuses(clock::steady())
    }

    /// Whether the server has failed and not been heard of since.
    pub fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// What is known of the server. Asking changes nothing.
    pub fn report(&self) -> ServerHealth {
        let now = clock::steady();
        let outage = self.unreachable.so_far(now).or(self.refusing.so_far(now));
        let (failing_for, failures) = outage.unzip();
        ServerHealth {
            server: self.target.clone(),
            is_left_alone: self.is_left_alone(),
            failing_for,
            failures: failures.unwrap_or(0),
            last_error: self.last_error.get(now),
        }
    }

    /// Does `operation` by `call`, unless the server is being left alone. `stores`: whether it
    /// stores anything, so that the end of a refusal to do so is noticed.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without a call where it is left alone; else what `call` returns.
    pub fn call<T>(
        &self,
        operation: impl Into<Cow<'static, str>>,
        stores: bool,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.admit(operation)?;
        let outcome = call();
        self.record(stores, outcome.as_ref().err());
        outcome
    }

    /// Says whether `operation` may be tried now. The caller guarantees to report the outcome to
    /// [`Health::record`].
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where the server is being left alone.
    pub fn admit(&self, operation: impl Into<Cow<'static, str>>) -> Result<()> {
        // Reading the clock is needed only while the breaker is open.
        if !self.breaker.is_open() || self.breaker.admits(clock::steady()) {
            return Ok(());
        }
        self.log_unreachable(self.unreachable.refused(clock::steady()), None);
        Err(Error::new(
            ErrorKind::Unavailable,
            operation,
            self.target.clone(),
            "not tried: the server failed a moment ago and is being left alone",
        ))
    }

    /// Takes note of how an admitted call ended: `None`, it succeeded.
    pub fn record(&self, stores: bool, error: Option<&Error>) {
        match error.map(Error::kind) {
            Some(
                kind @ (ErrorKind::Unavailable
                | ErrorKind::Timeout
                | ErrorKind::Protocol
                | ErrorKind::Io),
            ) => {
                let now = clock::steady();
                self.note(error);
                let hung = kind == ErrorKind::Timeout;
                self.breaker.failed(now, hung);
                if hung
                    && self.breaker.is_open()
                    && let Some(watch) = &self.watch
                {
                    watch.begin(&self.breaker);
                }
                self.log_unreachable(self.unreachable.failed(now), error);
            }
            Some(ErrorKind::Refused) => {
                self.note(error);
                self.answered();
                self.log_refusing(self.refusing.failed(clock::steady()), error);
            }
            Some(_) => self.answered(),
            None => {
                self.answered();
                if stores {
                    self.log_refusing(self.refusing.succeeded(coarse_now(&self.refusing)), None);
                }
            }
        }
    }

    fn note(&self, error: Option<&Error>) {
        if let Some(error) = error {
            self.last_error.note(error);
        }
    }

    fn answered(&self) {
        self.breaker.succeeded();
        self.log_unreachable(
            self.unreachable.succeeded(coarse_now(&self.unreachable)),
            None,
        );
    }

    fn log_unreachable(&self, notice: Option<Notice>, error: Option<&Error>) {
        let target = &self.target;
        match notice {
            None => {}
            Some(Notice::Begins) => log::warn!(
                "cache server {target} is not usable, going on without it: {}",
                Cause(error)
            ),
            Some(Notice::Goes { failures, lasted }) => log::warn!(
                "cache server {target} has not been usable for {:.0} s: {failures} calls went without it",
                lasted.as_secs_f64()
            ),
            Some(Notice::Ends { failures, lasted }) => log::warn!(
                "cache server {target} is usable again after {:.1} s: {failures} calls went without it",
                lasted.as_secs_f64()
            ),
        }
    }

    fn log_refusing(&self, notice: Option<Notice>, error: Option<&Error>) {
        let target = &self.target;
        match notice {
            None => {}
            Some(Notice::Begins) => {
                log::warn!("cache server {target} refuses: {}", Cause(error));
            }
            Some(Notice::Goes { failures, lasted }) => log::warn!(
                "cache server {target} has been refusing for {:.0} s: {failures} calls",
                lasted.as_secs_f64()
            ),
            Some(Notice::Ends { failures, lasted }) => log::warn!(
                "cache server {target} accepts writes again after {:.1} s: it refused {failures} calls",
                lasted.as_secs_f64()
            ),
        }
    }
}

/// The time, read only where `outage` is on: success on a healthy server costs no clock.
fn coarse_now(outage: &Outage) -> Instant {
    if outage.is_on() {
        clock::steady()
    } else {
        Instant(0)
    }
}

struct Cause<'a>(Option<&'a Error>);

impl std::fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(error) => error.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}
