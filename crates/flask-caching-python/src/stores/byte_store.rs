//! `_engine.ByteStore`: a backend that stores bytes, as Python sees it.

use std::sync::Arc;

use flask_caching_engine::resilience::{GuardedKey, ReadGuard};
use flask_caching_engine::telemetry::latency::Latencies;
use flask_caching_engine::{Backend, Error, ErrorKind, Lifetime, Presence, Result, Value};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::observed::{self, HealthRow, LatencyRow};
use crate::error::ServerKind;
use crate::{logging, timeout};

/// A stored value: its bytes and its flags.
type Stored<'py> = (Bound<'py, PyBytes>, u32);

/// A stored value that may be copied: its bytes, its flags, and the seconds that it has left.
type Copied<'py> = (Bound<'py, PyBytes>, u32, f64);

/// A backend of the engine. Every method lets go of the GIL while the engine works.
///
/// Keys and values are bytes; `flags` are kept only by memcached. A `timeout` is None for the
/// store's default, a number of seconds or a `timedelta`; 0 is for ever, a negative one expired.
#[pyclass(frozen, subclass, module = "flask_caching._engine")]
pub(crate) struct ByteStore {
    backend: Arc<dyn Backend>,
    default: Lifetime,
    servers: ServerKind,
    pub(crate) latencies: Latencies,
}

impl ByteStore {
    /// A store over `backend`, where a timeout of None means `default_timeout`.
    ///
    /// A default of None has nothing to fall back on and means for ever.
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        default_timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let default = timeout::from_python(default_timeout)?.resolve(Lifetime::Forever);
        Ok(Self {
            backend,
            default,
            servers: ServerKind::Other,
            latencies: Latencies::default(),
        })
    }

    /// This store, whose errors are those of `servers`.
    pub(crate) fn on(self, servers: ServerKind) -> Self {
        Self { servers, ..self }
    }

    /// Runs `operation`, which statistics know as `name`, on the backend without the GIL; then what
    /// the engine logged is handed on.
    pub(crate) fn run<T: Send>(
        &self,
        py: Python<'_>,
        name: &'static str,
        operation: impl FnOnce(&dyn Backend) -> Result<T> + Send,
    ) -> PyResult<T> {
        let (backend, latencies) = (&*self.backend, &self.latencies);
        let result = py.detach(|| latencies.of(name, || operation(backend)));
        logging::flush(py)?;
        result.map_err(|error| self.servers.to_py(py, &error))
    }

    pub(crate) fn lifetime(&self, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Lifetime> {
        Ok(timeout::from_python(timeout)?.resolve(self.default))
    }
}

