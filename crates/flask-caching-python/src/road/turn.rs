//! A call that is not answered yet, between the doors of the road.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flask_caching_engine::backend::memory::Handle;
use flask_caching_engine::clock::{self, Instant};
use flask_caching_engine::flight::{Flight, Waiting};
use flask_caching_engine::resilience::Deadline as TimeLeft;
use pyo3::call::PyCallArgs;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use smallvec::SmallVec;

use super::conditions::Conditions;
use super::port::Port;
use super::table::Row;
use super::waiting::Leasing;
use crate::flights::leaders::note_leader;
use crate::memory::Stored;
use crate::timeout::Deadline;

/// The turn of a call: the function is to run, and its result is to be brought to `Road.finish`, its
/// failure to `Road.fail`. A turn that is dropped is over, too.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Turn {
    /// `None`: the cache has nothing to do with the call, or it is over.
    open: Mutex<Option<Box<Open>>>,
    /// When it was handed out.
    started: Instant,
}

/// What is known of a call on its way.
pub(super) struct Open {
    /// The application's state; `None` where nothing was unusual, and nobody has asked for it.
    pub(super) state: Option<Py<PyAny>>,
    pub(super) backend: Py<PyAny>,
    pub(super) port: Port,
    /// The key; until the versions are known, what of it comes before them.
    pub(super) key: Py<PyAny>,
    /// The latter, for a call that may have to be looked for once more.
    pub(super) prefix: Option<Py<PyAny>>,
    /// The versions that are part of the key.
    pub(super) versions: SmallVec<[Version; 1]>,
    /// Its own timeout, where it has one: normalized.
    pub(super) timeout: Option<Py<PyAny>>,
    /// When the versions expire that this call has made.
    pub(super) made_until: Option<Py<Deadline>>,
    /// What the call will be found by.
    pub(super) row: Option<Row>,
    /// A key that was asked for before it was known to be the call's, and what is under it.
    pub(super) prefetched: Option<(Py<PyAny>, Py<PyAny>)>,
    /// Where the value is in the in-process store.
    pub(super) handle: Option<Handle>,
    /// Whether the value is a copy nearby.
    pub(super) is_near: bool,
    /// Whether what is stored is not wanted.
    pub(super) is_refresh: bool,
    /// The key may be read, but this call does not fill it.
    pub(super) is_read_only: bool,
    pub(super) flight: Option<Flight>,
    pub(super) following: Following,
    pub(super) conditions: Conditions,
    pub(super) leasing: Leasing,
    pub(super) step: Step,
}

/// Whether a call may have the result of another one that is under way.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(super) struct Following {
    /// A task asks: it waits in Python.
    pub(super) is_task: bool,
    /// It computes itself.
    pub(super) is_over: bool,
    /// What it waits for.
    pub(super) waiting: Option<Waiting>,
    /// How many results had landed when it was looked for.
    pub(super) landings: Option<u64>,
    pub(super) has_looked_again: bool,
    /// It is part of what would be waited for.
    pub(super) is_circular: bool,
    /// The backend could not be asked.
    pub(super) is_blind: bool,
    /// It could not even be asked for the versions in the key: nothing is found, and nothing stored.
    pub(super) is_keyless: bool,
    /// Until when it waits at most, whatever it waits for.
    pub(super) until: Option<TimeLeft>,
}

/// Where a call is between the doors.
pub(super) enum Step {
    /// It is to be looked for.
    Unread,
    /// It was looked for.
    Read(Reading),
    /// It is to be computed.
    Computing,
    /// Its result is to be stored, for `timeout` seconds (None: the default).
    Encoded {
        encoded: Encoded,
        timeout: Py<PyAny>,
        is_none: bool,
    },
    /// Nothing is to be stored.
    Refused,
    /// An attempt to store its result was made.
    Written(PyResult<Outcome>),
}

/// What comes next of a call that is neither answered nor its own to compute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It waits for another one that computes the same.
    Follow,
    /// It takes a lease.
    Hold,
    /// It is looked for.
    Read,
}

