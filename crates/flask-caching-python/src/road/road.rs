//! The road of a call, and its doors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::explicit::NativeProxies;
use super::flags::CacheFlags;
use super::look_up::Progress;
use super::options::Options;
use super::parts::{Call, CallParts, KeyAttribute, Request};
use super::port::{LookedAt, Port};
use super::quick::Quick;
use super::turn::{Open, Step, Turn};
use super::waiting::REFUSED;
use crate::interpreter::stack;
use crate::values::missing::missing;
use flask_caching_engine::telemetry::counts::{Counts, CountsRow, Event};

/// The road of the calls of one decorated function, or of the fragments of one label.
///
/// `begin` answers a call, or returns its `Turn`: then the caller runs the function, and brings the
/// result to `finish`, or the failure to `fail`.
///
/// Who may not be kept waiting by a server takes `approach` in place of `begin`, and, while the turn
/// `waits`, `read(turn)` and `write(turn)` where waiting harms nobody: `approach`, `read`, `arrive`;
/// `settle`, `write`, `finish`.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Road {
    pub(super) cache: Py<NativeProxies>,
    pub(super) flags: Py<CacheFlags>,
    /// Says what a call is, and what may be stored: `flask_caching.calls.policy.CallPolicy`.
    pub(super) policy: Py<PyAny>,
    pub(super) parts: Py<CallParts>,
    pub(super) options: Options,
    pub(super) attributes: KeyAttribute,
    pub(super) looked_at: LookedAt,
    pub(super) counts: Counts,
    /// What tells its rows from those of other roads, in the epoch beside it.
    pub(super) number: Arc<AtomicU64>,
    pub(super) epoch: AtomicU64,
    /// The scope of a backend, and the epoch, under which keys are made natively.
    pub(super) plain_keys: (AtomicU64, AtomicU64),
}

#[pymethods]
impl Road {
    /// The road of the calls that `policy` describes, which are told apart by `parts`.
    #[new]
    fn new(policy: &Bound<'_, PyAny>, parts: Py<CallParts>) -> PyResult<Self> {
        let py = policy.py();
        let cache = policy.getattr(intern!(py, "cache"))?;
        let attributes = policy
            .getattr(intern!(py, "attributes"))?
            .cast_into::<PyDict>()?;
        Ok(Self {
            flags: cache.getattr(intern!(py, "_flags"))?.extract()?,
            cache: cache.cast_into()?.unbind(),
            policy: policy.clone().unbind(),
            parts,
            options: policy.extract()?,
            attributes: KeyAttribute::new(&attributes)?,
            looked_at: LookedAt::default(),
            counts: Counts::default(),
            number: Arc::new(AtomicU64::new(new_number())),
            epoch: AtomicU64::new(0),
            plain_keys: (AtomicU64::new(0), AtomicU64::new(0)),
        })
    }

    /// Says what a call is, and what may be stored.
    #[getter]
    fn policy(&self, py: Python<'_>) -> Py<PyAny> {
        self.policy.clone_ref(py)
    }

