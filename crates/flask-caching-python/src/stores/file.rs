//! `_engine.FileByteStore`: the file store, as Python sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::file::{
    Contents, FileOptions, FileStore, HashMethod, OpenEntry, Unreadable,
};
use flask_caching_engine::{Error, ErrorKind};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::byte_store::ByteStore;
use crate::error::to_py;
use crate::logging;
use crate::values::pickled::{self, Buffer, Kind, Single};

/// A directory of files as a store of bytes.
///
/// - `directory`: it is made where it is missing.
/// - `threshold`: the most entries that are kept; 0: no limit.
/// - `max_bytes`: the most bytes that their files take together; 0: no limit.
/// - `mode`: permission bits of the files.
/// - `hash_method`: the name of one of hashlib's functions that are built in, or a function that
///   makes a file's name of a key.
/// - `contents`: what the values are: "pickle", "json" or "opaque".
/// - `default_timeout`: what a timeout of None means.
///
/// Raises `CacheConfigError` where the directory or the hash cannot be used.
#[pyclass(frozen, extends = ByteStore, module = "flask_caching._engine")]
pub(crate) struct FileByteStore(Arc<FileStore>);

#[pymethods]
impl FileByteStore {
    #[new]
    #[pyo3(signature = (directory, threshold, mode, hash_method, contents, default_timeout, max_bytes=0))]
    #[expect(clippy::too_many_arguments, reason = "a constructor")]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        threshold: u64,
        mode: u32,
        hash_method: &Bound<'_, PyAny>,
        contents: &str,
        default_timeout: Option<&Bound<'_, PyAny>>,
        max_bytes: u64,
    ) -> PyResult<PyClassInitializer<Self>> {
        let options = FileOptions {
            threshold,
            max_bytes,
            mode,
            hash_method: to_hash_method(hash_method)?,
            contents: to_contents(contents)?,
            ..FileOptions::new(directory)
        };
        let opened = py.detach(|| FileStore::open(options));
        logging::flush(py)?;
        let store = Arc::new(opened.map_err(|error| to_py(&error))?);
        let base = ByteStore::new(Arc::clone(&store) as _, default_timeout)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self(store)))
    }

    /// The value under `key` as `(data, flags)`, or None.
    fn get<'py>(slf: &Bound<'py, Self>, key: &[u8]) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = slf.py();
        match Self::open(slf, key)? {
            Some(entry) => slf.get().read(py, key, entry),
            None => Ok(None),
        }
    }

    /// As `get`, but where the data is the pickle of one long `bytes` or `str`: that object.
    fn load<'py>(slf: &Bound<'py, Self>, key: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let Some(entry) = Self::open(slf, key)? else {
            return Ok(None);
        };
        match Single::of(entry.beginning(), entry.len()) {
            None => Ok(slf.get().read(py, key, entry)?.map(Bound::into_any)),
            Some(single) => match single.kind {
                Kind::Bytes => slf.get().load_bytes(py, key, entry, single),
                Kind::Text => slf.get().load_text(py, key, entry, single),
            },
        }
    }

    /// Store a value, without a copy of its data; `flags` are not kept.
    #[pyo3(signature = (key, data, flags=0, timeout=None))]
    #[expect(unused_variables, reason = "the arguments are those of the base class")]
    fn set(
        slf: &Bound<'_, Self>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let base = slf.as_super().get();
        let (lifetime, latencies) = (base.lifetime(timeout)?, &base.latencies);
        let store = &slf.get().0;
        let stored = py.detach(|| latencies.of("set", || store.set_pieces(key, &[data], lifetime)));
        logging::flush(py)?;
        stored.map_err(|error| to_py(&error))
    }

    /// As `set`, of the pickle of `value`, which is not copied into one; None, and nothing is done, where
    /// that is not long `bytes` or a long `str`.
    fn dump(
        slf: &Bound<'_, Self>,
        key: &[u8],
        value: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<bool>> {
        let py = slf.py();
        let (kind, contents) = if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            (Kind::Bytes, bytes.as_bytes())
        } else if let Ok(text) = value.cast_exact::<PyString>()
            && let Ok(text) = text.to_str()
        {
            (Kind::Text, text.as_bytes())
        } else {
            return Ok(None);
        };
        let Some(head) = pickled::head(kind, contents.len()) else {
            return Ok(None);
        };
        let base = slf.as_super().get();
        let (lifetime, latencies) = (base.lifetime(timeout)?, &base.latencies);
        let store = &slf.get().0;
        let pieces: [&[u8]; 3] = [&head, contents, &pickled::TAIL];
        let stored = py.detach(|| latencies.of("set", || store.set_pieces(key, &pieces, lifetime)));
        logging::flush(py)?;
        stored.map(Some).map_err(|error| to_py(&error))
    }

    /// The path of the file of `key`, which may not exist.
    fn path_of(&self, key: &[u8]) -> PyResult<PathBuf> {
        self.0.path_of(key).map_err(|error| to_py(&error))
    }

    /// The paths of the files of all entries, expired ones included, in no order.
    fn paths(&self, py: Python<'_>) -> PyResult<Vec<PathBuf>> {
        py.detach(|| self.0.paths()).map_err(|error| to_py(&error))
    }

    /// The number of entries, as it is kept for the threshold.
    fn count(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.len())
    }

    /// What the files of all entries take, in bytes, as it is kept for the limit; otherwise 0.
    fn bytes(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.bytes())
    }

    /// How many entries there are, expired ones included, and the bytes that their files take, by looking
    /// at each of them; None where there are very many.
    fn held(&self, py: Python<'_>) -> PyResult<(u64, Option<u64>)> {
        py.detach(|| self.0.held()).map_err(|error| to_py(&error))
    }

    /// How many entries this process has taken away to make room.
    fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Remove entries until no more than `threshold` are left.
    fn prune(&self, py: Python<'_>, threshold: u64) -> PyResult<()> {
        let pruned = py.detach(|| self.0.prune(threshold));
        logging::flush(py)?;
        pruned.map_err(|error| to_py(&error))
    }

    /// Remove every entry that has expired at `now`, seconds since 1970; how many there were.
    fn remove_expired(&self, py: Python<'_>, now: f64) -> PyResult<u64> {
        let now = Duration::try_from_secs_f64(now)
            .map_err(|error| PyValueError::new_err(format!("not a time: {now}: {error}")))?;
        let removed = py.detach(|| self.0.remove_expired(now));
        logging::flush(py)?;
        removed.map_err(|error| to_py(&error))
    }
}

