//! The way of a result: whether it may be stored, as what, and what became of it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::conditions::Seal;
use super::port::{SET, VERSION_WRITES};
use super::road::Road;
use super::turn::{Access, Encoded, Open, Outcome, Role, Step, Version};
use super::waiting::REFUSED;
use crate::error::UnstorableValueError;
use crate::flights;
use crate::memory::Stored;
use crate::pages::layout;
use crate::timeout::{Deadline, normalize_timeout};
use crate::values::missing::is_missing;
use flask_caching_engine::flight::{Flight, Landing};
use flask_caching_engine::telemetry::counts::Event;

impl Road {
    /// Decides whether a result is stored, and as what.
    pub(super) fn settle_open(&self, open: &mut Open, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = result.py();
        if !self.ask_tags(open, result)? {
            self.note_refusal(py, "its tags could not be had")?;
            self.refuse_open(open);
            return Ok(());
        }
        if !self.has_a_say_about(result)
            && let Some(memory) = open.port.memory(py, SET)
            && let Some(stored) = memory.get().encode_plain(result)?
        {
            open.step = Step::Encoded {
                encoded: Encoded::Native(stored),
                timeout: self.timeout_of(open, result)?.unbind(),
                is_none: result.is_none(),
            };
            return Ok(());
        }
        if !self.ask(intern!(py, "judge"), (result,))?.is_truthy()? {
            self.refuse_open(open);
            return Ok(());
        }
        Self::take_windows(open, result)?;
        let timeout = self.timeout_of(open, result)?;
        self.encode_for(open, result, timeout)
    }

    /// Lets a result be stored for `timeout` seconds, where it can be.
    pub(super) fn encode_for<'py>(
        &self,
        open: &mut Open,
        result: &Bound<'py, PyAny>,
        timeout: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = result.py();
        let is_followed = open.flight.as_ref().is_some_and(Flight::is_followed);
        if open.following.is_keyless && !is_followed {
            // Nobody is to have it.
            open.step = Step::Refused;
            return Ok(());
        }
        let is_unstorable = |error: &PyErr| error.is_instance_of::<UnstorableValueError>(py);
        let encoded = match open.encode(result) {
            Err(error) if is_unstorable(&error) => {
                let other = self.ask(intern!(py, "in_place_of"), (result, error))?;
                if is_missing(&other) {
                    self.refuse_open(open);
                    return Ok(());
                }
                open.encode(&other)
            }
            encoded => encoded,
        };
        match encoded {
            Ok(encoded) => {
                open.step = Step::Encoded {
                    encoded,
                    timeout: timeout.unbind(),
                    is_none: result.is_none(),
                };
            }
            Err(error) if is_unstorable(&error) => {
                self.ask(intern!(py, "note_unstorable"), (error,))?;
                self.refuse_open(open);
            }
            Err(error) => {
                self.emit_failed(py, open, error, Access::Storing)?;
                open.refuse();
            }
        }
        Ok(())
    }

    /// Has a result be its caller's alone, as the policy or what it is made of wants it.
    pub(super) fn refuse_open(&self, open: &mut Open) {
        self.counts.count(Event::Refused);
        open.refuse();
    }

    /// Whether the policy may have a say about a result that is plain data.
    fn has_a_say_about(&self, result: &Bound<'_, PyAny>) -> bool {
        self.options.filters || (self.options.is_view && result.is_instance_of::<PyTuple>())
    }

    /// The timeout that a result is stored with: its own, the call's, or the function's.
    fn timeout_of<'py>(
        &self,
        open: &Open,
        result: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = result.py();
        if let Some(class) = &self.options.timed_class
            && result.is_instance(class.bind(py))?
        {
            let own = result.getattr(intern!(py, "timeout"))?;
            if !own.is_none() {
                return normalize_timeout(&own);
            }
        }
        if let Some(timeout) = &open.timeout {
            return Ok(timeout.bind(py).clone());
        }
        match self.attributes.timeout(py)? {
            Some(timeout) => normalize_timeout(&timeout),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// Stores what is to be stored, unless something was deleted since the call began.
    pub(super) fn write_open(&self, py: Python<'_>, open: &mut Open) {
        if let Step::Encoded {
            encoded, timeout, ..
        } = &open.step
        {
            let outcome = open.store(py, encoded, timeout.bind(py));
            let is_none = matches!(open.step, Step::Encoded { is_none: true, .. });
            let is_answer = !is_none || self.options.cache_none;
            match outcome {
                Ok(Outcome::Refused) => open.refuse(),
                // Of those who follow, some may have asked after another process has deleted it.
                Ok(Outcome::Superseded) if open.lease().is_some() => {}
                // What could not be stored, because the cache fails, is still what they wait for.
                _ if is_answer => open.land(py, encoded, timeout, &outcome),
                _ => open.land_as(Landing::Refused),
            }
            if !is_answer {
                open.row = None;
            }
            open.step = Step::Written(outcome);
        }
        let says = open.is_refused().then_some(REFUSED);
        if let Err(error) = open.end_lease(py, says) {
            open.step = Step::Written(Err(error));
        }
    }

    /// Tells what became of a result, and gives it to the caller.
    pub(super) fn conclude_open<'py>(
        &self,
        mut open: Open,
        result: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = result.py();
        self.note_refreshed(py, &open)?;
        match std::mem::replace(&mut open.step, Step::Computing) {
            Step::Written(Ok(Outcome::Stored(handle))) => {
                self.counts.count(Event::Stored);
                self.emit_worked(py, &open, Access::Storing)?;
                if let Some((handle, tags)) = handle {
                    open.handle = Some(handle);
                    open.conditions.tags = tags;
                }
                self.remember(py, &mut open)?;
            }
            Step::Written(Ok(Outcome::Refused)) => {
                self.counts.count(Event::Refused);
                self.note_refusal(py, "the backend refused it")?;
            }
            Step::Written(Ok(Outcome::Superseded)) => self.counts.count(Event::Superseded),
            Step::Written(Err(error)) => self.emit_failed(py, &open, error, Access::Storing)?,
            _ => {}
        }
        drop(open);
        self.deliver(result)
    }
}