    /// Answers a call, or returns its turn. `extensions`: those of the active application, or None.
    /// `method`, `path`, `query`: of the active request, where the key is made of it.
    #[pyo3(signature = (args, kwargs, extensions, method = None, path = None, query = None))]
    fn begin<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
        method: Option<&Bound<'py, PyAny>>,
        path: Option<&Bound<'py, PyAny>>,
        query: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = Request::new(method, path, query);
        self.enter(&Call::of(args, kwargs).asked_in(extensions, request), false)
    }

    /// As `begin`, for a task: a turn that `waits` is to be read, and to `arrive` then. `request`: the method,
    /// the path and the query.
    #[pyo3(signature = (args, kwargs, extensions, request = None))]
    fn approach<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
        request: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = request.as_ref();
        let request = request
            .and_then(|(method, path, query)| Request::new(Some(method), Some(path), Some(query)));
        self.enter(&Call::of(args, kwargs).asked_in(extensions, request), true)
    }

    /// Begins a call whose stored result is not wanted: as `approach` where it `is_task`, else as
    /// `begin`. `key`: of an old value that was answered meanwhile, so that nobody waits for the new one;
    /// where the call has another key by now, its turn is not open.
    #[pyo3(signature = (args, kwargs, is_task = false, key = None))]
    fn refresh<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        is_task: bool,
        key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        stack::check()?;
        let (py, call) = (args.py(), Call::of(args, kwargs));
        let mut open = match self.describe(&call, Quick::Unknown, is_task, true)? {
            Progress::There(there) => return Ok(there),
            Progress::On(open) => open,
        };
        if let Some(key) = key {
            self.read_open(py, &mut open);
            if !open.key.bind(py).eq(key)? {
                return Turn::bypass(py);
            }
            open.conditions.is_background = true;
        }
        self.go_on(open, &call)
    }

    /// Asks the backend for what the turn waits for. What goes wrong is for `arrive`.
    fn read(&self, turn: &Bound<'_, Turn>) -> PyResult<()> {
        self.work_on(turn, |open| {
            self.read_open(turn.py(), open);
            Ok(())
        })
    }

    /// What becomes of a turn that was read, or has waited for a lease or another call: the call's answer,
    /// or a turn, which may be to be read, or follow another one.
    fn arrive<'py>(
        &self,
        turn: &Bound<'py, Turn>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Call::of(args, kwargs);
        match turn.get().take() {
            Some(mut open) => self.timed(args.py(), || {
                open.leasing.settle();
                self.take_over(turn.py(), &mut open)?;
                self.go_on(open, &call)
            }),
            None => Ok(turn.clone().into_any()),
        }
    }

    /// Stores the result of a turn, if it may be and as far as that is not done yet, and gives it to the
    /// caller.
    fn finish<'py>(
        &self,
        turn: &Bound<'py, Turn>,
        result: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = result.py();
        let Some(mut open) = turn.get().take() else {
            return self.deliver(result);
        };
        let is_settled = !matches!(open.step, Step::Computing);
        if !is_settled {
            self.emit_computed(turn.get());
        }
        self.timed(py, || {
            if !is_settled {
                self.settle_open(&mut open, &result)?;
            }
            self.write_open(py, &mut open);
            self.conclude_open(*open, result)
        })
    }

    /// Stores the `page` that a turn has made, which is fresh for `lifetime` seconds (0: for ever) and has
    /// the keys of `tags`; whether it is stored.
    fn finish_page(
        &self,
        turn: &Bound<'_, Turn>,
        page: &Bound<'_, PyTuple>,
        lifetime: f64,
        tags: Vec<Py<PyString>>,
    ) -> PyResult<bool> {
        self.finish_with_page(turn.get(), page, lifetime, tags)
    }

    /// Gives the result of a turn to the caller, and stores nothing: it is not for others.
    fn refuse<'py>(
        &self,
        turn: &Bound<'py, Turn>,
        result: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(mut open) = turn.get().take() {
            self.emit_computed(turn.get());
            self.note_refreshed(turn.py(), &open)?;
            self.refuse_open(&mut open);
            open.end_lease(turn.py(), Some(REFUSED))?;
        }
        self.deliver(result)
    }

    /// The first part of `finish`: decides whether the result of a turn is stored, and as what.
    fn settle(&self, turn: &Bound<'_, Turn>, result: &Bound<'_, PyAny>) -> PyResult<()> {
        self.work_on(turn, |open| {
            self.emit_computed(turn.get());
            self.settle_open(open, result)
        })
    }

    /// Its second part: stores what is to be. What goes wrong is for `finish`.
    fn write(&self, turn: &Bound<'_, Turn>) -> PyResult<()> {
        self.work_on(turn, |open| {
            self.write_open(turn.py(), open);
            Ok(())
        })
    }

    /// The function of a turn has failed with `error`, or its result is that: nothing is stored. Returns
    /// the old value where one stands, otherwise `MISSING`.
    #[pyo3(signature = (turn, error = None))]
    fn fail<'py>(
        &self,
        turn: &Bound<'py, Turn>,
        error: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = turn.py();
        let old = match turn.get().take() {
            Some(open) => self.fail_open(py, open, error)?,
            None => None,
        };
        old.map_or_else(|| Ok(missing(py)?.into_bound(py)), Ok)
    }

    /// The key that `description` describes, with the versions that are part of it; those that are
    /// missing are made.
    fn key<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        backend: &Bound<'py, PyAny>,
        description: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = state.py();
        let mut open = self.open(state, backend)?;
        open.take_description(description)?;
        open.read_versions(py, &self.attributes)
            .map_err(|(error, _)| error)?;
        Ok(open.key.into_bound(py))
    }

    /// How often what became of calls, by name; the seconds that computations took, and that hits
    /// have saved; and how often results were refused, by reason.
    fn counts(&self) -> CountsRow {
        self.counts.row()
    }

    /// Counts begin anew, in a child of `fork()`.
    fn reset_counts(&self) {
        self.counts.reset();
    }

    /// Results of the function were deleted, by naming it.
    fn note_deletion(&self) {
        self.counts.count(Event::Deleted);
    }

    /// A result is refused, and why; that it is, is counted where it is not stored.
    #[pyo3(name = "note_refusal")]
    fn note_refusal_for(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        self.note_refusal(py, reason)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.policy)?;
        visit.call(&self.parts)?;
        self.attributes.traverse(&visit)
    }
}

