//! Single flight: where the same is being computed already, a call waits for that, and gets a copy of
//! the result as from a hit.
//!
//! A call waits for another one of this process only, [`Following::until`] at most, and never for itself.
//! A thread waits in the engine, without the GIL; a greenlet and a task wait in Python, where others of
//! their thread go on.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::flight::{Follower, Joined, Landing, Payload};
use flask_caching_engine::resilience::Deadline;
use flask_caching_engine::{Lifetime, Timeout};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::flights::leaders::leaders;
use crate::pages::GuardName;
use crate::road::NativeProxies;
use crate::road::port::SET;
use crate::road::road::Road;
use crate::road::turn::{Encoded, Following, Open, Outcome, Reading, Role, Step};
use crate::values::missing::is_missing;
use crate::{flights, timeout};
use flask_caching_engine::telemetry::counts::Event;

/// How often the main thread looks whether it was interrupted while it waits.
const INTERRUPTIBLE: Duration = Duration::from_millis(50);

/// A result, for the calls that waited for it.
struct SharedResult {
    backend: Py<PyAny>,
    key: Py<PyAny>,
    encoded: Encoded,
    /// Whether it is known that no other process has deleted it meanwhile, or nobody asked for that.
    is_fenced: bool,
}

impl Road {
    /// Whether another call may have stored the same after this one has looked for it, and was over before
    /// it could be followed. It is asked once.
    pub(in crate::road) fn came_meanwhile(
        &self,
        py: Python<'_>,
        open: &mut Open,
    ) -> PyResult<bool> {
        let Some(landings) = open.following.landings.take() else {
            return Ok(false);
        };
        if open.following.has_looked_again || !self.may_follow(py, open)? {
            return Ok(false);
        }
        let owner = NativeProxies::owner_of_flights(self.cache.bind(py), open.backend.bind(py));
        let key = open.key.bind(py);
        let came = flights::has_landed_since(&owner, &flights::key_bytes(key)?, landings);
        open.following.has_looked_again = came;
        Ok(came)
    }

    /// Begins the flight of a call that computes, or finds the one that it may follow.
    pub(in crate::road) fn begin_flight(&self, py: Python<'_>, open: &Open) -> PyResult<Joined> {
        let names = open.versions.iter().map(|version| version.name.bind(py));
        let names = names.map(|name| flights::key_bytes(name));
        let names = names.collect::<PyResult<Vec<_>>>()?;
        let of_page = open.conditions.guards.iter();
        let of_page = of_page.flat_map(|guards| guards.iter());
        let guards = names.iter().map(|name| &**name);
        let guards = guards.chain(of_page.map(GuardName::as_bytes));
        let key = flights::key_bytes(open.key.bind(py))?;
        let owner = NativeProxies::owner_of_flights(self.cache.bind(py), open.backend.bind(py));
        if self.may_follow(py, open)? {
            flights::join(&owner, &key, guards, &open.seen_versions(py)?)
        } else {
            Ok(Joined::Lead(flights::begin(&owner, &key, guards)))
        }
    }

    /// Whether a call may have the result of another one that is under way.
    pub(in crate::road) fn may_follow(&self, py: Python<'_>, open: &Open) -> PyResult<bool> {
        if open.following.is_over {
            return Ok(false);
        }
        match (self.options.single_flight, &open.state) {
            (Some(single_flight), _) => Ok(single_flight),
            (None, Some(state)) => state
                .getattr(py, intern!(py, "single_flight"))?
                .is_truthy(py),
            (None, None) => Ok(true),
        }
    }

    /// Begins to wait for the computation that `follower` could follow; where that would never end, the
    /// call computes itself.
    pub(in crate::road) fn follow(
        &self,
        py: Python<'_>,
        open: &mut Open,
        follower: Follower,
    ) -> PyResult<()> {
        let present = flights::present(py)?;
        let me = if open.following.is_task {
            self.ask(intern!(py, "task"), ())?.extract()?
        } else {
            present
        };
        // Of one thread, only tasks and greenlets can wait for each other.
        let is_below = follower.is_on_this_thread()
            && (follower.leader() == present
                || (!open.following.is_task && !flights::has_greenlets(py)));
        let is_first = open.following.until.is_none();
        if is_first {
            let seconds = match &open.state {
                Some(state) => state.getattr(py, intern!(py, "wait"))?.extract(py)?,
                None => 0.0,
            };
            open.following.wait_for(seconds);
        }
        if !is_below {
            open.following.waiting = follower.wait(leaders(py)?.into_iter().chain([me]));
        }
        open.following.is_circular = open.following.waiting.is_none();
        open.following.is_over |= open.following.is_circular;
        if !open.following.is_over && is_first {
            self.counts.count(Event::Waited);
        }
        Ok(())
    }

    /// Waits for the computation that a call follows, however threads wait here.
    pub(in crate::road) fn wait(&self, py: Python<'_>, open: Box<Open>) -> PyResult<Box<Open>> {
        if !flights::has_greenlets(py) {
            open.following.wait(py)?;
            return Ok(open);
        }
        self.ask_to_wait(intern!(py, "wait_among_greenlets"), open)
    }

    /// Goes on with a call that has waited for another one, if it has: with that one's result, or by looking
    /// for it again; otherwise it computes.
    pub(in crate::road) fn take_over(&self, py: Python<'_>, open: &mut Open) -> PyResult<()> {
        let Some(waiting) = open.following.waiting.take() else {
            return Ok(());
        };
        let mut landing = waiting.landing();
        if let Some(Landing::Shared(Some(result))) = &landing
            && open.is_in_doubt(result)
        {
            landing = Some(Landing::Failed);
        }
        // Where that failed, another one of those who waited may compute it, and be followed.
        open.following.is_over |= !matches!(landing, Some(Landing::Failed));
        let value = match landing {
            Some(Landing::Shared(Some(payload))) => open.copy_of(py, &payload)?,
            Some(Landing::Shared(None) | Landing::Failed) => None,
            Some(Landing::Refused) | None => return Ok(()),
        };
        match value.filter(|value| self.options.cache_none || !value.is_none(py)) {
            Some(value) => open.step = Step::Read(Reading::Shared(value)),
            None => open.rewind(py),
        }
        Ok(())
    }
}

