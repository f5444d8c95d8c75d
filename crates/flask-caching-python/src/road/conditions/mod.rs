//! What an entry depends on beside its key and versions: tags, and until when it is fresh; and what
//! becomes of a call that finds one which is not fresh any more. What it is stored with: `seal.rs`.

mod seal;

pub(super) use self::seal::Seal;

use std::time::Duration;

use flask_caching_engine::backend::memory::Handle;
use flask_caching_engine::envelope::metadata;
use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString, PyTuple};
use smallvec::SmallVec;

use super::parts::Call;
use super::port::{GET, GET_MANY, SET};
use super::road::Road;
use super::turn::{Open, Role, Version};
use super::waiting::FAILED;
use crate::flights::refreshes;
use crate::pages::{PageGuards, layout};
use crate::values::metadata::SealedValue;
use flask_caching_engine::telemetry::counts::Event;

/// What the entry of a call depends on.
#[derive(Default)]
pub(super) struct Conditions {
    /// How long after its timeout a value is answered while it is refreshed, or where that fails.
    while_refreshed: Duration,
    if_error: Duration,
    pub(super) jitter: f64,
    /// For how long what was found has been stale; `None`: it is fresh.
    pub(super) stale_for: Option<Duration>,
    /// In the in-process store, where the versions of the tags of what was found or stored are.
    pub(super) tags: SmallVec<[Handle; 2]>,
    /// The keys of the tags that were told of the result.
    pub(super) own_tags: Vec<Py<PyString>>,
    /// The arguments, and those by name, where they are needed after the function has run.
    call: Option<Py<PyTuple>>,
    /// A value that stands where the call fails.
    pub(super) fallback: Option<Py<PyAny>>,
    /// How many refreshes had ended before it was looked for.
    pub(super) looked: u64,
    /// Held while it is the one refresh of its entry.
    pub(super) refreshing: Option<Py<PyAny>>,
    /// Nobody waits for the result.
    pub(super) is_background: bool,
    /// The values are pages, which say themselves how long they may be old.
    pub(super) is_page: bool,
    /// What the page depends on in place of versions, on the in-process store.
    pub(super) guards: Option<Box<PageGuards>>,
    /// The URI of the page, where it has several.
    pub(super) uri: Option<u64>,
}

impl Conditions {
    /// The longest time after its timeout for which a value is kept.
    pub(super) fn window(&self) -> Duration {
        self.while_refreshed.max(self.if_error)
    }

    /// No value is an answer after its timeout.
    fn close_windows(&mut self) {
        (self.while_refreshed, self.if_error) = (Duration::ZERO, Duration::ZERO);
    }

    /// Takes over what a page says of how long it may be old.
    fn take_windows_of(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_page && layout::is_page(value) {
            let page = value.cast::<PyTuple>()?;
            let window = |at| {
                page.get_borrowed_item(at)?
                    .extract()
                    .map(Duration::from_millis)
            };
            self.while_refreshed = window(layout::WHILE_REFRESHED)?;
            self.if_error = window(layout::IF_ERROR)?;
        }
        Ok(())
    }

    /// Keeps the arguments of a call.
    fn keep(&mut self, call: &Call<'_, '_>) -> PyResult<()> {
        let arguments = (call.args, call.kwargs).into_pyobject(call.args.py())?;
        self.call = Some(arguments.unbind());
        Ok(())
    }

    /// Forgets what was found: the call is looked for once more.
    pub(super) fn forget_found(&mut self) {
        self.stale_for = None;
        self.tags.clear();
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.call.as_ref())?;
        visit.call(self.fallback.as_ref())
    }
}

impl Road {
    /// Asks what the policy says about values that are not fresh any more, where it says anything.
    pub(super) fn take_rules(&self, open: &mut Open, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = state.py();
        open.conditions.is_page = self.options.is_page;
        if !self.options.has_conditions
            && !state.getattr(intern!(py, "has_conditions"))?.is_truthy()?
        {
            return Ok(());
        }
        let rules = self.ask(intern!(py, "rules"), (state,))?;
        let (while_refreshed, if_error, jitter): (f64, f64, f64) = rules.extract()?;
        let window = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        open.conditions.while_refreshed = window(while_refreshed);
        open.conditions.if_error = window(if_error);
        open.conditions.jitter = jitter;
        Ok(())
    }

    /// Whether what the entry depends on can be kept with it; where it cannot, a call with tags is not
    /// cached, and others have no old values.
    pub(super) fn keeps_conditions(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        let has_tags = open.versions.iter().any(|it| it.role != Role::Key);
        if !has_tags && open.conditions.window().is_zero() {
            return Ok(true);
        }
        if open.versions.iter().any(|it| it.role == Role::Epoch) {
            open.conditions.keep(call)?;
        }
        if open.keeps_metadata(py)? {
            return Ok(true);
        }
        open.conditions.close_windows();
        self.ask(intern!(py, "note_no_metadata"), (has_tags,))?;
        Ok(!has_tags)
    }

    /// Takes over what a result that is a page says of how long it may be old.
    pub(super) fn take_windows(open: &mut Open, result: &Bound<'_, PyAny>) -> PyResult<()> {
        open.conditions.take_windows_of(result)?;
        if open.conditions.is_page
            && !open.conditions.window().is_zero()
            && !open.keeps_metadata(result.py())?
        {
            open.conditions.close_windows();
        }
        Ok(())
    }

    /// Asks for the tags of a result where they depend on it; whether they are known.
    pub(super) fn ask_tags(&self, open: &mut Open, result: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = result.py();
        if !open.versions.iter().any(|it| it.role == Role::Epoch) {
            return Ok(true);
        }
        let asked = self.ask(intern!(py, "tags_of"), (result, &open.conditions.call))?;
        if asked.is_none() {
            return Ok(false);
        }
        open.conditions.own_tags = asked.extract()?;
        Ok(true)
    }

