//! How a call reaches its backend.

mod replaced;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

pub(super) use self::replaced::{GET, GET_MANY, LookedAt, Methods, SET, VERSION_WRITES, WRITES};
pub(crate) use self::replaced::{METHODS, replaced_methods};

use crate::memory::{MemoryBackend, NearCopies};
use crate::stores::shared::SharedByteStore;

/// The way to the backend of one call.
pub(in crate::road) struct Port {
    /// The backend, where it is the in-process store.
    memory: Option<Py<MemoryBackend>>,
    /// `flask_caching.extension.port.Port`: what is not done natively. `None` where nobody has asked
    /// the application's state for it.
    foreign: Option<Py<PyAny>>,
    replaced: Methods,
    /// The copies nearby, where the backend has some that answer for it.
    copies: Option<Py<MemoryBackend>>,
    /// Whether it talks to a server.
    pub(in crate::road) waits: bool,
}

impl Port {
    /// The way to the in-process store, of which nothing is replaced.
    pub(in crate::road) fn to_memory(backend: &Bound<'_, MemoryBackend>) -> Self {
        Self {
            memory: Some(backend.clone().unbind()),
            foreign: None,
            replaced: 0,
            copies: None,
            waits: false,
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
        let memory = backend.cast::<MemoryBackend>().ok();
        Ok(Self {
            waits: memory.is_none() && foreign.getattr(intern!(py, "waits"))?.is_truthy()?,
            copies: copies_of(backend, replaced)?.map(Bound::unbind),
            memory: memory.map(|memory| memory.clone().unbind()),
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
    ) -> PyResult<Option<Bound<'py, SharedByteStore>>> {
        match &self.foreign {
            Some(foreign) if self.memory.is_none() && self.replaced & (GET | GET_MANY) == 0 => {
                SharedByteStore::of(&foreign.bind(py).getattr(intern!(py, "backend"))?)
            }
            _ => Ok(None),
        }
    }

    /// What is not done natively.
    pub(in crate::road) fn foreign<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.foreign.as_ref().map(|foreign| foreign.bind(py))
    }

    /// Whether writing runs nothing of the application's, so that a deletion may wait for it.
    pub(in crate::road) fn writes_are_ours(&self) -> bool {
        self.replaced & WRITES == 0
    }

    pub(in crate::road) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.foreign.as_ref())?;
        visit.call(self.copies.as_ref())?;
        visit.call(self.memory.as_ref())
    }
}

/// As [`copies_of`], where nothing is `replaced` and they may be read.
pub(in crate::road) fn usable_copies<'py>(
    backend: &Bound<'py, PyAny>,
    replaced: Methods,
) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
    if replaced != 0 {
        return Ok(None);
    }
    let copies = copies_of(backend, 0)?;
    Ok(copies.filter(|copies| copies.get().is_current() && !copies.get().is_patched()))
}

/// The copies nearby of the entries of `backend`, where it has some and none of what reads is `replaced`.
fn copies_of<'py>(
    backend: &Bound<'py, PyAny>,
    replaced: Methods,
) -> PyResult<Option<Bound<'py, MemoryBackend>>> {
    if replaced & (GET | GET_MANY) != 0 {
        return Ok(None);
    }
    let quick = backend.getattr_opt(intern!(backend.py(), "_quick"))?;
    let copies = quick.and_then(|quick| quick.cast_into::<NearCopies>().ok());
    Ok(copies.map(Bound::into_super))
}