/// What looking for a call came to.
pub(super) enum Reading {
    Found(Py<PyAny>),
    /// The call that it waited for has it.
    Shared(Py<PyAny>),
    Nothing,
    /// The key is known, and what is under it is not.
    Unread(PyErr),
    /// The key is not known.
    NoKey(PyErr, Access),
}

/// A result that can be stored.
pub(super) enum Encoded {
    Native(Stored),
    Foreign(Py<PyAny>),
}

impl Encoded {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Native(stored) => Self::Native(stored.clone_ref(py)),
            Self::Foreign(encoded) => Self::Foreign(encoded.clone_ref(py)),
        }
    }
}

/// What became of a result.
pub(super) enum Outcome {
    /// It is stored, on the in-process store at this place, and its tags at these.
    Stored(Option<(Handle, SmallVec<[Handle; 2]>)>),
    /// The backend refused it.
    Refused,
    /// Something was deleted meanwhile.
    Superseded,
    /// There is no key to store it under.
    Keyless,
}

/// What fails when the cache fails.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Reading,
    Storing,
}

/// A version that is part of a key.
pub(super) struct Version {
    pub(super) name: Py<PyString>,
    /// `None` until it was read.
    pub(super) text: Option<Py<PyString>>,
    /// Where it is in the in-process store.
    pub(super) guard: Option<Handle>,
    /// Whether this call has made it.
    pub(super) is_new: bool,
    pub(super) role: Role,
}

/// What a version is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is part of the key.
    Key,
    /// It is that of a tag.
    Tag,
    /// It stands for all tags: those of the result are not known yet.
    Epoch,
}

