//! The Python class and its methods.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flask_caching_engine::backend::memory::MemoryStore;
use flask_caching_engine::clock;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::key::{self, Tokens};
use super::near::Copies;
use super::number;
use super::sealed::tag_keys;
use super::settings::Settings;
use super::stored::Stored;
use super::stored::weight;
use crate::flights;
use crate::mistakes::refuse;
use crate::road::Table;
use crate::timeout;
use crate::values::missing::missing;

/// A key, when it expires (seconds since 1970; 0: never), and its value.
type ExportedEntry<'py> = (Bound<'py, PyAny>, f64, Bound<'py, PyAny>);

/// What an entry takes in bytes, the seconds that it has left and is fresh for, the keys of its tags.
type Details = (usize, f64, f64, Vec<String>);

/// An in-process cache backend; see `flask_caching.backends.simplecache.SimpleCache`, whose name it has:
/// it stands in what Python says of wrong arguments.
#[pyclass(
    name = "SimpleCache",
    frozen,
    subclass,
    module = "flask_caching._engine"
)]
pub(crate) struct MemoryBackend {
    store: OnceLock<MemoryStore<Stored>>,
    pub(super) tokens: Tokens,
    pub(super) settings: Settings,
    /// The calls that were answered from it.
    pub(crate) calls: Table,
    /// Unlike that of any other backend of this process.
    serial: u64,
    /// Whether a method was replaced on this instance.
    patched: AtomicBool,
    /// Whether it was said that an entry is too large.
    pub(super) said_too_large: AtomicBool,
    /// What it is a store of copies by, where it is one.
    pub(super) copies: OnceLock<Copies>,
}

