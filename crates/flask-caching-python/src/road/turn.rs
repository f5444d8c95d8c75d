//! A call that is not answered yet, between the doors of the road.

use std::sync::{Mutex, PoisonError};

use flask_caching_engine::backend::memory::Handle;
use flask_caching_engine::flight::Flight;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use smallvec::SmallVec;

use super::port::Port;
use super::table::Row;
use crate::timeout::Deadline;

/// The turn of a call: the function is to run, and its result is to be brought to `Road.finish`, its
/// failure to `Road.fail`. A turn that is dropped is over, too.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Turn {
    /// `None`: the cache has nothing to do with the call, or it is over.
    open: Mutex<Option<Box<Open>>>,
}

/// What is known of a call on its way.
pub(super) struct Open {
    /// The application's state; `None` where nothing was unusual, and nobody has asked for it.
    pub(super) state: Option<Py<PyAny>>,
    pub(super) backend: Py<PyAny>,
    pub(super) port: Port,
    /// What the policy said of the call; `None` where the key was made natively.
    pub(super) description: Option<Py<PyAny>>,
    pub(super) key: Key,
    /// The versions that are part of the key.
    pub(super) versions: SmallVec<[Version; 1]>,
    /// When the versions expire that this call has made.
    pub(super) made_until: Option<Deadline>,
    /// What the call will be found by.
    pub(super) row: Option<Row>,
    /// What was found under a key before that was known to be the call's.
    pub(super) found: Option<(Py<PyAny>, Py<PyAny>)>,
    /// Whether what is stored is not wanted.
    pub(super) is_refresh: bool,
    /// The key may be read, but this call does not fill it.
    pub(super) is_read_only: bool,
    pub(super) flight: Option<Flight>,
    pub(super) step: Step,
}

/// Where a call is between the doors.
pub(super) enum Step {
    /// It is being computed, or about to be looked for.
    Waiting,
    /// It was looked for: what the port said, and what it was doing.
    Read(PyResult<Option<Py<PyAny>>>, Doing),
    /// Its result is to be stored.
    Encoded {
        result: Py<PyAny>,
        encoded: Encoded,
        timeout: Option<Py<PyAny>>,
    },
    /// Its result was stored, or not.
    Written {
        result: Py<PyAny>,
        outcome: PyResult<Outcome>,
    },
}

/// A result that can be stored.
pub(super) enum Encoded {
    Native(crate::memory::Stored),
    Foreign(Py<PyAny>),
}

/// What became of a result.
pub(super) enum Outcome {
    Stored(Option<Handle>),
    /// The backend refused it.
    Refused,
    /// Something was deleted meanwhile.
    Superseded,
}

/// What fails when the cache fails.
#[derive(Clone, Copy)]
pub(super) enum Doing {
    Reading,
    Storing,
}

/// The key of a call, or as much of it as is known.
pub(super) enum Key {
    Text(String),
    Object(Py<PyAny>),
}

/// A version that is part of a key.
pub(super) struct Version {
    pub(super) name: Py<PyString>,
    pub(super) text: Py<PyString>,
    /// Where it is in the in-process store.
    pub(super) guard: Option<Handle>,
}

impl Turn {
    pub(super) fn of(py: Python<'_>, open: Open) -> PyResult<Bound<'_, PyAny>> {
        let open = Mutex::new(Some(Box::new(open)));
        Ok(Bound::new(py, Self { open })?.into_any())
    }

    /// The turn of a call that the cache has nothing to do with.
    pub(super) fn bypass(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        static BYPASS: PyOnceLock<Py<Turn>> = PyOnceLock::new();
        let turn = BYPASS.get_or_try_init(py, || {
            Py::new(
                py,
                Self {
                    open: Mutex::new(None),
                },
            )
        })?;
        Ok(turn.bind(py).clone().into_any())
    }

    /// What is known of the call; whoever takes it ends the turn, or puts it back.
    pub(super) fn take(&self) -> Option<Box<Open>> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn put_back(&self, open: Box<Open>) {
        let old = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(open);
        drop(old);
    }
}

#[pymethods]
impl Turn {
    /// Whether what comes next is said by a server, and takes its time.
    #[getter]
    fn waits(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().is_some_and(|open| open.port.waits)
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
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.state.as_ref())?;
        visit.call(&self.backend)?;
        visit.call(self.description.as_ref())?;
        self.port.traverse(visit)?;
        match &self.step {
            Step::Encoded { result, .. } | Step::Written { result, .. } => visit.call(result),
            Step::Read(Ok(value), _) => visit.call(value.as_ref()),
            _ => Ok(()),
        }
    }
}

impl Key {
    /// The key as an object.
    pub(super) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Text(text) => PyString::new(py, text).into_any(),
            Self::Object(key) => key.bind(py).clone(),
        }
    }
}

impl Doing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Storing => "storing",
        }
    }
}