impl Turn {
    /// The turn of a call that goes on elsewhere.
    pub(super) fn of(py: Python<'_>, open: Box<Open>) -> PyResult<Bound<'_, PyAny>> {
        let turn = Self {
            open: Mutex::new(Some(open)),
            started: clock::exact(),
        };
        Ok(Bound::new(py, turn)?.into_any())
    }

    /// The turn of a call that the cache has nothing to do with.
    pub(super) fn bypass(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        static BYPASS: PyOnceLock<Py<Turn>> = PyOnceLock::new();
        let turn = BYPASS.get_or_try_init(py, || {
            Py::new(
                py,
                Self {
                    open: Mutex::new(None),
                    started: Instant(0),
                },
            )
        })?;
        Ok(turn.bind(py).clone().into_any())
    }

    /// What is known of the call; whoever takes it ends the turn, or puts it back.
    pub(super) fn take(&self) -> Option<Box<Open>> {
        self.lock().take()
    }

    /// Nobody has computed it, nor will: those who wait go on, and for a moment nobody waits.
    pub(crate) fn give_up(&self) {
        if let Some(mut open) = self.take() {
            open.refuse();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the computation that it is for began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The answer to `question`; `None` where the turn is over.
    pub(super) fn with<T>(&self, question: impl FnOnce(&Open) -> T) -> Option<T> {
        self.lock().as_deref().map(question)
    }

    /// Whether `question` is answered with yes; no where the turn is over.
    pub(super) fn is(&self, question: impl FnOnce(&Open) -> bool) -> bool {
        self.with(question).unwrap_or(false)
    }

    /// What `change` makes of what is known of the call; `None` where the turn is over. The call is out of
    /// everybody's reach meanwhile.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut open = self.take()?;
        let outcome = change(&mut open);
        self.put_back(open);
        Some(outcome)
    }

    pub(super) fn put_back(&self, open: Box<Open>) {
        let old = self.lock().replace(open);
        drop(old);
    }
}

#[pymethods]
impl Turn {
    /// Whether what comes next is said by a server, and takes its time.
    #[getter]
    fn waits(&self) -> bool {
        self.is(|open| open.port.waits)
    }

    /// What a task does next with a call that is neither answered nor its own to compute: "follow" another
    /// one, take a lease ("hold"), or "read"; otherwise None.
    #[getter]
    fn next_step(&self) -> Option<&'static str> {
        self.with(Open::next).flatten().map(|next| match next {
            Next::Follow => "follow",
            Next::Hold => "hold",
            Next::Read => "read",
        })
    }

    /// Whether the cache has to do with the call.
    #[getter]
    fn is_open(&self) -> bool {
        self.is(|_| true)
    }

    /// Whether an old value stands where its result is an error.
    #[getter]
    fn rejects_errors(&self) -> bool {
        self.is(Open::rejects_errors)
    }

    /// How many seconds it may still wait for another call.
    #[getter]
    fn seconds_to_wait(&self) -> f64 {
        let until = self.with(|open| open.following.until).flatten();
        let left = until.and_then(|until| until.remaining().ok());
        left.map_or(0.0, |left| left.as_secs_f64())
    }

    /// Has `wake()` called, in whatever thread, when the call it waits for is over.
    fn wake_by(&self, wake: Py<PyAny>) {
        self.change(|open| {
            if let Some(waiting) = &open.following.waiting {
                waiting.wake_by(move || {
                    Python::attach(|py| {
                        // An event loop that is closed has nobody to wake.
                        drop(wake.call0(py));
                    });
                });
            }
        });
    }

    /// Lets `leader` count as who computes it, and whatever else runs here: the number of a task.
    fn lead_as(&self, py: Python<'_>, leader: usize) -> PyResult<()> {
        self.with(|open| open.flight.as_ref().map(|flight| flight.lead_as(leader)));
        note_leader(py, Some(leader))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.open.try_lock() {
            Ok(open) => open.as_ref().map_or(Ok(()), |open| open.traverse(&visit)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.take());
    }
}

impl Open {
    /// A call to `backend` of which nothing is known yet.
    #[inline]
    pub(super) fn new(backend: &Bound<'_, PyAny>, port: Port) -> Self {
        Self {
            state: None,
            backend: backend.clone().unbind(),
            port,
            key: backend.py().None(),
            prefix: None,
            versions: SmallVec::new(),
            timeout: None,
            made_until: None,
            row: None,
            prefetched: None,
            handle: None,
            is_near: false,
            is_refresh: false,
            is_read_only: false,
            flight: None,
            following: Following::default(),
            conditions: Conditions::default(),
            leasing: Leasing::default(),
            step: Step::Unread,
        }
    }

    /// What comes next, where that is not to compute.
    pub(super) fn next(&self) -> Option<Next> {
        if self.following.waiting.is_some() {
            Some(Next::Follow)
        } else if self.leasing.is_wanted() {
            Some(Next::Hold)
        } else {
            matches!(self.step, Step::Unread).then_some(Next::Read)
        }
    }

    /// What `method` of the port returns.
    pub(super) fn ask<'py>(
        &self,
        method: &Bound<'py, PyString>,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let port = self.port.foreign(method.py())?;
        port.call_method1(method, arguments)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.state.as_ref())?;
        visit.call(&self.backend)?;
        self.port.traverse(visit)?;
        self.conditions.traverse(visit)?;
        self.leasing.traverse(visit)?;
        match &self.step {
            Step::Read(Reading::Found(value) | Reading::Shared(value)) => visit.call(value),
            Step::Encoded {
                encoded: Encoded::Foreign(encoded),
                ..
            } => visit.call(encoded),
            _ => Ok(()),
        }
    }

    /// The versions that are part of the key.
    pub(super) fn versions_of_key(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|it| it.role == Role::Key)
    }

    /// The places of the versions, where all of them are known.
    pub(super) fn guards(&self) -> Option<SmallVec<[Handle; 2]>> {
        let of_key = self.versions_of_key();
        let of_tags = self.conditions.tags.iter().copied().map(Some);
        of_key.map(|version| version.guard).chain(of_tags).collect()
    }
}

impl Version {
    /// The version under `name`, which is still to be read.
    pub(super) fn named(name: &Bound<'_, PyAny>, role: Role) -> PyResult<Self> {
        Ok(Self {
            name: name.clone().cast_into::<PyString>()?.unbind(),
            text: None,
            guard: None,
            is_new: false,
            role,
        })
    }
}

impl Access {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Storing => "storing",
        }
    }
}
