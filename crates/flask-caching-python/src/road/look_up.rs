//! The whole way of a call up to its turn: what it is, what the backend has, whether that is an answer.

use flask_caching_engine::flight::Joined;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::counts::Event;
use super::flags::WATCHED;
use super::parts::{Call, KeyAttribute, Kind, Parts};
use super::quick::Quick;
use super::replaced::{GET, GET_MANY};
use super::road::Road;
use super::table::Found;
use super::turn::{Doing, Open, Reading, Role, Step, Turn, Version};
use crate::error::CacheKeyError;
use crate::flights;
use crate::leaders::note_leader;
use crate::missing::{is_missing, missing};

/// How far a call gets without its backend.
pub(super) enum Approach<'py> {
    /// To its answer, or to the turn of a call that is not cached.
    Answer(Bound<'py, PyAny>),
    /// To what is to be looked for.
    Open(Box<Open>),
}

/// How far a call gets that was looked for.
pub(super) enum Arrival<'py> {
    /// To its answer, or its turn.
    There(Bound<'py, PyAny>),
    /// To another call that is computing the same, or that was over just now: without one to wait for it
    /// is to be looked for again.
    Behind(Box<Open>),
}

/// A value that was found before, and its key where somebody wants to hear of it.
type Recalled<'py> = (Bound<'py, PyAny>, Option<Py<PyAny>>);

