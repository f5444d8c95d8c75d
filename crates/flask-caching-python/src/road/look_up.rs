//! The whole way of a call up to its turn: what it is, what the backend has, whether that is an answer.

use flask_caching_engine::flight::{Joined, Landing};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::parts::{Call, Parts, Recipe};
use super::quick::Quick;
use super::road::Road;
use super::turn::{Access, Next, Open, Reading, Role, Step, Turn, Version};
use crate::error::CacheKeyError;
use crate::flights;
use crate::flights::leaders::note_leader;
use crate::flights::refreshes;
use crate::values::missing::missing;
use flask_caching_engine::telemetry::counts::Event;

/// How far a call gets.
pub(super) enum Progress<'py> {
    /// To its answer, or its turn.
    There(Bound<'py, PyAny>),
    /// To what comes [`next`](Open::next).
    On(Box<Open>),
}

impl Road {
    /// Finds out what a call is. `start`: how far the quick way has led. A task goes up to where a server or
    /// another call would be waited for.
    pub(super) fn describe<'py>(
        &self,
        call: &Call<'_, 'py>,
        start: Quick<'py>,
        is_task: bool,
        is_refresh: bool,
    ) -> PyResult<Progress<'py>> {
        let py = call.args.py();
        let bypass = || Turn::bypass(py).map(Progress::There);
        let place = self.ask(intern!(py, "place"), ())?;
        if place.is_none() {
            return bypass();
        }
        let (state, backend): (Bound<'_, PyAny>, Bound<'_, PyAny>) = place.extract()?;
        let mut open = self.open(&state, &backend)?;
        open.is_refresh = is_refresh;
        open.following.is_task = is_task;
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
                return Ok(Progress::There(answer));
            }
            if !self.describe_natively(&mut open, call)?
                && !self.describe_page(&mut open, call)?
                && !self.ask_policy(&mut open, call)?
            {
                return bypass();
            }
        }
        if open.key.is_none(py) {
            return bypass();
        }
        if let Err(error) = open.key.bind(py).hash() {
            self.emit_failed(py, &open, no_key(open.key.bind(py), error), Access::Reading)?;
            return bypass();
        }
        if !self.keeps_conditions(&mut open, call)? {
            return bypass();
        }
        open.prefix = Some(open.key.clone_ref(py));
        Ok(Progress::On(open))
    }

    /// Makes the key of a call of plain arguments; `false` where that is for the policy.
    fn describe_natively(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        let (Some(_), Some(state)) = (self.parts.get().kind.recipe(), &open.state) else {
            return Ok(false);
        };
        if self.attributes.plain_timeout(py)?.is_none() {
            return Ok(false);
        }
        let settings: u64 = state.getattr(py, intern!(py, "number"))?.extract(py)?;
        // Among the numbers of stores, which are odd.
        let Some((recipe, prefix)) = self.plain_prefix(call, settings << 1)? else {
            return Ok(false);
        };
        open.key = PyString::new(py, &prefix).into_any().unbind();
        let name = recipe.version_name.bind(py).as_any();
        open.versions.push(Version::named(name, Role::Key)?);
        Ok(true)
    }

    /// What the key of a call of plain arguments begins with, before a version, and the recipe of it; `None`
    /// where the policy has to make it. `settings`: see [`makes_plain_keys`](Self::makes_plain_keys).
    pub(super) fn plain_prefix(
        &self,
        call: &Call<'_, '_>,
        settings: u64,
    ) -> PyResult<Option<(&Recipe, String)>> {
        let py = call.args.py();
        let kind = &self.parts.get().kind;
        let Some(recipe) = kind.recipe().filter(|_| call.kwargs.is_empty()) else {
            return Ok(None);
        };
        let mut parts = Parts::default();
        if !self.makes_plain_keys(py, settings)? || !kind.learn(call, &mut parts)? {
            return Ok(None);
        }
        let prefix = recipe.prefix(py, &parts, call.args.len())?;
        Ok(prefix.map(|prefix| (recipe, prefix)))
    }

    /// Lets the policy describe a call; `false` where it is not to be cached.
    fn ask_policy(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        self.counts.count(Event::Described);
        let arguments = (&open.state, call.args, call.kwargs);
        let description = self.ask(intern!(py, "describe"), arguments)?;
        if description.is_none() {
            return Ok(false);
        }
        open.take_description(&description)?;
        open.guard_page(py);
        Ok(true)
    }

    /// Asks the backend for the versions of a key, and for the value under it.
    pub(super) fn read_open(&self, py: Python<'_>, open: &mut Open) {
        open.following.landings = (!open.is_refresh).then(flights::landings);
        open.conditions.looked = refreshes::ended();
        open.leasing.forget_seen();
        let reading = match open.read_versions(py, &self.attributes) {
            Err((error, access)) => Reading::NoKey(error, access),
            Ok(()) if open.is_refresh => Reading::Nothing,
            Ok(()) => open
                .read_value(py, self.options.cache_none)
                .unwrap_or_else(Reading::Unread),
        };
        open.step = Step::Read(reading);
        self.go_on_after_waiting(py, open);
    }

    /// Goes on with a call to its answer or its turn, or up to where a task would be kept waiting.
    pub(super) fn go_on<'py>(
        &self,
        mut open: Box<Open>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = call.args.py();
        loop {
            match open.next() {
                Some(next) if open.following.is_task && (open.port.waits || next != Next::Read) => {
                    return Turn::of(py, open);
                }
                Some(Next::Read) => self.read_open(py, &mut open),
                Some(Next::Hold) => open = self.take_lease(py, open)?,
                Some(Next::Follow) => {
                    open = self.wait(py, open)?;
                    self.take_over(py, &mut open)?;
                }
                None => match self.arrive_at(open, call)? {
                    Progress::There(there) => return Ok(there),
                    Progress::On(further) => open = further,
                },
            }
        }
    }

    /// What becomes of a call that was looked for, or has waited.
    fn arrive_at<'py>(&self, mut open: Box<Open>, call: &Call<'_, 'py>) -> PyResult<Progress<'py>> {
        let py = call.args.py();
        let bypass = || Turn::bypass(py).map(Progress::There);
        let mut value = None;
        match std::mem::replace(&mut open.step, Step::Computing) {
            Step::Read(Reading::NoKey(error, access)) => {
                self.emit_failed(py, &open, error, access)?;
                open.go_without_key(py)?;
            }
            Step::Read(Reading::Unread(error)) => {
                open.following.is_blind = true;
                self.emit_failed(py, &open, error, Access::Reading)?;
            }
            Step::Read(Reading::Found(found)) => {
                self.emit_worked(py, &open, Access::Reading)?;
                value = Some(found.into_bound(py));
            }
            Step::Read(Reading::Shared(shared)) => value = Some(shared.into_bound(py)),
            Step::Read(Reading::Nothing) => self.emit_worked(py, &open, Access::Reading)?,
            _ => {}
        }
        if let Some(value) = value
            && let Some(answer) = self.answer_with(&mut open, value, call)?
        {
            return Ok(Progress::There(answer));
        }
        let is_keyless = open.following.is_keyless;
        // Only where others may follow it, something is gained by a turn that stores nothing.
        let is_alone = is_keyless && (open.is_refresh || !self.may_follow(py, &open)?);
        if open.leasing.is_declined() || is_alone {
            return bypass();
        }
        if !open.is_read_only {
            if open.flight.is_none() && !self.take_off(py, &mut open)? {
                return bypass();
            }
            if open.next().is_none() && !is_keyless {
                self.ask_for_lease(py, &mut open)?;
            }
            if open.next().is_some() {
                return Ok(Progress::On(open));
            }
        }
        if !open.conditions.is_background && !is_keyless {
            self.emit(Event::Miss, &open, call)?;
        }
        if open.is_read_only {
            return bypass();
        }
        note_leader(py, None)?;
        Turn::of(py, open).map(Progress::There)
    }

    /// What a value that was found makes of a call: its answer, or the turn of one that is not cached;
    /// `None`: it goes on.
    fn answer_with<'py>(
        &self,
        open: &mut Open,
        value: Bound<'py, PyAny>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        let Some(is_stale) = self.is_stale(&value, call)? else {
            return Turn::bypass(py).map(Some);
        };
        if is_stale || self.goes_on_past(open, &value, call)? {
            open.leasing.note_value(!is_stale);
            return Ok(None);
        }
        if open.following.is_keyless {
            self.emit(Event::Hit, open, call)?;
        } else if open.conditions.stale_for.is_none() {
            self.emit(Event::Hit, open, call)?;
            if open.is_near {
                self.counts.count(Event::Near);
            }
            self.remember(py, open)?;
            self.note_refreshed(py, open)?;
            // Who follows looks for what another process has stored.
            open.land_as(Landing::Shared(None));
        }
        self.deliver(value).map(Some)
    }

    /// Begins the flight of a call that was not found, or lets it follow another one, or be looked for again;
    /// `false`: it computes for itself.
    fn take_off(&self, py: Python<'_>, open: &mut Open) -> PyResult<bool> {
        match self.begin_flight(py, open)? {
            Joined::Lead(_) if self.came_meanwhile(py, open)? => open.rewind(py),
            Joined::Lead(flight) => open.flight = Some(flight),
            Joined::Follow(follower) => {
                self.follow(py, open, follower)?;
                if open.following.waiting.is_none() {
                    match self.begin_flight(py, open)? {
                        Joined::Lead(flight) => open.flight = Some(flight),
                        Joined::Follow(_) => return Ok(false),
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether the policy will not have what was found; `None`: the call runs uncached.
    pub(super) fn is_stale(
        &self,
        value: &Bound<'_, PyAny>,
        call: &Call<'_, '_>,
    ) -> PyResult<Option<bool>> {
        if !self.options.checks_hits {
            return Ok(Some(false));
        }
        let arguments = (value, call.args, call.kwargs);
        self.ask(intern!(value.py(), "is_stale_value"), arguments)?
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
