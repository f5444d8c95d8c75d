//! What of a backend is read natively, past its methods: the one place that looks for it.

use pyo3::intern;
use pyo3::prelude::*;

use super::replaced::{LookedAt, Methods};
use crate::memory::{MemoryBackend, NearCopies};
use crate::stores::shared::SharedByteStore;

/// What answers natively for a backend.
pub(in crate::road) enum Native<'a, 'py> {
    /// It is the in-process store itself.
    Memory(&'a Bound<'py, MemoryBackend>),
    /// The copies nearby of its entries.
    Copies(Bound<'py, MemoryBackend>),
    /// The store that processes share.
    Shared(Bound<'py, SharedByteStore>),
}

impl<'a, 'py> Native<'a, 'py> {
    /// What would, if nothing were replaced.
    #[inline]
    pub(in crate::road) fn behind(backend: &'a Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(memory) = backend.cast::<MemoryBackend>() {
            return Ok(Some(Self::Memory(memory)));
        }
        let Some(quick) = backend.getattr_opt(intern!(backend.py(), "_quick"))? else {
            return Ok(None);
        };
        Ok(match quick.cast_into::<NearCopies>() {
            Ok(copies) => Some(Self::Copies(copies.into_super())),
            Err(other) => other.into_inner().cast_into().ok().map(Self::Shared),
        })
    }

    /// What does now, where none of `reads` is replaced: by the class of the backend, that of `cache` if it
    /// is given, or on the instance.
    #[inline]
    pub(in crate::road) fn of(
        backend: &'a Bound<'py, PyAny>,
        cache: Option<&Bound<'py, PyAny>>,
        looked_at: &LookedAt,
        reads: Methods,
    ) -> PyResult<Option<Self>> {
        match Self::behind(backend)? {
            Some(native) if native.is_ours(backend, cache, looked_at, reads)? => Ok(Some(native)),
            _ => Ok(None),
        }
    }

    /// Whether it may be read in place of `backend`, see [`of`](Self::of).
    #[inline]
    pub(in crate::road) fn is_ours(
        &self,
        backend: &Bound<'py, PyAny>,
        cache: Option<&Bound<'py, PyAny>>,
        looked_at: &LookedAt,
        reads: Methods,
    ) -> PyResult<bool> {
        Ok(self.is_usable() && looked_at.by_classes(cache, backend)? & reads == 0)
    }

    /// The value under `key`; `None`: there is none, or that has to be asked for in the usual way.
    #[inline]
    pub(in crate::road) fn get(
        &self,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::Memory(memory) => memory.get().get(key.py(), key),
            Self::Copies(copies) => copies.get().get(key.py(), key),
            Self::Shared(store) => store.get().find(key),
        }
    }

    /// Where the table of calls is, in the in-process store or in copies.
    pub(in crate::road) fn table(&self) -> Option<&MemoryBackend> {
        match self {
            Self::Memory(memory) => Some(memory.get()),
            Self::Copies(copies) => Some(copies.get()),
            Self::Shared(_) => None,
        }
    }

    #[inline]
    fn is_usable(&self) -> bool {
        match self {
            Self::Memory(memory) => !memory.get().is_patched(),
            Self::Copies(copies) => copies.get().is_current() && !copies.get().is_patched(),
            // It is behind no backend on which something is replaced.
            Self::Shared(_) => true,
        }
    }
}