impl Road {
    /// Finds out what a call is. `start`: how far the quick way has led.
    pub(super) fn describe<'py>(
        &self,
        call: &Call<'_, 'py>,
        start: Quick<'py>,
        is_refresh: bool,
    ) -> PyResult<Approach<'py>> {
        let py = call.args.py();
        let bypass = || Turn::bypass(py).map(Approach::Answer);
        let place = self.policy.bind(py).call_method0(intern!(py, "place"))?;
        if place.is_none() {
            return bypass();
        }
        let (state, backend): (Bound<'_, PyAny>, Bound<'_, PyAny>) = place.extract()?;
        let mut open = self.open(&state, &backend)?;
        open.is_refresh = is_refresh;
        // A forced update waits for nobody.
        open.following.is_over = is_refresh;
        self.take_rules(&mut open, &state)?;
        if let Quick::Key(key) = start {
            open.key = key.unbind();
        } else {
            if let Quick::Absent(key) = start {
                open.prefetched = Some((key.unbind(), missing(py)?));
            }
            if let Some(answer) = self.recall_into(&mut open, call)? {
                return Ok(Approach::Answer(answer));
            }
            if !self.describe_natively(&mut open, call)? && !self.ask_policy(&mut open, call)? {
                return bypass();
            }
        }
        if open.key.is_none(py) {
            return bypass();
        }
        if let Err(error) = open.key.bind(py).hash() {
            self.emit_failed(py, &open, no_key(open.key.bind(py), error), Doing::Reading)?;
            return bypass();
        }
        if !self.keeps_conditions(&mut open, call)? {
            return bypass();
        }
        Ok(Approach::Open(open))
    }

    /// Looks a call up among those that were answered before, and returns its answer, if that is one,
    /// or its turn. Otherwise it is noted what the call will be found by.
    fn recall_into<'py>(
        &self,
        open: &mut Open,
        call: &Call<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let mut parts = Parts::default();
        if open.port.memory(py, GET_MANY).is_none()
            || !self.attributes.is_original(py)?
            || !self.parts.get().kind.learn(call, &mut parts)?
        {
            return Ok(None);
        }
        if !open.is_refresh
            && let Some((value, key)) = self.recall(py, open, &parts)?
        {
            match self.is_stale(&value, call)? {
                Some(false) => {
                    self.emit_looked_up(Event::Hit, open.state.as_ref(), key.as_ref(), call)?;
                    return self.deliver(value).map(Some);
                }
                Some(true) => {}
                None => return Turn::bypass(py).map(Some),
            }
            open.is_refresh = true;
        }
        open.row = Some(self.row(parts));
        Ok(None)
    }

    /// What the in-process store has of a call that was answered before; and its key, where somebody
    /// wants to hear of it.
    fn recall<'py>(
        &self,
        py: Python<'py>,
        open: &Open,
        parts: &Parts,
    ) -> PyResult<Option<Recalled<'py>>> {
        let Some(memory) = open.port.memory(py, GET | GET_MANY).map(Bound::get) else {
            return Ok(None);
        };
        let moment = memory.moment();
        let found = memory.calls.find(py, self.number(), parts, |found| {
            let key = found.key.as_ref().map(|key| key.clone_ref(py));
            let stored = moment.peek(py, &found.guards, found.value)?;
            Some((stored, key))
        });
        match found.flatten() {
            Some((_, None)) if self.flags.get().any(WATCHED) => Ok(None),
            Some((stored, key)) => Ok(memory.thaw(py, stored)?.map(|value| (value, key))),
            None => Ok(None),
        }
    }

    /// Makes the key of a call of plain arguments; `false` where that is for the policy.
    fn describe_natively(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        let (
            Kind::Arguments {
                recipe: Some(recipe),
                ..
            },
            Some(state),
        ) = (&self.parts.get().kind, &open.state)
        else {
            return Ok(false);
        };
        let settings = state
            .getattr(py, intern!(py, "number"))?
            .extract::<u64>(py)?;
        let mut parts = Parts::default();
        // Among the numbers of stores, which are odd.
        if !call.kwargs.is_empty()
            || self.attributes.plain_timeout(py)?.is_none()
            || !self.makes_plain_keys(py, settings << 1)?
            || !self.parts.get().kind.learn(call, &mut parts)?
        {
            return Ok(false);
        }
        let Some(prefix) = recipe.prefix(py, &parts, call.args.len())? else {
            return Ok(false);
        };
        open.key = PyString::new(py, &prefix).into_any().unbind();
        open.prefix = Some(open.key.clone_ref(py));
        open.versions.push(Version {
            name: recipe.version_name.clone_ref(py),
            text: None,
            guard: None,
            is_new: false,
            role: Role::Key,
        });
        Ok(true)
    }

    /// Lets the policy describe a call; `false` where it is not to be cached.
    fn ask_policy(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        self.counts.count(Event::Described);
        let arguments = (&open.state, call.args, call.kwargs);
        let policy = self.policy.bind(py);
        let description = policy.call_method1(intern!(py, "describe"), arguments)?;
        if description.is_none() {
            return Ok(false);
        }
        open.take_description(&description)?;
        Ok(true)
    }

    /// Asks the backend for the versions of a key, and for the value under it.
    pub(super) fn read_open(&self, py: Python<'_>, open: &mut Open) {
        open.following.landings = (!open.is_refresh).then(flights::landings);
        let reading = match open.read_versions(py, &self.attributes) {
            Err((error, doing)) => Reading::NoKey(error, doing),
            Ok(()) if open.is_refresh => Reading::Nothing,
            Ok(()) => open
                .read_value(py, self.options.cache_none)
                .unwrap_or_else(Reading::Unread),
        };
        open.step = Step::Read(reading);
    }

    /// What becomes of a call that was looked for. `task`: who asks, where that is a task.
    pub(super) fn arrive_at<'py>(
        &self,
        mut open: Box<Open>,
        call: &Call<'_, 'py>,
        task: Option<usize>,
    ) -> PyResult<Arrival<'py>> {
        let py = call.args.py();
        let bypass = || Turn::bypass(py).map(Arrival::There);
        let mut value = None;
        match std::mem::replace(&mut open.step, Step::Waiting) {
            Step::Read(Reading::NoKey(error, doing)) => {
                self.emit_failed(py, &open, error, doing)?;
                return bypass();
            }
            Step::Read(Reading::Unread(error)) => {
                self.emit_failed(py, &open, error, Doing::Reading)?;
            }
            Step::Read(Reading::Found(found)) => {
                self.emit_worked(py, &open, Doing::Reading)?;
                value = Some(found.into_bound(py));
            }
            Step::Read(Reading::Shared(shared)) => value = Some(shared.into_bound(py)),
            Step::Read(Reading::Nothing) => self.emit_worked(py, &open, Doing::Reading)?,
            _ => {}
        }
        if let Some(value) = value {
            match self.is_stale(&value, call)? {
                Some(false) if self.goes_on_past(&mut open, &value, call)? => {}
                Some(false) if open.conditions.stale_for.is_some() => {
                    return self.deliver(value).map(Arrival::There);
                }
                Some(false) => {
                    let (state, key) = (open.state.as_ref(), Some(&open.key));
                    self.emit_looked_up(Event::Hit, state, key, call)?;
                    self.remember(py, &mut open)?;
                    return self.deliver(value).map(Arrival::There);
                }
                Some(true) => {}
                None => return bypass(),
            }
        }
        if !open.is_read_only {
            match self.begin_flight(py, &open)? {
                Joined::Lead(_) if self.came_meanwhile(py, &mut open)? => {
                    open.rewind(py)?;
                    return Ok(Arrival::Behind(open));
                }
                Joined::Lead(flight) => open.flight = Some(flight),
                Joined::Follow(follower) => {
                    self.follow(py, &mut open, follower, task)?;
                    if open.following.waiting.is_some() {
                        return Ok(Arrival::Behind(open));
                    }
                    let Joined::Lead(flight) = self.begin_flight(py, &open)? else {
                        return bypass();
                    };
                    open.flight = Some(flight);
                }
            }
        }
        let (state, key) = (open.state.as_ref(), Some(&open.key));
        if !open.conditions.is_background {
            self.emit_looked_up(Event::Miss, state, key, call)?;
        }
        if open.is_read_only {
            return bypass();
        }
        note_leader(py, None)?;
        Turn::of(py, open).map(Arrival::There)
    }

    /// Whether another call may have stored the same after this one has looked for it, and was over before
    /// it could be followed. It is asked once.
    fn came_meanwhile(&self, py: Python<'_>, open: &mut Open) -> PyResult<bool> {
        let Some(landings) = open.following.landings.take() else {
            return Ok(false);
        };
        if open.following.has_looked_again || !self.may_follow(py, open)? {
            return Ok(false);
        }
        let owner = self.owner_of_flights(open.backend.bind(py));
        let key = open.key.bind(py);
        let came = flights::has_landed_since(owner, &flights::key_bytes(key)?, landings);
        open.following.has_looked_again = came;
        Ok(came)
    }

    /// Begins the flight of a call that computes, or finds the one that it may follow.
    fn begin_flight(&self, py: Python<'_>, open: &Open) -> PyResult<Joined> {
        let names = open.versions.iter();
        let names: Vec<_> = names.map(|version| version.name.bind(py).clone()).collect();
        let guards = names.iter().map(|name| flights::key_bytes(name));
        let guards = guards.collect::<PyResult<Vec<_>>>()?;
        let guards = guards.iter().map(|guard| &**guard);
        let key = open.key.bind(py);
        let key = flights::key_bytes(key)?;
        let owner = self.owner_of_flights(open.backend.bind(py));
        if self.may_follow(py, open)? {
            flights::join(owner, &key, guards)
        } else {
            Ok(Joined::Lead(flights::begin(owner, &key, guards)))
        }
    }

    /// Enters a call that was answered or stored into the table.
    pub(super) fn remember(&self, py: Python<'_>, open: &mut Open) -> PyResult<()> {
        let Some(row) = open.row.take() else {
            return Ok(());
        };
        let Some(memory) = open.port.memory(py, GET_MANY) else {
            return Ok(());
        };
        let key = open.key.bind(py);
        let handle = match open.handle {
            Some(handle) => Some(handle),
            None => memory.get().handle(key)?,
        };
        if let (Some(value), Some(guards)) = (handle, open.guards()) {
            let is_awaited = !self.flags.get().is_usual();
            let key = is_awaited.then(|| key.clone().unbind());
            memory.get().remember(py, row, Found { guards, value, key });
        }
        Ok(())
    }

    /// Whether the policy will not have what was found; `None`: the call runs uncached.
    fn is_stale(&self, value: &Bound<'_, PyAny>, call: &Call<'_, '_>) -> PyResult<Option<bool>> {
        if !self.options.checks_hits {
            return Ok(Some(false));
        }
        let policy = self.policy.bind(value.py());
        let arguments = (value, call.args, call.kwargs);
        policy
            .call_method1(intern!(value.py(), "is_stale_value"), arguments)?
            .extract()
    }
}