impl Road {
    /// Answers a call, or returns its turn, which may be to be read where that `is_task`.
    #[inline]
    fn enter<'py>(&self, call: &Call<'_, 'py>, is_task: bool) -> PyResult<Bound<'py, PyAny>> {
        stack::check()?;
        match self.begin_quickly(call)? {
            Quick::Answer(answer) => Ok(answer),
            quick => self.timed(call.args.py(), || {
                match self.describe(call, quick, is_task, false)? {
                    Progress::There(there) => Ok(there),
                    Progress::On(open) => self.go_on(open, call),
                }
            }),
        }
    }

    /// The answer of a call where it is quickly found, otherwise `None`.
    pub(super) fn quickly<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        stack::check()?;
        match self.begin_quickly(call)? {
            Quick::Answer(answer) if !answer.is_instance_of::<Turn>() => Ok(Some(answer)),
            _ => Ok(None),
        }
    }

    /// Does `work` of a turn that is not over, and goes on after it, unless that fails.
    fn work_on(
        &self,
        turn: &Bound<'_, Turn>,
        work: impl FnOnce(&mut Open) -> PyResult<()>,
    ) -> PyResult<()> {
        if let Some(mut open) = turn.get().take() {
            self.timed(turn.py(), || work(&mut open))?;
            turn.get().put_back(open);
        }
        Ok(())
    }

    /// What `method` of the policy returns.
    pub(super) fn ask<'py>(
        &self,
        method: &Bound<'py, PyString>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let policy = self.policy.bind(method.py());
        policy.call_method1(method, arguments)
    }

    /// A call to `backend` of which nothing is known yet.
    pub(super) fn open(
        &self,
        state: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
    ) -> PyResult<Box<Open>> {
        let py = state.py();
        let replaced = self.looked_at.replaced(self.cache.bind(py), backend)?;
        let port = Port::to(state, backend, replaced, !self.options.cache_none)?;
        let mut open = Box::new(Open::new(backend, port));
        open.state = Some(state.clone().unbind());
        Ok(open)
    }

    /// Gives a value to the caller: an exception that a view has raised is raised again.
    #[inline]
    pub(super) fn deliver<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if self.options.is_view && value.is_instance_of::<PyBaseException>() {
            return Err(PyErr::from_value(value));
        }
        Ok(value)
    }
}

impl Drop for Road {
    /// What its calls came to is still told.
    fn drop(&mut self) {
        self.flags.get().retired.add(&self.counts);
    }
}

pub(super) fn new_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
