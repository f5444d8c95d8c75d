//! `_engine.open_store`: the engine's backends that are made of nothing but settings, by name.
//!
//! A backend of the engine reaches Python by an arm in [`open`]: settings are whatever it takes, a
//! number or a struct that a dict is read into. Those that share connections, or that Python asks
//! for more than a store does, have a class of their own (`redis.rs`, `file.rs`).

use std::sync::Arc;

use flask_caching_engine::Backend;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::byte_store::ByteStore;
use crate::error::Servers;
use crate::memcached;

/// Opens a store. Nothing is connected to before it is used.
///
/// :param name: the backend's name in the engine.
/// :param settings: what it is made of.
/// :param default_timeout: seconds, for writes that name none; None: for ever.
/// :raises `CacheConfigError`: the settings describe nothing that can work.
/// :raises `ValueError`: there is no such backend.
#[pyfunction]
#[pyo3(signature = (name, settings, default_timeout=None))]
pub(crate) fn open_store(
    name: &str,
    settings: &Bound<'_, PyAny>,
    default_timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<ByteStore> {
    let (backend, servers) = open(name, settings)?;
    Ok(ByteStore::new(backend, default_timeout)?.on(servers))
}

/// The backend called `name`, and whose servers its errors tell of.
fn open(name: &str, settings: &Bound<'_, PyAny>) -> PyResult<(Arc<dyn Backend>, Servers)> {
    match name {
        "memcached" => Ok((memcached::open(settings.extract()?)?, Servers::Memcached)),
        other => {
            let message = format!("the engine has no backend {other:?}");
            Err(PyValueError::new_err(message))
        }
    }
}