impl FileByteStore {
    fn open(slf: &Bound<'_, Self>, key: &[u8]) -> PyResult<Option<OpenEntry>> {
        let (py, store) = (slf.py(), &slf.get().0);
        let latencies = &slf.as_super().get().latencies;
        let opened = py.detach(|| latencies.of("get", || store.open_entry(key)));
        logging::flush(py)?;
        opened.map_err(|error| to_py(&error))
    }

    fn read<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        entry: OpenEntry,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let length = entry.len();
        // Of a short one all was read when it was opened: nothing is waited for.
        let is_short = entry.beginning().len() == length;
        let mut outcome = Ok(());
        let data = PyBytes::new_with(py, length, |data| {
            let read = || entry.read_into(&mut [data]);
            outcome = if is_short { read() } else { py.detach(read) };
            Ok(())
        })?;
        if self.is_read(py, key, outcome)? {
            pair(data).map(Some)
        } else {
            Ok(None)
        }
    }

    fn load_bytes<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        entry: OpenEntry,
        mut single: Single,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut outcome = Ok(());
        let data = PyBytes::new_with(py, single.length, |data| {
            let parts: &mut [&mut [u8]] = &mut [&mut single.head, data, &mut single.tail];
            outcome = py.detach(|| entry.read_into(parts));
            Ok(())
        })?;
        if !self.is_read(py, key, outcome)? {
            return Ok(None);
        }
        if single.is_whole() {
            return Ok(Some(data.into_any()));
        }
        let pickle = single.pickle(data.as_bytes());
        pair(PyBytes::new(py, &pickle)).map(|pair| Some(pair.into_any()))
    }

    fn load_text<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        entry: OpenEntry,
        mut single: Single,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(mut buffer) = Buffer::take(single.length) else {
            return Err(PyMemoryError::new_err(()));
        };
        let parts: &mut [&mut [u8]] = &mut [&mut single.head, buffer.bytes(), &mut single.tail];
        let outcome = py.detach(|| entry.read_into(parts));
        if !self.is_read(py, key, outcome)? {
            return Ok(None);
        }
        if single.is_whole()
            && let Ok(text) = PyString::from_bytes(py, buffer.bytes())
        {
            return Ok(Some(text.into_any()));
        }
        // Among others, text with lone surrogates, which only pickle reads.
        let pickle = single.pickle(buffer.bytes());
        pair(PyBytes::new(py, &pickle)).map(|pair| Some(pair.into_any()))
    }

    /// Whether the entry of `key` could be read; a damaged one is removed.
    fn is_read(
        &self,
        py: Python<'_>,
        key: &[u8],
        outcome: Result<(), Unreadable>,
    ) -> PyResult<bool> {
        let Err(unreadable) = outcome else {
            return Ok(true);
        };
        let discarded = py.detach(|| self.0.discard(key, &unreadable));
        logging::flush(py)?;
        discarded.map_err(|error| to_py(&error))?;
        Ok(false)
    }
}

/// Data and flags; a file keeps none.
fn pair(data: Bound<'_, PyBytes>) -> PyResult<Bound<'_, PyTuple>> {
    (&data, 0).into_pyobject(data.py())
}

fn to_hash_method(hash_method: &Bound<'_, PyAny>) -> PyResult<HashMethod> {
    if let Ok(name) = hash_method.extract::<String>() {
        return HashMethod::from_name(&name)
            .ok_or_else(|| PyValueError::new_err(format!("no hash is built in as {name:?}")));
    }
    let function = hash_method.clone().unbind();
    Ok(HashMethod::Custom(Box::new(move |key| {
        Python::attach(|py| {
            function
                .call1(py, (key,))
                .and_then(|name| name.extract::<String>(py))
                .map_err(|error| hash_failed(&error.to_string()))
        })
    })))
}

fn hash_failed(reason: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        "hashing a key",
        "CACHE_FILE_HASH_METHOD",
        reason,
    )
}

fn to_contents(contents: &str) -> PyResult<Contents> {
    match contents {
        "pickle" => Ok(Contents::Pickle),
        "json" => Ok(Contents::Json),
        "opaque" => Ok(Contents::Opaque),
        other => Err(PyValueError::new_err(format!("unknown contents {other:?}"))),
    }
}
