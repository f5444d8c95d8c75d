//! `_engine.open_store`: the engine's backends that are made of nothing but settings, by name.
//!
//! A backend of the engine reaches Python by an arm in [`open_store`]: settings are whatever it takes, a
//! number or a struct that a dict is read into. Those that share connections, or that Python asks
//! for more than a store does, have a class of their own (`redis.rs`, `file.rs`).

pub(crate) mod byte_store;
pub(crate) mod contacted;
pub(crate) mod file;
pub(crate) mod memcached;
pub(crate) mod observed;
pub(crate) mod redis;
pub(crate) mod shared;
mod shared_copies;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use byte_store::ByteStore;

/// Opens a store. Nothing is connected to before it is used.
///
/// :param name: the backend's name in the engine.
/// :param settings: what it is made of.
/// :param default_timeout: seconds, for writes that name none; None: for ever.
/// :raises `CacheConfigError`: the settings describe nothing that can work.
/// :raises `ValueError`: there is no such backend.
#[pyfunction]
#[pyo3(signature = (name, settings, default_timeout=None))]
pub(crate) fn open_store<'py>(
    name: &str,
    settings: &Bound<'py, PyAny>,
    default_timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Bound<'py, ByteStore>> {
    match name {
        "memcached" => memcached::open(settings.py(), settings.extract()?, default_timeout),
        other => {
            let message = format!("the engine has no backend {other:?}");
            Err(PyValueError::new_err(message))
        }
    }
}
