//! Access to a stored value without its key, for those that found it before.

use flask_caching_engine::backend::memory::Handle;
use pyo3::prelude::*;

use super::backend::MemoryBackend;
use super::value::Stored;

impl MemoryBackend {
    /// A handle to the value of `key`, if it has one, and whether that value is None.
    pub(crate) fn handle(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<(Handle, bool)>> {
        let py = key.py();
        Ok(self
            .find(&self.store().reader(), py, key)?
            .map(|(stored, handle)| {
                (
                    handle,
                    matches!(&stored, Stored::Atom(atom) if atom.is_none(py)),
                )
            }))
    }

    /// A handle to the value of `key`, if that is the very string `expected`.
    pub(crate) fn handle_of_text(
        &self,
        key: &Bound<'_, PyAny>,
        expected: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Handle>> {
        let py = key.py();
        Ok(match self.find(&self.store().reader(), py, key)? {
            Some((Stored::Atom(atom), handle)) if atom.bind(py).eq(expected)? => Some(handle),
            _ => None,
        })
    }

    /// The caller's own copy of the value behind `handle`, while it and what is behind each of
    /// `guards` is still there. An entry that cannot be read is `None`, too: reading it by its key
    /// says so and removes it.
    #[inline]
    pub(crate) fn hit<'py>(
        &self,
        py: Python<'py>,
        guards: &[Handle],
        handle: Handle,
    ) -> Option<Bound<'py, PyAny>> {
        let stored = self
            .store()
            .read_guarded(guards, handle, |stored| stored.clone_ref(py))?;
        match stored {
            Stored::Atom(atom) => Some(atom.into_bound(py)),
            stored => stored.load(py, &self.settings).ok(),
        }
    }
}
