//! The memcached backend, opened from what Python knows of it.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::memcached::{
    Address, Config, Credentials, Distribution, KeyHash, Memcached, PoolOptions, Protocol,
    SocketOptions, Spread, wire_key,
};
use flask_caching_engine::resilience::{GuardedDeletions, Settings};
use flask_caching_engine::{Backend, Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::byte_store::ByteStore;
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
pub(crate) fn open(
    settings: MemcachedSettings,
    default_timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<ByteStore> {
    let spread = settings.spread;
    let config = read(settings).map_err(|error| to_py(&error))?;
    let settings = config.settings;
    let memcached = Memcached::new(config).map_err(|error| to_py(&error))?;
    let backend: Arc<dyn Backend> = match spread {
        None => Arc::new(GuardedDeletions::new(memcached, settings)),
        Some((chunk_size, most)) => {
            let spread = Spread::new(memcached, chunk_size, most).map_err(|error| to_py(&error))?;
            Arc::new(GuardedDeletions::new(spread, settings))
        }
    };
    Ok(ByteStore::new(backend, default_timeout)?.on(error::Servers::Memcached))
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
