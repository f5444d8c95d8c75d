//! Access to a stored value without its key, for those that found it before.

use flask_caching_engine::backend::memory::{Handle, Mark};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::backend::MemoryBackend;
use super::value::Stored;

/// What became of a computed value.
pub(crate) enum Written {
    /// It is stored here.
    At(Handle),
    /// It must not be stored: a deletion came first, or its lifetime is over at once.
    Superseded,
    /// It is no plain data, and nothing was done.
    NotPlain,
}

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

    /// The present point in the order of the store's deletions.
    pub(crate) fn mark(&self) -> Mark {
        self.store().mark()
    }

    /// Whether the value behind `handle` is still there.
    pub(crate) fn is_there(&self, handle: Handle) -> bool {
        self.store().read_handle(handle, |_| ()).is_some()
    }

    /// The caller's own copy of the value under `key`, which is a string's, and a handle to it, while
    /// what is behind `guard` is still there.
    pub(crate) fn find_guarded<'py>(
        &self,
        py: Python<'py>,
        guard: Handle,
        key: &[u8],
    ) -> PyResult<Option<(Handle, Bound<'py, PyAny>)>> {
        let Some(handle) = self.store().read_with_handle(key, |_, handle| handle) else {
            return Ok(None);
        };
        let value = self.hit(py, &[guard], handle)?;
        Ok(value.map(|value| (handle, value)))
    }

    /// Stores `value` under `key`, which is a string's, unless that was deleted since `mark`, and lets
    /// the entry under `version` live as long.
    pub(crate) fn store_since(
        &self,
        key: &[u8],
        value: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        mark: Mark,
        version: &Bound<'_, PyString>,
    ) -> PyResult<Written> {
        let stored = match Stored::natively(value, &self.settings)? {
            // Of an object others may have to say whether it is stored: some responses are not.
            Some(stored) if !stored.is_object() => stored,
            _ => return Ok(Written::NotPlain),
        };
        let lifetime = self.settings.lifetime(timeout)?;
        let store = self.store();
        let Some(handle) = store.set_since(key, stored, lifetime, mark) else {
            return Ok(Written::Superseded);
        };
        store.extend(version.to_str()?.as_bytes(), lifetime);
        Ok(Written::At(handle))
    }

    /// The caller's own copy of the value behind `handle`, while it and what is behind each of
    /// `guards` is still there. An entry that cannot be read is `None`, too: reading it by its key
    /// says so and removes it.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and its like.
    #[inline]
    pub(crate) fn hit<'py>(
        &self,
        py: Python<'py>,
        guards: &[Handle],
        handle: Handle,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stored = self
            .store()
            .read_guarded(guards, handle, |stored| stored.clone_ref(py));
        match stored {
            None => Ok(None),
            Some(Stored::Atom(atom)) => Ok(Some(atom.into_bound(py))),
            Some(stored) => stored.load_if_readable(py, &self.settings),
        }
    }
}