impl Open {
    /// A result as it is stored. This may run any code of the application.
    fn encode(&self, result: &Bound<'_, PyAny>) -> PyResult<Encoded> {
        let py = result.py();
        let key = self.key.bind(py);
        if let Some(memory) = self.port.memory(py, SET) {
            if self.conditions.is_page && layout::is_page(result) {
                // Nothing in it can be changed, whatever other values are serialized by.
                return Ok(Encoded::Native(Stored::Atom(result.clone().unbind())));
            }
            return memory.get().encode(key, result).map(Encoded::Native);
        }
        let versions = self.versions.iter().map(|version| &version.name);
        let names = versions.chain(&self.conditions.own_tags);
        let names = PyTuple::new(py, names.collect::<Vec<_>>())?;
        let arguments = (key, result, names, self.is_sealed());
        let encoded = self.ask(intern!(py, "encode"), arguments)?;
        Ok(Encoded::Foreign(encoded.unbind()))
    }

    /// Stores an encoded result, and lets the versions in its key live as long.
    fn store(
        &self,
        py: Python<'_>,
        encoded: &Encoded,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Outcome> {
        let Some(flight) = &self.flight else {
            return Ok(Outcome::Refused);
        };
        if flight.is_superseded() {
            return Ok(Outcome::Superseded);
        }
        if self.following.is_keyless {
            return Ok(Outcome::Keyless);
        }
        if self.lease().is_some() {
            flight.close();
        } else if self.leasing.is_unfenced() {
            return Ok(Outcome::Superseded);
        }
        let Some(seal) = self.seal(py, timeout)? else {
            return Ok(Outcome::Superseded);
        };
        if self.is_refresh {
            flights::supersede_earlier(py, flight)?;
        }
        // Nobody waits for a write that may run code of the application: where something is deleted
        // meanwhile, it is undone.
        let write = if self.port.writes_are_ours() {
            match flight.begin_write() {
                Some(write) => Some(write),
                None => return Ok(Outcome::Superseded),
            }
        } else {
            None
        };
        let outcome = match encoded {
            Encoded::Native(stored) => {
                self.store_natively(py, seal.around(stored.clone_ref(py)), &seal)
            }
            Encoded::Foreign(encoded) => self.store_foreign(py, encoded, &seal),
        };
        let stands = match write {
            Some(write) => write.end(|| self.undo(py, encoded))?,
            None if flight.is_superseded() => {
                self.undo(py, encoded)?;
                false
            }
            None => true,
        };
        if stands {
            return outcome;
        }
        outcome.map(|_| Outcome::Superseded)
    }

    fn store_natively(&self, py: Python<'_>, stored: Stored, seal: &Seal<'_>) -> PyResult<Outcome> {
        let timeout = &seal.timeout;
        let Some(memory) = self.port.memory(py, SET).map(Bound::get) else {
            return Ok(Outcome::Refused);
        };
        let lifetime = memory.lifetime(Some(timeout))?;
        let (is_stored, handle) = memory.put(self.key.bind(py), stored, lifetime)?;
        if !is_stored {
            return Ok(Outcome::Refused);
        }
        if let (Some(guards), Some(handle)) = (&self.conditions.guards, handle) {
            memory.guard(handle, guards.as_slice());
        }
        let gone = if self.port.memory(py, VERSION_WRITES).is_some() {
            let mut gone = Vec::new();
            for version in &self.versions {
                if !memory.prolong(version.name.bind(py), lifetime)? {
                    gone.push(&version.name);
                }
            }
            PyTuple::new(py, gone)?
        } else {
            // The application's own `set_many` or `add` sees the versions, and not the value.
            let arguments = (self.pairs(py)?, timeout);
            self.ask(intern!(py, "extend"), arguments)?
                .cast_into::<PyTuple>()?
        };
        self.replace_expired(py, &gone, timeout)?;
        Ok(Outcome::Stored(
            handle.map(|handle| (handle, seal.tags.clone())),
        ))
    }

    fn store_foreign(
        &self,
        py: Python<'_>,
        encoded: &Py<PyAny>,
        seal: &Seal<'_>,
    ) -> PyResult<Outcome> {
        let (timeout, metadata, lease) = (&seal.timeout, &seal.metadata, self.lease());
        let versions = self.pairs(py)?;
        let arguments = (&self.key, encoded, timeout, versions, metadata, lease);
        let written = self.ask(intern!(py, "write"), arguments)?;
        let (is_stored, gone): (Option<bool>, Bound<'_, PyTuple>) = written.extract()?;
        match is_stored {
            Some(true) => {}
            Some(false) => return Ok(Outcome::Refused),
            // Another process has deleted it meanwhile, or computes it.
            None => return Ok(Outcome::Superseded),
        }
        self.replace_expired(py, &gone, timeout)?;
        Ok(Outcome::Stored(None))
    }

    /// Stores the versions among `gone` again that this call has made and has outlasted: they were not
    /// deleted, but have expired.
    fn replace_expired(
        &self,
        py: Python<'_>,
        gone: &Bound<'_, PyTuple>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let has_passed = |until: &Py<Deadline>| until.get().has_passed();
        if gone.is_empty() || !self.made_until.as_ref().is_some_and(has_passed) {
            return Ok(());
        }
        // A tag's version that is lost stays so.
        let made = |it: &&Version| it.is_new && it.role == Role::Key;
        for version in self.versions.iter().filter(made) {
            if !gone.contains(&version.name)? {
                continue;
            }
            if let (Some(memory), Some(text)) =
                (self.port.memory(py, VERSION_WRITES), &version.text)
            {
                // It is gone: no other one is under its name.
                let (name, text) = (version.name.bind(py), text.bind(py));
                memory.get().make_version(name, text, Some(timeout))?;
            } else {
                let arguments = (&version.name, &version.text, timeout);
                self.ask(intern!(py, "add_version"), arguments)?;
            }
        }
        Ok(())
    }

    /// The names of the versions, and themselves.
    fn pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let pairs = self.versions.iter().filter_map(|version| {
            let text = version.text.as_ref()?;
            Some((&version.name, text))
        });
        PyTuple::new(py, pairs.collect::<Vec<_>>())
    }

    /// Takes away what was written although something was deleted meanwhile: the value, and a version
    /// that the application's own methods may have brought back.
    fn undo(&self, py: Python<'_>, encoded: &Encoded) -> PyResult<()> {
        let memory = self.port.memory(py, SET);
        if let Some(memory) = memory {
            memory.get().take_away(self.key.bind(py))?;
        }
        if memory.is_none() || self.port.memory(py, VERSION_WRITES).is_none() {
            let encoded = match encoded {
                Encoded::Foreign(encoded) => Some(encoded),
                Encoded::Native(_) => None,
            };
            let arguments = (&self.key, encoded, self.pairs(py)?);
            self.ask(intern!(py, "undo"), arguments)?;
        }
        Ok(())
    }
}