/// What is wrong with a key that cannot be hashed: it is its own failure, not the cache's.
fn no_key(key: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = key.py();
    if !error.is_instance_of::<PyException>(py) {
        return error;
    }
    let shown = key.repr().map_or_else(
        |_| format!("an object of {}", key.get_type()),
        |shown| shown.to_string(),
    );
    let named = CacheKeyError::new_err(format!("{shown} cannot be a key: it cannot be hashed"));
    named.set_cause(py, Some(error));
    named
}

impl Open {
    /// Takes over what the policy says of the call.
    pub(super) fn take_description(&mut self, description: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = description.py();
        let names = description.getattr(intern!(py, "versions"))?;
        self.versions = names
            .cast_into::<PyTuple>()?
            .iter_borrowed()
            .map(|name| Version::named(&name, Role::Key))
            .collect::<PyResult<_>>()?;
        self.take_tags(description)?;
        self.key = description.getattr(intern!(py, "key"))?.unbind();
        self.is_read_only = description
            .getattr(intern!(py, "is_read_only"))?
            .is_truthy()?;
        self.description = Some(description.clone().unbind());
        Ok(())
    }

    /// Reads the versions, makes those that are missing, and with them the key.
    ///
    /// # Errors
    /// Of the backend: what it was to do.
    pub(super) fn read_versions(
        &mut self,
        py: Python<'_>,
        attributes: &KeyAttribute,
    ) -> Result<(), (PyErr, Doing)> {
        if self.versions.is_empty() {
            return Ok(());
        }
        let reading = |error| (error, Doing::Reading);
        let storing = |error| (error, Doing::Storing);
        if let Some(memory) = self.port.memory(py, GET_MANY) {
            for version in &mut self.versions {
                let found = memory
                    .get()
                    .find_text(version.name.bind(py))
                    .map_err(reading)?;
                (version.text, version.guard) =
                    found.map(|(text, guard)| (text.unbind(), guard)).unzip();
            }
        } else {
            self.ask_for_versions(py).map_err(reading)?;
        }
        if self.versions.iter().any(|version| version.text.is_none()) {
            let timeout = attributes.timeout(py).map_err(storing)?;
            self.make_versions(py, timeout.as_ref()).map_err(storing)?;
        }
        self.complete_key(py).map_err(reading)
    }