impl Open {
    /// The versions of tags as the call has found them. Another process deletes a tag without this one's
    /// computations hearing of it: who asks after that follows none that began before.
    fn seen_versions(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut seen = Vec::new();
        for version in self.versions.iter().filter(|it| it.role != Role::Key) {
            if let Some(text) = &version.text {
                seen.extend(text.bind(py).to_str()?.as_bytes());
            }
            seen.push(0);
        }
        Ok(seen)
    }

    /// Lets those who wait for this call have its result, which storing has come to `outcome` with.
    pub(in crate::road) fn land(
        &self,
        py: Python<'_>,
        encoded: &Encoded,
        timeout: &Py<PyAny>,
        outcome: &PyResult<Outcome>,
    ) {
        let Some(flight) = &self.flight else {
            return;
        };
        let timeout = timeout::from_python(Some(timeout.bind(py)));
        if matches!(timeout, Ok(Timeout::Of(Lifetime::Expired))) {
            return flight.land(Landing::Refused);
        }
        let is_unknown = outcome.is_err() && self.lease().is_some();
        let result = flight.is_followed().then(|| {
            let result = SharedResult {
                backend: self.backend.clone_ref(py),
                key: self.key.clone_ref(py),
                encoded: encoded.clone_ref(py),
                is_fenced: !is_unknown && !self.leasing.is_unfenced(),
            };
            Arc::new(result) as Payload
        });
        flight.land(Landing::Shared(result));
    }

    /// Lets those who wait for this call compute at once: its result is its caller's alone.
    pub(in crate::road) fn refuse(&mut self) {
        self.step = Step::Refused;
        self.land_as(Landing::Refused);
    }

    /// Tells those who wait for this call what became of it, beside a result.
    pub(in crate::road) fn land_as(&self, landing: Landing) {
        if let Some(flight) = &self.flight {
            flight.land(landing);
        }
    }

    /// Whether another process may have deleted a result before this call asked, which could look, and found
    /// nothing.
    fn is_in_doubt(&self, payload: &Payload) -> bool {
        let result = payload.downcast_ref::<SharedResult>();
        !self.following.is_blind && result.is_some_and(|result| !result.is_fenced)
    }

    /// The result of the call that was waited for; `None` where only the backend can tell.
    fn copy_of(&self, py: Python<'_>, payload: &Payload) -> PyResult<Option<Py<PyAny>>> {
        let Some(result) = payload.downcast_ref::<SharedResult>() else {
            return Ok(None);
        };
        let key = self.key.bind(py);
        // Two keys may have one hash.
        if !result.backend.is(&self.backend) || !key.eq(&result.key)? {
            return Ok(None);
        }
        let value = match &result.encoded {
            Encoded::Native(stored) => match self.port.memory(py, SET) {
                Some(memory) => memory.get().thaw(py, stored.clone_ref(py))?,
                None => None,
            },
            Encoded::Foreign(encoded) => {
                let decoded = self.ask(intern!(py, "decode"), (key, encoded))?;
                (!is_missing(&decoded)).then_some(decoded)
            }
        };
        Ok(value.map(Bound::unbind))
    }

    /// The versions in the key are not known: what follows it, and is followed, is told by their names.
    pub(in crate::road) fn go_without_key(&mut self, py: Python<'_>) -> PyResult<()> {
        self.following.is_blind = true;
        self.following.is_keyless = true;
        let mut key = self.key.bind(py).str()?.to_string();
        for version in &self.versions {
            key.push('\n');
            key.push_str(version.name.bind(py).str()?.to_str()?);
        }
        self.key = PyString::new(py, &key).into_any().unbind();
        Ok(())
    }

    /// Lets the call be looked for once more, from its description.
    pub(in crate::road) fn rewind(&mut self, py: Python<'_>) {
        self.prefetched = None;
        self.handle = None;
        self.conditions.forget_found();
        self.following.is_blind = false;
        self.following.is_keyless = false;
        self.step = Step::Unread;
        if let Some(prefix) = &self.prefix {
            self.key = prefix.clone_ref(py);
        }
        for version in &mut self.versions {
            (version.text, version.guard, version.is_new) = (None, None, false);
        }
    }
}

impl Following {
    /// Until when it waits, which is for `seconds` from the first time that it does.
    pub(in crate::road) fn wait_for(&mut self, seconds: f64) -> Deadline {
        let longest = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        *self.until.get_or_insert_with(|| Deadline::after(longest))
    }

    /// Waits in the engine.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        let (Some(waiting), Some(until)) = (&self.waiting, &self.until) else {
            return Ok(());
        };
        // Signals are the main thread's: nobody else comes back for them, which would take the GIL from who
        // computes.
        let longest = if is_main_thread(py)? {
            INTERRUPTIBLE
        } else {
            Duration::MAX
        };
        while let Ok(left) = until.remaining() {
            let time = left.min(longest);
            if py.detach(|| waiting.landing_within(time).is_some()) {
                break;
            }
            py.check_signals()?;
        }
        Ok(())
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    let ident = threading.call_method0(intern!(py, "get_ident"))?;
    main.getattr(intern!(py, "ident"))?.eq(ident)
}