#[pymethods]
impl MemoryBackend {
    /// The arguments are those of a subclass's `__init__`, which calls `_open`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> Self {
        Self::unopened(py)
    }

    /// A method is about to be replaced on this instance: nothing may go past it any more.
    fn _patch(&self) {
        self.patched.store(true, Ordering::Relaxed);
    }

    /// Makes the store, of at most `threshold` entries (0: 500) and `max_bytes` bytes (0: no bound,
    /// and nothing is weighed).
    #[pyo3(signature = (threshold, max_bytes = 0))]
    fn _open(&self, threshold: usize, max_bytes: usize) {
        self.store
            .get_or_init(|| match max_bytes {
                0 => MemoryStore::new(threshold),
                _ => MemoryStore::bounded(threshold, max_bytes, weight::of),
            })
            .set_threshold(threshold);
    }

    /// What all entries may take, in bytes; 0: no bound.
    #[getter]
    fn _max_bytes(&self) -> usize {
        self.store().max_bytes().unwrap_or(0)
    }

    /// What all entries take, in bytes, where there is a bound; otherwise 0.
    fn _bytes(&self) -> usize {
        self.store().bytes()
    }

    /// What the entry under `key` takes in bytes, about; how many seconds it has left, `inf` for
    /// ever; for how many it is fresh; the keys of its tags. None where there is none.
    fn _details(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Details>> {
        let py = key.py();
        let (Some((stored, _)), Some(known)) = (self.find(py, key)?, self.tokens.known(key)?)
        else {
            return Ok(None);
        };
        let Some(left) = self.store().remaining(&known) else {
            return Ok(None);
        };
        let (fresh_for, tags) = match &stored {
            Stored::Sealed(sealed) => (
                sealed.fresh_for(self.moment().now()),
                self.tag_names(&sealed.tags),
            ),
            _ => (f64::INFINITY, Vec::new()),
        };
        Ok(Some((
            weight::of(&stored),
            timeout::in_seconds(left),
            fresh_for,
            tags,
        )))
    }

    /// Evicts until no more than `threshold` entries are left (0: 500).
    fn _shrink(&self, threshold: usize) {
        let store = self.store();
        let usual = store.threshold();
        store.set_threshold(threshold.min(usual));
        store.set_threshold(usual);
    }

    /// The largest number of entries.
    #[getter]
    fn _threshold(&self) -> usize {
        self.store().threshold()
    }

    #[setter(_threshold)]
    fn set_threshold(&self, threshold: usize) {
        self.store().set_threshold(threshold);
    }

    /// The timeout of a write that names none, in seconds.
    #[getter]
    fn default_timeout(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.settings.default_timeout(py)
    }

    #[setter]
    fn set_default_timeout(&self, timeout: &Bound<'_, PyAny>) -> PyResult<()> {
        self.settings.set_default_timeout(timeout)
    }

    /// Lets `serializer` (cachelib's interface) make bytes of values. `native`: only of those that
    /// cannot be copied natively.
    fn _use_serializer(&self, serializer: Py<PyAny>, native: bool) {
        self.settings.set_serializer(serializer, native);
    }

    /// The value of `key`, the caller's own; None for a miss.
    pub(crate) fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.lookup(py, key)
    }

    /// The value of `key`; `MISSING` for a miss.
    fn _read<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.lookup(py, key)? {
            Some(value) => Ok(value),
            None => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// The values of `keys`, in their order; None for each miss.
    #[pyo3(signature = (*keys))]
    fn get_many<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyList>> {
        self.lookup_all(keys, &keys.py().None().into_bound(keys.py()))
    }

    /// The values of `keys`, in their order; `MISSING` for each miss.
    #[pyo3(signature = (*keys))]
    fn _read_many<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyList>> {
        self.lookup_all(keys, &missing(keys.py())?.into_bound(keys.py()))
    }

    /// A dict of `keys` and their values; None for each miss.
    #[pyo3(signature = (*keys))]
    fn get_dict<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyDict>> {
        let py = keys.py();
        let found = PyDict::new(py);
        let values = self.lookup_all(keys, &py.None().into_bound(py))?;
        for (key, value) in keys.iter().zip(values) {
            found.set_item(key, value)?;
        }
        Ok(found)
    }

    /// Stores `value` under `key` for `timeout` seconds, with `tags`; False where it cannot be stored.
    #[pyo3(signature = (key, value, timeout = None, tags = None, **others))]
    #[pyo3(text_signature = "($self, key, value, timeout=None, tags=None)")]
    pub(crate) fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<bool> {
        refuse(others, "set")?;
        let lifetime = self.settings.lifetime(timeout)?;
        let stored = self.freeze_with_tags(key, value, timeout, &tag_keys(tags)?)?;
        self.store_frozen(key, stored, lifetime)
    }

    /// Stores `value` where `key` has no entry, with `tags`; whether it did.
    #[pyo3(signature = (key, value, timeout = None, tags = None, **others))]
    #[pyo3(text_signature = "($self, key, value, timeout=None, tags=None)")]
    fn add(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<bool> {
        refuse(others, "add")?;
        let lifetime = self.settings.lifetime(timeout)?;
        let tags = tag_keys(tags)?;
        // An entry that is there saves making a stored form of the value.
        if self.has(key)? {
            return Ok(false);
        }
        let store = self.store();
        match self.freeze_with_tags(key, value, timeout, &tags)? {
            Some(stored) if self.fits(key, &stored)? => {
                self.make_way(key)?;
                Ok(store.add(&self.tokens.writable(key, store)?, stored, lifetime))
            }
            _ => Ok(false),
        }
    }

    /// Stores every pair of `mapping`, with `tags`; the keys that were stored.
    #[pyo3(signature = (mapping, timeout = None, tags = None, **others))]
    #[pyo3(text_signature = "($self, mapping, timeout=None, tags=None)")]
    fn set_many<'py>(
        &self,
        mapping: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
        tags: Option<&Bound<'py, PyAny>>,
        others: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyList>> {
        refuse(others, "set_many")?;
        let lifetime = self.settings.lifetime(timeout)?;
        let tags = tag_keys(tags)?;
        let done = PyList::empty(mapping.py());
        for pair in mapping.call_method0("items")?.try_iter()? {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let stored = self.freeze_with_tags(&key, &value, timeout, &tags)?;
            if self.store_frozen(&key, stored, lifetime)? {
                done.append(key)?;
            }
        }
        Ok(done)
    }

    /// Lets the entry under `key` live for `timeout` seconds from now where it would end sooner,
    /// without touching its value; whether there is one.
    #[pyo3(name = "_extend", signature = (key, timeout = None))]
    pub(crate) fn extend(
        &self,
        key: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.settings.lifetime(timeout)?;
        let key = self.tokens.known(key)?;
        Ok(key.is_some_and(|key| self.store().extend(&key, lifetime)))
    }

    /// Removes `key`, and the pages that depend on it; whether it was there.
    fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        flights::supersede(key.py(), self.scope(), [key.as_borrowed()])?;
        let key = self.tokens.known(key)?;
        Ok(key.is_some_and(|key| {
            self.store().delete_guarded(&key);
            self.store().delete(&key)
        }))
    }

    /// Removes `keys`; returns those that are gone now, which is all of them.
    #[pyo3(signature = (*keys))]
    fn delete_many<'py>(&self, keys: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyList>> {
        for key in keys {
            self.delete(&key)?;
        }
        Ok(keys.to_list())
    }

    /// Whether `key` is there.
    fn has(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(key.py(), key)?.is_some())
    }

    /// Removes every entry.
    fn clear(&self, py: Python<'_>) -> PyResult<bool> {
        flights::supersede_all(py, self.scope())?;
        self.store().clear();
        self.calls.clear();
        self.tokens.forget(py, self.store())?;
        Ok(true)
    }

    /// Adds `delta` to the number under `key`, in one atomic step, and returns the sum. The entry
    /// keeps its lifetime; a missing one is made from 0.
    #[pyo3(signature = (key, delta = None, **others))]
    #[pyo3(text_signature = "($self, key, delta=1)")]
    fn inc<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        delta: Option<&Bound<'py, PyAny>>,
        others: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        refuse(others, "inc")?;
        self.change(key, delta, number::add)
    }

    /// Subtracts `delta` from the number under `key`; otherwise as `inc`.
    #[pyo3(signature = (key, delta = None, **others))]
    #[pyo3(text_signature = "($self, key, delta=1)")]
    fn dec<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        delta: Option<&Bound<'py, PyAny>>,
        others: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        refuse(others, "dec")?;
        self.change(key, delta, number::subtract)
    }

    /// Every live entry: its key, when it expires (Unix time; 0: never), and its value.
    fn _entries<'py>(&self, py: Python<'py>) -> PyResult<Vec<ExportedEntry<'py>>> {
        let wall = clock::wall();
        let found = self.store().collect(|key, left, value| {
            let expires = left.map_or(Duration::ZERO, |left| wall + left);
            (
                Box::<[u8]>::from(key),
                expires.as_secs_f64(),
                value.clone_ref(py),
            )
        });
        let others: HashMap<_, _> = self
            .tokens
            .all(py)?
            .into_iter()
            .map(|(key, token)| (Box::<[u8]>::from(token.as_bytes(py)), key))
            .collect();
        let mut entries = Vec::with_capacity(found.len());
        for (bytes, expires, stored) in found {
            let key = match key::text(py, &bytes)? {
                Some(key) => Some(key),
                None => others.get(&bytes).map(|key| key.bind(py).clone()),
            };
            if !stored.is_current(&self.moment()) {
                continue;
            }
            // An entry that cannot be read is none.
            let value = stored.load_if_readable(py, &self.settings)?;
            if let (Some(key), Some(value)) = (key, value) {
                entries.push((key, expires, value));
            }
        }
        Ok(entries)
    }

    /// The number of live entries.
    fn _len(&self) -> usize {
        self.store().collect(|_, _, _| ()).len()
    }

    /// The number of entries, those included that are expired and not yet freed.
    fn _held(&self) -> usize {
        self.store().len()
    }

    /// The entries as `_held` counts them; what they take in bytes, None where that is not bounded; and
    /// how many had to make room since the store was made.
    fn _usage(&self) -> (usize, Option<usize>, u64) {
        let store = self.store();
        let bytes = store.max_bytes().map(|_| store.bytes());
        (store.len(), bytes, store.evictions())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Values hold no cycle: they are atoms, private copies of plain data, bytes, and classes that
        // modules keep.
        visit.call(self.tokens.dict())?;
        self.calls.traverse(&visit)?;
        self.settings.traverse(&visit)
    }

    fn __clear__(&self) {
        self.settings.clear();
        self.calls.clear();
    }
}

impl MemoryBackend {
    /// One that has no store yet.
    pub(super) fn unopened(py: Python<'_>) -> Self {
        static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);
        Self {
            store: OnceLock::new(),
            tokens: Tokens::new(py),
            settings: Settings::new(),
            calls: Table::default(),
            serial: LAST_SERIAL.fetch_add(1, Ordering::Relaxed),
            patched: AtomicBool::new(false),
            said_too_large: AtomicBool::new(false),
            copies: OnceLock::new(),
        }
    }

    /// What tells this backend from others, as long as the process lives: in flights, among addresses,
    /// which are even.
    pub(crate) fn scope(&self) -> u64 {
        self.serial << 1 | 1
    }

    /// Whether a method was replaced on this instance.
    pub(crate) fn is_patched(&self) -> bool {
        self.patched.load(Ordering::Relaxed)
    }

    /// Takes `store`, unless it has one.
    pub(super) fn set_store(&self, store: MemoryStore<Stored>) {
        self.store.get_or_init(|| store);
    }

    #[inline]
    pub(super) fn store(&self) -> &MemoryStore<Stored> {
        self.store.get_or_init(|| MemoryStore::new(0))
    }
}