    /// Asks the port for the versions; where each question waits for a server, for the value in the same
    /// breath, under the key it has if the versions are still the last ones seen.
    fn ask_for_versions(&mut self, py: Python<'_>) -> PyResult<()> {
        let foreign = self.foreign(py)?;
        let of = |is_of_key: bool| {
            let versions = self.versions.iter();
            let named = versions.filter(move |version| (version.role == Role::Key) == is_of_key);
            PyTuple::new(py, named.map(|version| &version.name).collect::<Vec<_>>())
        };
        let arguments = (&self.key, of(true)?, of(false)?);
        let asked = foreign.call_method1(intern!(py, "read_versions"), arguments)?;
        let (texts, guess, value): (Bound<'_, PyList>, Option<Py<PyAny>>, Py<PyAny>) =
            asked.extract()?;
        for (at, version) in self.versions.iter_mut().enumerate() {
            let text = texts.get_item(at)?;
            version.text = text.cast_into_exact::<PyString>().ok().map(Bound::unbind);
        }
        if let Some(guess) = guess {
            self.prefetched = Some((guess, value));
        }
        Ok(())
    }

    /// Makes the versions that were not found; another process may be faster.
    fn make_versions(
        &mut self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let foreign = self.foreign(py)?;
        let missing = self
            .versions
            .iter()
            .filter(|version| version.text.is_none());
        let names = PyTuple::new(py, missing.map(|version| &version.name).collect::<Vec<_>>())?;
        let made = foreign.call_method1(intern!(py, "make_versions"), (names, timeout))?;
        let (texts, until): (Bound<'_, PyTuple>, _) = made.extract()?;
        self.made_until = Some(until);
        let mut texts = texts.iter();
        for version in &mut self.versions {
            if version.text.is_none()
                && let Some(text) = texts.next()
            {
                version.text = Some(text.cast_into::<PyString>()?.unbind());
                version.is_new = true;
            }
        }
        Ok(())
    }

    /// Puts the versions behind what the key begins with.
    fn complete_key(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.versions.iter().any(|it| it.role == Role::Key) {
            let mut key = self.key.bind(py).extract::<String>()?;
            for version in self.versions.iter().filter(|it| it.role == Role::Key) {
                if let Some(text) = &version.text {
                    key.push_str(text.bind(py).to_str()?);
                }
            }
            self.key = PyString::new(py, &key).into_any().unbind();
            self.note_versions(py)?;
        }
        // A version that was made just now is where it can be found.
        if let Some(memory) = self.port.memory(py, GET_MANY) {
            for version in self.versions.iter_mut().filter(|version| version.is_new) {
                let found = memory.get().find_text(version.name.bind(py))?;
                version.guard = found.map(|(_, guard)| guard);
            }
        }
        Ok(())
    }

    /// Lets the port know the versions, for its next guess.
    fn note_versions(&self, py: Python<'_>) -> PyResult<()> {
        if self.port.memory(py, GET_MANY).is_some() {
            return Ok(());
        }
        let of_key = || self.versions.iter().filter(|it| it.role == Role::Key);
        let names = PyTuple::new(py, of_key().map(|it| &it.name).collect::<Vec<_>>())?;
        let texts = of_key().filter_map(|version| version.text.as_ref());
        let texts = PyTuple::new(py, texts.collect::<Vec<_>>())?;
        self.foreign(py)?
            .call_method1(intern!(py, "note_versions"), (names, texts))?;
        Ok(())
    }

    fn read_value(&mut self, py: Python<'_>, cache_none: bool) -> PyResult<Reading> {
        let key = self.key.bind(py);
        let value = match &self.prefetched {
            Some((asked, value)) if key.eq(asked)? => value.bind(py).clone(),
            _ => {
                if let Some(memory) = self.port.memory(py, GET) {
                    let Some(entry) = memory.get().find_entry(key)? else {
                        return Ok(Reading::Nothing);
                    };
                    self.handle = Some(entry.handle);
                    self.conditions.stale_for = entry.stale_for;
                    self.conditions.tags = entry.tags;
                    entry.value
                } else {
                    let read = intern!(py, "read");
                    self.foreign(py)?.call_method1(read, (key,))?
                }
            }
        };
        let Some(value) = self.opened(value)? else {
            return Ok(Reading::Nothing);
        };
        if is_missing(&value) || (value.is_none() && !cache_none) {
            return Ok(Reading::Nothing);
        }
        Ok(Reading::Found(value.unbind()))
    }
}
