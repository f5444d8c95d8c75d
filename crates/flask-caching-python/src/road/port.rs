//! How a call reaches its backend.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use super::replaced::{Methods, WRITES};
use crate::memory::MemoryBackend;

/// The way to the backend of one call.
pub(super) struct Port {
    /// The backend, where it is the in-process store.
    memory: Option<Py<MemoryBackend>>,
    /// `flask_caching.backends._port.Port`: what is not done natively. `None` where nobody has asked
    /// the application's state for it.
    foreign: Option<Py<PyAny>>,
    replaced: Methods,
    /// Whether it talks to a server.
    pub(super) waits: bool,
}

impl Port {
    /// The way to the in-process store, of which nothing is replaced.
    pub(super) fn to_memory(backend: &Bound<'_, MemoryBackend>) -> Self {
        Self {
            memory: Some(backend.clone().unbind()),
            foreign: None,
            replaced: 0,
            waits: false,
        }
    }

    /// The way to `backend` under an application's `state`; `replaced` are not to be gone past.
    pub(super) fn to(
        state: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
        replaced: Methods,
        none_is_miss: bool,
    ) -> PyResult<Self> {
        let py = state.py();
        let foreign = state.call_method1(intern!(py, "port"), (backend, replaced, none_is_miss))?;
        let memory = backend.cast::<MemoryBackend>().ok();
        Ok(Self {
            waits: memory.is_none() && foreign.getattr(intern!(py, "waits"))?.is_truthy()?,
            memory: memory.map(|memory| memory.clone().unbind()),
            foreign: Some(foreign.unbind()),
            replaced,
        })
    }

    /// The in-process store, where `methods` of it may be gone past.
    #[inline]
    pub(super) fn memory<'py>(
        &self,
        py: Python<'py>,
        methods: Methods,
    ) -> Option<&Bound<'py, MemoryBackend>> {
        let memory = self.memory.as_ref()?.bind(py);
        (self.replaced & methods == 0).then_some(memory)
    }

    /// Whether it is to the in-process store.
    pub(super) fn is_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// What is not done natively.
    pub(super) fn foreign<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.foreign.as_ref().map(|foreign| foreign.bind(py))
    }

    /// Whether writing runs nothing of the application's, so that a deletion may wait for it.
    pub(super) fn writes_are_ours(&self) -> bool {
        self.replaced & WRITES == 0
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.foreign.as_ref())?;
        visit.call(self.memory.as_ref())
    }
}
