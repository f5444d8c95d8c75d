//! The memcached backend, opened from what Python knows of it.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::memcached::{
    Address, Config, Counted, Credentials, Direction, Distribution, KeyHash, Memcached,
    PoolOptions, Protocol, SocketOptions, Spread, Statistic, Store, Stored, wire_key,
};
use flask_caching_engine::resilience::{GuardedDeletions, Settings};
use flask_caching_engine::{Backend, Error, ErrorKind, Value};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::byte_store::ByteStore;
use crate::error::{self, to_py};

/// What a memcached store is made of; a dict with exactly these keys. Times are seconds.
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are what Python calls them"
)]
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct MemcachedSettings {
    /// Addresses, as `Address` reads them.
    servers: Vec<String>,
    binary: bool,
    username: Option<String>,
    password: Option<String>,
    /// `modula`, `ketama` or `ketama_weighted`.
    distribution: String,
    /// A hash by pylibmc's name.
    hash: String,
    pool_size: usize,
    pool_blocking: bool,
    tcp_nodelay: bool,
    tcp_keepalive: bool,
    connect_timeout: f64,
    operation_timeout: f64,
    breaker_failures: u32,
    breaker_reset: f64,
    /// Bytes of a value in one item, and the most items it may take; None: values are not spread.
    spread: Option<(usize, usize)>,
}

/// The store that `settings` describe. Connects on first use.
pub(crate) fn open<'py>(
    py: Python<'py>,
    settings: MemcachedSettings,
    default_timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Bound<'py, ByteStore>> {
    let spread = settings.spread;
    let config = read(settings).map_err(|error| to_py(&error))?;
    let settings = config.settings;
    let memcached = Memcached::new(config).map_err(|error| to_py(&error))?;
    let store = |backend: Arc<dyn Backend>| -> PyResult<ByteStore> {
        Ok(ByteStore::new(backend, default_timeout)?.on(error::ServerKind::Memcached))
    };
    if let Some((chunk_size, most)) = spread {
        let spread = Spread::new(memcached, chunk_size, most).map_err(|error| to_py(&error))?;
        let backend = Arc::new(GuardedDeletions::new(spread, settings));
        return Bound::new(py, store(backend)?);
    }
    let servers = Arc::new(GuardedDeletions::new(memcached, settings));
    let base = PyClassInitializer::from(store(Arc::clone(&servers) as _)?);
    let opened = Bound::new(py, base.add_subclass(MemcachedByteStore { servers }))?;
    Ok(opened.into_super())
}

/// A store on memcached servers that can also do what their clients are asked for.
#[pyclass(frozen, extends = ByteStore, module = "flask_caching._engine")]
pub(crate) struct MemcachedByteStore {
    servers: Arc<GuardedDeletions<Memcached>>,
}

/// What statistics are told of a server: its address, and names with values.
type ServerStatistics<'py> = (String, Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>);

#[pymethods]
impl MemcachedByteStore {
    /// Store a value where there is one. False: there is none, or it is refused (the reason is logged).
    #[pyo3(signature = (key, data, flags=0, timeout=None))]
    fn replace(
        slf: &Bound<'_, Self>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let stored = Self::store(slf, Store::Replace, key, (data, flags), timeout)?;
        Ok(stored == Stored::Yes)
    }

    /// Add `data` behind the bytes of what is there. False: there is nothing, or it becomes too large.
    fn append(slf: &Bound<'_, Self>, key: &[u8], data: &[u8]) -> PyResult<bool> {
        Ok(Self::store(slf, Store::Append, key, (data, 0), None)? == Stored::Yes)
    }

    /// Add `data` in front of them.
    fn prepend(slf: &Bound<'_, Self>, key: &[u8], data: &[u8]) -> PyResult<bool> {
        Ok(Self::store(slf, Store::Prepend, key, (data, 0), None)? == Stored::Yes)
    }