#[pymethods]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a list of Python's has nothing to borrow"
)]
impl ByteStore {
    /// The value under `key` as `(data, flags)`, or None.
    fn get<'py>(&self, py: Python<'py>, key: &[u8]) -> PyResult<Option<Stored<'py>>> {
        let value = self.run(py, "get", |backend| backend.get(key))?;
        Ok(value.map(|value| to_stored(py, &value)))
    }

    /// The values of `keys` in their order, None for each miss.
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Option<Stored<'py>>>> {
        let values = self.run(py, "get_many", |backend| backend.get_many(&slices(&keys)))?;
        Ok(values
            .iter()
            .map(|value| value.as_ref().map(|value| to_stored(py, value)))
            .collect())
    }

    /// As `get_many`, with the seconds that each entry has left of which a copy may be kept: `inf` for ever, a
    /// negative number where none may be.
    fn copies<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Option<Copied<'py>>>> {
        let name = if keys.len() == 1 { "get" } else { "get_many" };
        let copies = self.run(py, name, |backend| backend.copies(&slices(&keys)))?;
        Ok(copies
            .iter()
            .map(|copied| {
                copied.as_ref().map(|copied| {
                    let (data, flags) = to_stored(py, &copied.value);
                    (data, flags, timeout::in_seconds(copied.left))
                })
            })
            .collect())
    }

    /// Store a value; False where the backend refuses it (the reason is logged).
    #[pyo3(signature = (key, data, flags=0, timeout=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.lifetime(timeout)?;
        let value = to_value(data, flags);
        self.run(py, "set", |backend| backend.set(key, &value, lifetime))
    }

    /// Store a value and let the entries under `extended` live as long, in one round trip where there
    /// is a server. Whether it was stored, and for each of `extended` whether it has a live entry.
    #[pyo3(signature = (key, data, flags, timeout, extended))]
    fn set_extending(
        &self,
        py: Python<'_>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
        extended: Vec<PyBackedBytes>,
    ) -> PyResult<(bool, Vec<bool>)> {
        let lifetime = self.lifetime(timeout)?;
        let value = to_value(data, flags);
        self.run(py, "set", |backend| {
            backend.set_extending(key, &value, lifetime, &slices(&extended))
        })
    }

    /// Store a value where the key has no live entry, in one atomic step; False where it has one.
    #[pyo3(signature = (key, data, flags=0, timeout=None))]
    fn add(
        &self,
        py: Python<'_>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.lifetime(timeout)?;
        let value = to_value(data, flags);
        self.run(py, "add", |backend| backend.add(key, &value, lifetime))
    }

    /// Store all `(key, data, flags)`; for each, whether it was stored.
    #[pyo3(signature = (entries, timeout=None))]
    fn set_many(
        &self,
        py: Python<'_>,
        entries: Vec<(Vec<u8>, Vec<u8>, u32)>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<bool>> {
        let lifetime = self.lifetime(timeout)?;
        let entries: Vec<(Vec<u8>, Value)> = entries
            .into_iter()
            .map(|(key, data, flags)| (key, Value { data, flags }))
            .collect();
        self.run(py, "set_many", |backend| {
            let entries: Vec<_> = entries.iter().map(|(k, v)| (k.as_slice(), v)).collect();
            backend.set_many(&entries, lifetime)
        })
    }

    /// Remove `key`; whether it had a live entry.
    fn delete(&self, py: Python<'_>, key: &[u8]) -> PyResult<bool> {
        self.run(py, "delete", |backend| backend.delete(key))
    }

    /// Remove all `keys`; for each, whether it had a live entry.
    fn delete_many(&self, py: Python<'_>, keys: Vec<PyBackedBytes>) -> PyResult<Vec<bool>> {
        self.run(py, "delete_many", |backend| {
            backend.delete_many(&slices(&keys))
        })
    }

    /// Remove all `keys`, whatever becomes of one of them; for each, None, or the error that says why
    /// it may not be gone.
    fn delete_each<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBaseException>>>> {
        let outcomes = self.run(py, "delete_many", |backend| {
            Ok(backend.delete_each(&slices(&keys)))
        })?;
        let failures = outcomes.into_iter().map(Result::err);
        Ok(failures
            .map(|error| {
                error.map(|error| self.servers.to_py(py, &error).into_value(py).into_bound(py))
            })
            .collect())
    }

    /// Remember that all `keys` are to be removed before any of them is read or written again, without
    /// trying it now: the server has just failed. A store without a server removes them at once.
    ///
    /// :raises `CacheBackendError`: there is no room to remember them.
    fn owe(&self, py: Python<'_>, keys: Vec<PyBackedBytes>) -> PyResult<()> {
        self.run(py, "other", |backend| backend.owe(&slices(&keys)))
    }

    /// :meth:`owe`, of the entry whose key is `prefix` and what the entries under `guards` hold when
    /// it is removed, in their order. No other keys may begin like `prefix`.
    ///
    /// :param read: given a guard's key, data and flags, returns the bytes that it adds to the key,
    ///     or None where it holds nothing of that kind: then there is no such entry.
    /// :raises `CacheBackendError`: there is no room to remember it.
    fn owe_guarded(
        &self,
        py: Python<'_>,
        prefix: Vec<u8>,
        guards: Vec<Vec<u8>>,
        read: Py<PyAny>,
    ) -> PyResult<()> {
        let key = GuardedKey { prefix, guards };
        let read: ReadGuard = Arc::new(move |key, stored| read_guard(&read, key, stored));
        self.run(py, "other", |backend| backend.owe_guarded(key, read))
    }

    /// Whether a removal that was asked for has not reached its server yet.
    fn owes(&self) -> bool {
        self.backend.owes()
    }

    /// What this process knows of each server: its name, whether it is left alone, for how many
    /// seconds it has been failing or None, how many calls that cost, and its last error with the
    /// seconds since then or None. No server is asked.
    fn server_health(&self) -> Vec<HealthRow> {
        let servers = self.backend.server_health().into_iter();
        servers.map(observed::health_row).collect()
    }

    /// How long operations took in this process: of each kind its name, how many there were, how many
    /// failed, the seconds of all of them, and pairs of seconds and of how many took at most so long
    /// and longer than the pair before.
    #[pyo3(name = "latencies")]
    fn latencies_in_seconds(&self) -> Vec<LatencyRow> {
        let operations = self.latencies.list().into_iter();
        operations.map(observed::latency_row).collect()
    }

    /// How many seconds the entry under `key` has left, `inf` for ever; None: it has none, or that
    /// cannot be told here.
    fn remaining(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<f64>> {
        let left = self.run(py, "has", |backend| backend.remaining(key))?;
        Ok(left.map(timeout::in_seconds))
    }

    /// Whether `key` has a live entry.
    fn has(&self, py: Python<'_>, key: &[u8]) -> PyResult<bool> {
        self.run(py, "has", |backend| backend.has(key))
    }

    /// Whether only reading the entry under `key` tells if it is current; None: it has none.
    fn is_sealed(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<bool>> {
        let presence = self.run(py, "has", |backend| backend.presence(key))?;
        Ok(sealed(presence))
    }

    /// :meth:`add`, and what :meth:`is_sealed` says of the entry that keeps the value out.
    #[pyo3(signature = (key, data, flags=0, timeout=None))]
    fn add_or_tell(
        &self,
        py: Python<'_>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(bool, Option<bool>)> {
        let lifetime = self.lifetime(timeout)?;
        let value = to_value(data, flags);
        let (added, presence) = self.run(py, "add", |backend| {
            backend.add_or_tell(key, &value, lifetime)
        })?;
        Ok((added, sealed(presence)))
    }

    /// Add `delta` to the integer under `key`, in one atomic step, and return the sum.
    ///
    /// :raises `TypeError`: what is stored there is not an integer.
    #[pyo3(signature = (key, delta, timeout=None))]
    fn incr(
        &self,
        py: Python<'_>,
        key: &[u8],
        delta: i64,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let lifetime = self.lifetime(timeout)?;
        self.run(py, "other", |backend| backend.incr(key, delta, lifetime))
    }

    /// Let the entry under `key` live for `timeout` from now where it would end sooner, without
    /// touching its value; False where there is no live entry.
    #[pyo3(signature = (key, timeout=None))]
    fn extend(
        &self,
        py: Python<'_>,
        key: &[u8],
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.lifetime(timeout)?;
        self.run(py, "other", |backend| backend.extend(key, lifetime))
    }

    /// Where `key` still holds `expected`, a pair `(data, flags)`, put the pair `new` in its place,
    /// or remove the entry where `new` is None; one atomic step. False where it holds something else.
    #[pyo3(signature = (key, expected, new, timeout=None))]
    fn compare_exchange(
        &self,
        py: Python<'_>,
        key: &[u8],
        expected: (Vec<u8>, u32),
        new: Option<(Vec<u8>, u32)>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.lifetime(timeout)?;
        let (expected, new) = (from_pair(expected), new.map(from_pair));
        self.run(py, "other", |backend| {
            backend.compare_exchange(key, &expected, new.as_ref(), lifetime)
        })
    }

    /// `set` of `(data, flags)` where `key` still holds `expected`, another such pair; one atomic step.
    /// False where it holds something else, or the backend refuses the value.
    #[pyo3(signature = (key, expected, new, timeout=None))]
    fn set_if(
        &self,
        py: Python<'_>,
        key: &[u8],
        expected: (Vec<u8>, u32),
        new: (Vec<u8>, u32),
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let lifetime = self.lifetime(timeout)?;
        let (expected, new) = (from_pair(expected), from_pair(new));
        self.run(py, "set", |backend| {
            backend.set_if(key, &expected, &new, lifetime)
        })
    }

    /// Remove every entry of this cache.
    fn clear(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, "clear", |backend| backend.clear())
    }
}

fn sealed(presence: Presence) -> Option<bool> {
    match presence {
        Presence::Missing => None,
        Presence::Plain => Some(false),
        Presence::Sealed => Some(true),
    }
}

/// What `read`, a function of Python's, finds in a guard.
fn read_guard(read: &Py<PyAny>, key: &[u8], stored: &Value) -> Result<Option<Vec<u8>>> {
    Python::attach(|py| {
        let (data, flags) = to_stored(py, stored);
        let key = PyBytes::new(py, key);
        read.call1(py, (key, data, flags))
            .and_then(|text| text.extract(py))
    })
    .map_err(|error| {
        // The deletion stays owed. Its cause is in the text: the engine knows no Python.
        let message = format!("a version cannot be read: {error}");
        Error::new(ErrorKind::Refused, "delete", "the cache", message)
    })
}

fn to_stored<'py>(py: Python<'py>, value: &Value) -> Stored<'py> {
    (PyBytes::new(py, &value.data), value.flags)
}

fn to_value(data: &[u8], flags: u32) -> Value {
    Value {
        data: data.to_vec(),
        flags,
    }
}

fn from_pair((data, flags): (Vec<u8>, u32)) -> Value {
    Value { data, flags }
}

fn slices(keys: &[PyBackedBytes]) -> Vec<&[u8]> {
    keys.iter().map(|key| &**key).collect()
}
