//! Access to a stored value without its key, for those that found it before.

use flask_caching_engine::Lifetime;
use flask_caching_engine::backend::memory::{Handle, Reader};
use flask_caching_engine::clock::Instant;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use smallvec::SmallVec;

use super::backend::MemoryBackend;
use super::key::text_bytes;
use super::stored::Stored;
use crate::pages::GuardName;
use crate::road::{Found, Row};

/// Where the versions of an entry's tags are.
pub(crate) type Tags = SmallVec<[Handle; 2]>;

/// The values of a store as of one moment. It may be asked under a lock.
pub(crate) struct Moment<'s>(Reader<'s, Stored>);

impl Moment<'_> {
    /// Whether the value behind each of `handles` is still there.
    pub(crate) fn are_there(&self, handles: &[Handle]) -> bool {
        let is_there = |handle: &Handle| self.0.read_handle(*handle, |_| ()).is_some();
        handles.iter().all(is_there)
    }

    /// What is stored behind `value`, while it is fresh, and it and what is behind each of `guards` is still there.
    #[inline]
    pub(crate) fn peek(&self, py: Python<'_>, guards: &[Handle], value: Handle) -> Option<Stored> {
        let now = self.now();
        self.0
            .read_guarded(guards, value, |stored| {
                stored.is_fresh(now).then(|| stored.clone_ref(py))
            })
            .flatten()
    }

    pub(super) fn now(&self) -> Instant {
        self.0.now()
    }
}

impl MemoryBackend {
    /// A handle to what is under `key`, where that is current, and where its tags are.
    pub(crate) fn place(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<(Handle, Tags)>> {
        let found = self.find(key.py(), key)?;
        Ok(found.map(|(stored, handle)| (handle, stored.tags())))
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

    /// What is there at this moment. To be asked for before a lock is taken: Python's clock may be
    /// read for it, and runs what it likes where a test has put another in its place.
    #[inline]
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment(self.store().reader())
    }

    /// The text under `name`, and a handle to it; `None` where something else is there, or nothing.
    pub(crate) fn find_text<'py>(
        &self,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Option<(Bound<'py, PyString>, Handle)>> {
        let py = name.py();
        Ok(match self.find(py, name)? {
            Some((Stored::Atom(atom), handle)) => {
                let text = atom.into_bound(py).cast_into_exact::<PyString>().ok();
                text.map(|text| (text, handle))
            }
            _ => None,
        })
    }

    /// The caller's own copy of what [`Moment::peek`] found. An entry that cannot be read is
    /// `None`: reading it by its key says so and removes it.
    #[inline]
    pub(crate) fn thaw<'py>(
        &self,
        py: Python<'py>,
        stored: Stored,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match stored {
            Stored::Atom(atom) => Ok(Some(atom.into_bound(py))),
            stored => stored.load_if_readable(py, &self.settings),
        }
    }

    /// Removes `key`, of which nobody has to know.
    pub(crate) fn take_away(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(key) = self.tokens.known(key)? {
            self.store().delete(&key);
        }
        Ok(())
    }

    /// Lets the page behind `page` depend on `names`: deleting one of them deletes it.
    pub(crate) fn guard(&self, page: Handle, names: &[GuardName]) {
        let names = names.iter().map(GuardName::as_bytes);
        self.store().guard(page, names);
    }

    /// Whether there is a page that depends on `name`.
    pub(crate) fn has_guarded(&self, name: &GuardName) -> bool {
        self.store().has_guarded(name.as_bytes())
    }

    /// Remembers where the result of a call is.
    pub(crate) fn remember(&self, py: Python<'_>, row: Row, found: Found) {
        let moment = self.moment();
        // Where the versions are others, nothing asks for the value any more, and it is dropped soon.
        self.calls
            .insert(py, row, found, |found| moment.are_there(&[found.value]));
    }

    /// How long an entry lives that is stored for `timeout` seconds; `None`: for the default.
    pub(crate) fn lifetime(&self, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Lifetime> {
        self.settings.lifetime(timeout)
    }

    /// Lets the entry of `key` live for `lifetime` from now at least; whether it has one.
    pub(crate) fn prolong(&self, key: &Bound<'_, PyString>, lifetime: Lifetime) -> PyResult<bool> {
        Ok(self.store().extend(&text_bytes(key)?, lifetime))
    }
}
