//! How a call reaches its backend.

mod native;
mod replaced;

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

pub(super) use self::native::Native;
pub(super) use self::replaced::{
    GET, GET_MANY, LookedAt, Methods, PAGES, SET, VERSION_WRITES, WRITES,
};
pub(crate) use self::replaced::{METHODS, replaced_methods};

use crate::memory::MemoryBackend;
use crate::stores::shared::SharedByteStore;

/// The way to the backend of one call.
#[derive(Default)]
pub(in crate::road) struct Port {
    /// The backend, where it is the in-process store.
    memory: Option<Py<MemoryBackend>>,
    /// `flask_caching.extension.port.Port`: what is not done natively. `None` where nobody has asked
    /// the application's state for it.
    foreign: Option<Py<PyAny>>,
    replaced: Methods,
    /// The copies nearby, where the backend has some that answer for it.
    copies: Option<Py<MemoryBackend>>,
    /// The store that processes share, where that answers for it.
    shared: Option<Py<SharedByteStore>>,
    /// Whether it talks to a server.
    pub(in crate::road) waits: bool,
}

impl Port {
    /// The way to the in-process store, of which nothing is replaced.
    pub(in crate::road) fn to_memory(backend: &Bound<'_, MemoryBackend>) -> Self {
        Self {
            memory: Some(backend.clone().unbind()),
            ..Self::default()
        }
    }

    /// The way to `backend` under an application's `state`; `replaced` are not to be gone past.
    pub(in crate::road) fn to(
        state: &Bound<'_, PyAny>,
        backend: &Bound<'_, PyAny>,
        replaced: Methods,
        none_is_miss: bool,
    ) -> PyResult<Self> {
        let py = state.py();
        let foreign = state.call_method1(intern!(py, "port"), (backend, replaced, none_is_miss))?;
        let (mut memory, mut copies, mut shared) = (None, None, None);
        let reads_are_ours = replaced & (GET | GET_MANY) == 0;
        match Native::behind(backend)? {
            Some(Native::Memory(store)) => memory = Some(store.clone().unbind()),
            Some(Native::Copies(store)) if reads_are_ours => copies = Some(store.unbind()),
            Some(Native::Shared(store)) if reads_are_ours => shared = Some(store.unbind()),
            _ => {}
        }
        Ok(Self {
            waits: memory.is_none() && foreign.getattr(intern!(py, "waits"))?.is_truthy()?,
            memory,
            copies,
            shared,
            foreign: Some(foreign.unbind()),
            replaced,
        })
    }

    /// The in-process store, where `methods` of it may be gone past.
    #[inline]
    pub(in crate::road) fn memory<'py>(
        &self,
        py: Python<'py>,
        methods: Methods,
    ) -> Option<&Bound<'py, MemoryBackend>> {
        let memory = self.memory.as_ref()?.bind(py);
        (self.replaced & methods == 0).then_some(memory)
    }

    /// Whether it is to the in-process store.
    pub(in crate::road) fn is_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Where the table of calls is, where `methods` may be gone past: the in-process store, or copies
    /// nearby that may be read.
    #[inline]
    pub(in crate::road) fn table<'py>(
        &self,
        py: Python<'py>,
        methods: Methods,
    ) -> Option<&Bound<'py, MemoryBackend>> {
        let copies = || self.copies(py).filter(|copies| copies.get().is_current());
        self.memory(py, methods).or_else(copies)
    }

    /// The copies nearby.
    pub(in crate::road) fn copies<'py>(
        &self,
        py: Python<'py>,
    ) -> Option<&Bound<'py, MemoryBackend>> {
        self.copies.as_ref().map(|copies| copies.bind(py))
    }

    /// The store that processes share, where reads may go past the backend.
    pub(in crate::road) fn shared<'py>(
        &self,
        py: Python<'py>,
    ) -> Option<&Bound<'py, SharedByteStore>> {
        self.shared.as_ref().map(|shared| shared.bind(py))
    }

    /// What is not done natively.
    pub(in crate::road) fn foreign<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let foreign = self.foreign.as_ref().map(|foreign| foreign.bind(py));
        foreign.ok_or_else(|| PyRuntimeError::new_err("the call has no way to its backend"))
    }

    /// Whether writing runs nothing of the application's, so that a deletion may wait for it.
    pub(in crate::road) fn writes_are_ours(&self) -> bool {
        self.replaced & WRITES == 0
    }

    pub(in crate::road) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.foreign.as_ref())?;
        visit.call(self.copies.as_ref())?;
        visit.call(self.shared.as_ref())?;
        visit.call(self.memory.as_ref())
    }
}