    /// The value under `key` and the token that tells whether it has changed since, as `(data, flags,
    /// token)`; None where there is none.
    fn gets<'py>(
        slf: &Bound<'py, Self>,
        key: &[u8],
    ) -> PyResult<Option<(Bound<'py, PyBytes>, u32, u64)>> {
        let servers = &*slf.get().servers;
        let item = slf.as_super().get().run(slf.py(), "get", |_| {
            servers.with("get", &[key], |memcached| memcached.item(key))
        })?;
        Ok(item.map(|item| {
            let data = PyBytes::new(slf.py(), &item.value.data);
            (data, item.value.flags, item.cas)
        }))
    }

    /// Store a value where the one that is there still has this token. False: it has another one; None:
    /// there is none.
    #[pyo3(signature = (key, data, flags, token, timeout=None))]
    fn cas(
        slf: &Bound<'_, Self>,
        key: &[u8],
        data: &[u8],
        flags: u32,
        token: u64,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<bool>> {
        let stored = Self::store(slf, Store::Cas(token), key, (data, flags), timeout)?;
        Ok(match stored {
            Stored::Missing => None,
            stored => Some(stored == Stored::Yes),
        })
    }

    /// Let the entry under `key` live for `timeout` from now, be that longer or shorter; False where
    /// there is none.
    fn touch(
        slf: &Bound<'_, Self>,
        key: &[u8],
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let base = slf.as_super().get();
        let lifetime = base.lifetime(timeout)?;
        let servers = &*slf.get().servers;
        base.run(slf.py(), "other", |_| {
            servers.with("touch", &[key], |memcached| memcached.touch(key, lifetime))
        })
    }

    /// Let the server count the number under `key` up, or down to 0 at the least; None where there is
    /// none.
    ///
    /// :raises `TypeError`: it is no number that a server can count.
    fn count(
        slf: &Bound<'_, Self>,
        key: &[u8],
        delta: u64,
        is_down: bool,
    ) -> PyResult<Option<u64>> {
        let direction = if is_down {
            Direction::Down
        } else {
            Direction::Up
        };
        let servers = &*slf.get().servers;
        slf.as_super().get().run(slf.py(), "other", |_| {
            let counted = servers.with("incr", &[key], |memcached| {
                memcached.count(key, direction, delta)
            })?;
            match counted {
                Counted::To(count) => Ok(Some(count)),
                Counted::Missing => Ok(None),
                Counted::NotANumber => {
                    let message = "what is stored is not a number from 0 to 2^64 - 1";
                    Err(Error::new(ErrorKind::Value, "incr", "memcached", message))
                }
            }
        })
    }

    /// What each server says of itself `about` something, as "items"; in general where it is empty.
    fn statistics<'py>(
        slf: &Bound<'py, Self>,
        about: &str,
    ) -> PyResult<Vec<ServerStatistics<'py>>> {
        let servers = &*slf.get().servers;
        let told = slf.as_super().get().run(slf.py(), "other", |_| {
            servers.with("stats", &[], |memcached| memcached.statistics(about))
        })?;
        let bytes = |text: &[u8]| PyBytes::new(slf.py(), text);
        let of_server = |(address, statistics): (String, Vec<Statistic>)| {
            let pairs = statistics.iter();
            let pairs = pairs.map(|(name, value)| (bytes(name), bytes(value)));
            (address, pairs.collect())
        };
        Ok(told.into_iter().map(of_server).collect())
    }

    /// The keys on the servers that start with `prefix`, in their order; about `most` where there are more.
    /// None: the servers list none.
    fn keys<'py>(
        slf: &Bound<'py, Self>,
        prefix: &[u8],
        most: usize,
    ) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        let servers = &*slf.get().servers;
        let keys = slf.as_super().get().run(slf.py(), "other", |_| {
            servers.with("keys", &[], |memcached| memcached.keys(prefix, most))
        })?;
        let listed =
            |keys: Vec<Vec<u8>>| keys.iter().map(|key| PyBytes::new(slf.py(), key)).collect();
        Ok(keys.map(listed))
    }

    /// Have the servers remove all entries, whoever stored them, `delay` seconds from now.
    fn flush_after(slf: &Bound<'_, Self>, delay: u32) -> PyResult<()> {
        let servers = &*slf.get().servers;
        slf.as_super().get().run(slf.py(), "clear", |_| {
            servers.with("clear", &[], |memcached| memcached.flush_after(delay))
        })
    }

    /// The place, among the servers, of the one that holds `key`.
    fn place_of(&self, key: &[u8]) -> usize {
        self.servers.inner().place_of(key)
    }
}

impl MemcachedByteStore {
    /// Stores data with flags where the condition of `store` holds.
    fn store(
        slf: &Bound<'_, Self>,
        store: Store,
        key: &[u8],
        (data, flags): (&[u8], u32),
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Stored> {
        let base = slf.as_super().get();
        let lifetime = base.lifetime(timeout)?;
        let data = data.to_vec();
        let value = Value { data, flags };
        let servers = &*slf.get().servers;
        base.run(slf.py(), "set", |_| {
            servers.with("set", &[key], |memcached| {
                memcached.store(store, key, &value, lifetime)
            })
        })
    }
}

/// A key as it goes over the wire: itself where the protocol can carry it, else encoded.
#[pyfunction]
pub(crate) fn memcached_wire_key<'py>(py: Python<'py>, key: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &wire_key(key))
}

fn read(settings: MemcachedSettings) -> Result<Config, Error> {
    let unknown = |what: &str, value: &str, known: &str| {
        Error::new(
            ErrorKind::Config,
            "setting up memcached",
            what,
            format!("{value:?} is unknown; known are {known}"),
        )
    };
    let servers = settings.servers.iter().map(|server| Address::parse(server));
    let credentials = settings.username.map(|username| Credentials {
        username,
        password: settings.password.unwrap_or_default(),
    });
    let distribution = match settings.distribution.as_str() {
        "modula" => Distribution::Modula,
        "ketama" => Distribution::Ketama,
        "ketama_weighted" => Distribution::KetamaWeighted,
        other => {
            return Err(unknown(
                "distribution",
                other,
                "modula, ketama, ketama_weighted",
            ));
        }
    };
    let hash = KeyHash::from_name(&settings.hash)
        .ok_or_else(|| unknown("hash", &settings.hash, &KeyHash::NAMES.join(", ")))?;
    Ok(Config {
        servers: servers.collect::<Result<_, _>>()?,
        protocol: if settings.binary {
            Protocol::Binary
        } else {
            Protocol::Text
        },
        credentials,
        distribution,
        hash,
        pool: PoolOptions {
            size: settings.pool_size,
            blocking: settings.pool_blocking,
        },
        socket: SocketOptions {
            nodelay: settings.tcp_nodelay,
            keepalive: settings.tcp_keepalive,
        },
        settings: Settings {
            connect_timeout: seconds("connect_timeout", settings.connect_timeout)?,
            operation_timeout: seconds("operation_timeout", settings.operation_timeout)?,
            breaker_failures: settings.breaker_failures,
            breaker_reset: seconds("breaker_reset", settings.breaker_reset)?,
            ..Settings::default()
        },
    })
}

fn seconds(name: &str, seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "setting up memcached",
                name,
                format!("{seconds} is not a positive number of seconds"),
            )
        })
}
