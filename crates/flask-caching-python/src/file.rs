//! `_engine.FileByteStore`: the file store, as Python sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::file::{Contents, FileOptions, FileStore, HashMethod};
use flask_caching_engine::{Error, ErrorKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::byte_store::ByteStore;
use crate::error::to_py;
use crate::logging;

/// A directory of files as a store of bytes.
///
/// - `directory`: it is made where it is missing.
/// - `threshold`: the most entries that are kept; 0: no limit.
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
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        threshold: u64,
        mode: u32,
        hash_method: &Bound<'_, PyAny>,
        contents: &str,
        default_timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let options = FileOptions {
            threshold,
            mode,
            hash_method: to_hash_method(hash_method)?,
            contents: to_contents(contents)?,
            ..FileOptions::new(directory)
        };
        let opened = py.detach(|| FileStore::open(options));
        logging::hand_on(py)?;
        let store = Arc::new(opened.map_err(|error| to_py(&error))?);
        let base = ByteStore::new(Arc::clone(&store) as _, default_timeout)?;
        Ok(PyClassInitializer::from(base).add_subclass(Self(store)))
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

    /// Remove every entry that has expired at `now`, seconds since 1970; how many there were.
    fn remove_expired(&self, py: Python<'_>, now: f64) -> PyResult<u64> {
        let now = Duration::try_from_secs_f64(now)
            .map_err(|error| PyValueError::new_err(format!("not a time: {now}: {error}")))?;
        let removed = py.detach(|| self.0.remove_expired(now));
        logging::hand_on(py)?;
        removed.map_err(|error| to_py(&error))
    }
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
