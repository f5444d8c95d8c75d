//! Access to a stored value without its key, for those that found it before.

use flask_caching_engine::backend::memory::Handle;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::backend::MemoryBackend;
use super::value::Stored;

impl MemoryBackend {
    /// A handle to the value of `key`, if it has one, and whether that value is None.
    pub(crate) fn handle(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<(Handle, bool)>> {
        let py = key.py();
        Ok(self.find(py, key)?.map(|(stored, handle)| {
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
        Ok(match self.find(py, key)? {
            Some((Stored::Atom(atom), handle)) if atom.bind(py).eq(expected)? => Some(handle),
            _ => None,
        })
    }

    /// As `get_many`, where no key begins with `prefix`; otherwise `None`.
    pub(crate) fn get_many_without<'py>(
        &self,
        keys: &Bound<'py, PyTuple>,
        prefix: &[u8],
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let none = keys.py().None().into_bound(keys.py());
        self.lookup_all_where(keys, &none, |key| !key.starts_with(prefix))
    }

    /// Whether the value behind each of `handles` is still there.
    pub(crate) fn are_there(&self, handles: &[Handle]) -> bool {
        let is_there = |handle: &Handle| self.store().read_handle(*handle, |_| ()).is_some();
        handles.iter().all(is_there)
    }

    /// The text under `name`, which is a string's key, and a handle to it.
    pub(crate) fn find_text<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> Option<(Bound<'py, PyString>, Handle)> {
        let found = self
            .store()
            .read_with_handle(name.as_bytes(), |stored, handle| match stored {
                Stored::Atom(atom) => Some((atom.clone_ref(py), handle)),
                _ => None,
            });
        let (atom, handle) = found.flatten()?;
        let text = atom.into_bound(py).cast_into_exact::<PyString>().ok()?;
        Some((text, handle))
    }

    /// The caller's own copy of the value under `key`, which is a string's, and a handle to it. An
    /// entry that cannot be read is `None`, too.
    pub(crate) fn find_value<'py>(
        &self,
        py: Python<'py>,
        key: &str,
    ) -> Option<(Bound<'py, PyAny>, Handle)> {
        let (stored, handle) = self
            .store()
            .read_with_handle(key.as_bytes(), |stored, handle| {
                (stored.clone_ref(py), handle)
            })?;
        Some((stored.load(py, &self.settings).ok()?, handle))
    }

    /// Stores an encoded value under `key` for `timeout` seconds. Returns a handle to it, unless its
    /// lifetime is over at once.
    pub(crate) fn write(
        &self,
        key: &Bound<'_, PyAny>,
        stored: Stored,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Handle>> {
        let lifetime = self.settings.lifetime(timeout)?;
        let store = self.store();
        Ok(store.set(&self.tokens.writable(key, store)?, stored, lifetime))
    }

    /// Lets the entry under `name`, a string's key, live for `timeout` seconds from now where it would
    /// end sooner; whether there is one.
    pub(crate) fn extend(
        &self,
        name: &str,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.settings.lifetime(timeout)?;
        Ok(self.store().extend(name.as_bytes(), lifetime))
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