    /// Whether a call goes on although a value was found, which is not fresh any more. Otherwise that
    /// is its answer, and everybody is told so.
    pub(super) fn goes_on_past(
        &self,
        open: &mut Open,
        value: &Bound<'_, PyAny>,
        call: &Call<'_, '_>,
    ) -> PyResult<bool> {
        let py = value.py();
        let Some(past) = open.conditions.stale_for else {
            return Ok(false);
        };
        let may_refresh = past < open.conditions.while_refreshed;
        if may_refresh && open.leasing.is_elsewhere() && !open.is_refresh {
            // Another process refreshes it.
            self.note_refreshed(py, open)?;
            open.conditions.fallback = None;
            open.conditions.refreshing = None;
            self.emit(Event::Stale, open, call)?;
            return Ok(false);
        }
        if let Some(left) = open.leasing.failed_for() {
            refreshes::hear_of_failure(open.backend.bind(py), open.key.bind(py), left)?;
        }
        let arguments = (
            &open.state,
            &open.backend,
            &open.key,
            may_refresh,
            (call.args, call.kwargs),
            open.conditions.looked,
        );
        let is_answer = self.ask(intern!(py, "answers_stale"), arguments)?;
        if is_answer.cast::<PyBool>().is_ok_and(PyBoolMethods::is_true) {
            self.emit(Event::Stale, open, call)?;
            return Ok(false);
        }
        open.conditions.refreshing = Some(is_answer.unbind());
        open.conditions.fallback = Some(value.clone().unbind());
        open.conditions.keep(call)?;
        open.conditions.forget_found();
        open.handle = None;
        Ok(true)
    }

    /// The function of a call has failed with `error`, which may also be a result that is one. Returns the
    /// old value, where one stands; `None`: the failure is the caller's.
    pub(super) fn fail_open<'py>(
        &self,
        py: Python<'py>,
        mut open: Box<Open>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        // `KeyboardInterrupt` and its like say nothing about the function.
        let may_stand = |error: &&Bound<'_, PyAny>| {
            error.is_instance_of::<PyException>() || !error.is_instance_of::<PyBaseException>()
        };
        let Some(error) = error.filter(may_stand).filter(|_| open.rejects_errors()) else {
            open.end_lease(py, None)?;
            self.note_refreshed(py, &open)?;
            return Ok(None);
        };
        // Others may compute it while this one is told of.
        open.flight = None;
        open.end_lease(py, Some(FAILED))?;
        let arguments = (&open.state, &open.backend, &open.key, error);
        self.ask(intern!(py, "note_failed_refresh"), arguments)?;
        let conditions = &mut open.conditions;
        let (Some(value), Some(call)) = (conditions.fallback.take(), conditions.call.take()) else {
            return Ok(None);
        };
        let (args, kwargs) = call.extract(py)?;
        self.emit(Event::Stale, &open, &Call::of(&args, &kwargs))?;
        self.deliver(value.into_bound(py)).map(Some)
    }

    /// A call that had an old value is over without it.
    pub(super) fn note_refreshed(&self, py: Python<'_>, open: &Open) -> PyResult<()> {
        if open.rejects_errors() {
            self.ask(intern!(py, "note_refreshed"), ())?;
        }
        Ok(())
    }
}

impl Open {
    /// Whether an old value stands where the result of the call is an error.
    pub(super) fn rejects_errors(&self) -> bool {
        self.conditions.is_background || self.conditions.fallback.is_some()
    }

    /// Whether what an entry depends on can be kept with it.
    fn keeps_metadata(&self, py: Python<'_>) -> PyResult<bool> {
        if self.port.memory(py, GET | GET_MANY | SET).is_some() {
            return Ok(true);
        }
        let port = self.port.foreign(py)?;
        port.getattr(intern!(py, "keeps_metadata"))?.is_truthy()
    }

    /// A value that was read, without its metadata; `None` where that says that it is none: a tag was
    /// deleted, or it is too old.
    pub(super) fn opened<'py>(
        &mut self,
        value: Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        let value = match value.cast::<SealedValue>() {
            Err(_) => value,
            Ok(sealed) => {
                let metadata = sealed.get().metadata.get();
                self.leasing.see(metadata);
                if !metadata.has_value() {
                    return Ok(None);
                }
                self.conditions.stale_for = metadata.stale_for();
                if !self.tags_stand(py, &metadata.0)? {
                    return Ok(None);
                }
                sealed.get().value.bind(py).clone()
            }
        };
        if self.conditions.stale_for.is_some() {
            self.conditions.take_windows_of(&value)?;
        }
        let is_over = |past| past >= self.conditions.window();
        Ok(Some(value).filter(|_| !self.conditions.stale_for.is_some_and(is_over)))
    }

    /// Whether the tags have the versions that they had when the entry was stored. Those that the call
    /// does not have are asked for.
    fn tags_stand(&self, py: Python<'_>, metadata: &metadata::Metadata) -> PyResult<bool> {
        let mut unknown = Vec::new();
        for (name, text) in &metadata.tags {
            let is_it = |own: &&Version| own.name.bind(py).to_str().is_ok_and(|own| own == name);
            match self
                .versions
                .iter()
                .find(is_it)
                .map(|version| &version.text)
            {
                None => unknown.push((name, text)),
                Some(Some(present)) if present.bind(py).to_str()? == text => {}
                Some(_) => return Ok(false),
            }
        }
        if unknown.is_empty() {
            return Ok(true);
        }
        let unknown = PyTuple::new(py, unknown)?;
        self.ask(intern!(py, "tags_stand"), (unknown,))?.is_truthy()
    }
}
