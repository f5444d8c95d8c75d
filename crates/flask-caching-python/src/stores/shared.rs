//! `_engine.SharedByteStore`: the store of a machine, as Python sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flask_caching_engine::Value;
use flask_caching_engine::backend::lmdb::{LmdbStore, Options, Seen};
use flask_caching_engine::envelope::metadata::MAGIC;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::byte_store::ByteStore;
use super::shared_copies::SharedCopies;
use crate::error::to_py;
use crate::logging;
use crate::memory::{is_scalar, text_bytes};
use crate::road::{Key, Table};
use crate::values::missing::missing;
use crate::values::scalars;

/// The store that the processes of a machine share.
///
/// - `directory`: it is made where it is missing.
/// - `max_bytes`: the most bytes that entries take.
/// - `threshold`: the most entries that are kept; 0: no limit.
/// - `default_timeout`: what a timeout of None means.
///
/// Raises `CacheConfigError` where the directory cannot be used, `CacheBackendError` where the system
/// refuses.
#[pyclass(frozen, extends = ByteStore, module = "flask_caching._engine")]
pub(crate) struct SharedByteStore {
    store: Arc<LmdbStore>,
    serial: u64,
    copies: SharedCopies,
    /// The keys of requests and fragments that were answered before.
    pub(crate) keys: Table<Key>,
}

/// What was read.
enum Loaded<'py> {
    /// A string, bytes, a number or their like.
    Value(Bound<'py, PyAny>),
    Bytes(Value, Seen),
}

static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);

impl SharedByteStore {
    /// What tells this store from others, as long as the process lives; among the scopes of in-process
    /// stores and the numbers of settings, which are small.
    pub(crate) fn scope(&self) -> u64 {
        self.serial | 1 << 63
    }

    /// What is under `key`.
    fn read<'py>(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Loaded<'py>>> {
        let py = key.py();
        if let Some(value) = self.copies.find(&self.store, key) {
            return Ok(Some(Loaded::Value(value)));
        }
        let bytes = text_bytes(key)?;
        let found = py.detach(|| self.store.get_seen(&bytes));
        logging::flush(py)?;
        let Some((value, seen)) = found.map_err(|error| to_py(&error))? else {
            return Ok(None);
        };
        let Some(scalar) = scalars::read(py, &value.data) else {
            return Ok(Some(Loaded::Bytes(value, seen)));
        };
        self.copies.keep(key, &scalar, seen, value.data.len());
        Ok(Some(Loaded::Value(scalar)))
    }

    /// The value under `key`; `None`: there is none, or something unusual.
    pub(crate) fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(key) = key.cast::<PyString>() else {
            return Ok(None);
        };
        match self.read(key)? {
            Some(Loaded::Value(value)) => Ok((!value.is_none()).then_some(value)),
            Some(Loaded::Bytes(stored, seen)) => {
                let value = value_of(key.py(), &stored.data)?;
                if let Some(value) = &value
                    && is_scalar(value)?
                {
                    self.copies.keep(key, value, seen, stored.data.len());
                }
                Ok(value)
            }
            None => Ok(None),
        }
    }

    /// The bytes under the key that `prefix` and the version under `name` make, read at one time. `None`:
    /// there is no such entry, the version is no text, or the store could not be read.
    pub(crate) fn find_versioned(
        &self,
        py: Python<'_>,
        prefix: String,
        name: &str,
    ) -> Option<Vec<u8>> {
        let complete = |version: &[u8]| {
            let version = scalars::text(version)?;
            Some((prefix.clone() + version).into_bytes())
        };
        let found = py.detach(|| self.store.get_by_guard(name.as_bytes(), complete));
        // What went wrong goes wrong once more, where it is told.
        found.ok().flatten().map(|value| value.data)
    }
}

#[pymethods]
impl SharedByteStore {
    #[new]
    #[pyo3(signature = (directory, max_bytes, threshold, default_timeout=None))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        max_bytes: u64,
        threshold: u64,
        default_timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let options = Options {
            directory,
            max_bytes,
            threshold,
        };
        let opened = py.detach(|| LmdbStore::open(options));
        logging::flush(py)?;
        let store = Arc::new(opened.map_err(|error| to_py(&error))?);
        let base = ByteStore::new(Arc::clone(&store) as _, default_timeout)?;
        let serial = LAST_SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(PyClassInitializer::from(base).add_subclass(Self {
            store,
            serial,
            copies: SharedCopies::default(),
            keys: Table::default(),
        }))
    }

    /// The value under `key`, where it is a scalar as `RedisSerializer` writes it; other values as
    /// `(data, flags)`; `MISSING` where there is none.
    fn load<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let Ok(key) = key.cast::<PyString>() else {
            let kind = key.get_type().name()?;
            let message = format!("a cache key must be a str, not {kind}");
            return Err(PyTypeError::new_err(message));
        };
        match self.read(key)? {
            None => Ok(missing(py)?.into_bound(py)),
            Some(Loaded::Value(value)) => Ok(value),
            Some(Loaded::Bytes(value, _)) => {
                let pair = (PyBytes::new(py, &value.data), value.flags).into_pyobject(py)?;
                Ok(pair.into_any())
            }
        }
    }

    /// The keys of the entries that start with `prefix`, in their order; about `most` where there are more.
    fn keys<'py>(
        &self,
        py: Python<'py>,
        prefix: &[u8],
        most: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let keys = py.detach(|| self.store.keys(prefix, most));
        logging::flush(py)?;
        let keys = keys.map_err(|error| to_py(&error))?;
        Ok(keys.iter().map(|key| PyBytes::new(py, key)).collect())
    }

    /// How many entries it holds, those included that have expired and were not taken away yet; and the
    /// bytes that they take, with what belongs to them; and how many entries had to make room.
    fn held(&self, py: Python<'_>) -> PyResult<(u64, u64, u64)> {
        let held = py.detach(|| self.store.held());
        logging::flush(py)?;
        let held = held.map_err(|error| to_py(&error))?;
        Ok((held.entries, held.bytes, held.evictions))
    }
}

/// The value that the bytes of an entry hold; `None`: there is something unusual about it, or it is a None,
/// which may be no answer.
pub(crate) fn value_of<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    if data.ends_with(MAGIC) {
        // It has metadata.
        return Ok(None);
    }
    if let Some(scalar) = scalars::read(py, data) {
        return Ok((!scalar.is_none()).then_some(scalar));
    }
    let Some(pickle @ [0x80, ..]) = data.strip_prefix(b"!") else {
        return Ok(None);
    };
    let loads = py
        .import(intern!(py, "pickle"))?
        .getattr(intern!(py, "loads"))?;
    match loads.call1((PyBytes::new(py, pickle),)) {
        Ok(value) => Ok((!value.is_none()).then_some(value)),
        // The whole way says what is wrong with it.
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}
