//! `_engine.RedisServers`: Redis servers, opened from what Python knows of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::Backend;
use flask_caching_engine::backend::redis::{
    ConnectionConfig, CredentialProvider, Endpoint, Keepalive, Login, SentinelConfig, Servers, Tls,
    TlsOptions, Verification,
};
use flask_caching_engine::layer::near::Near;
use flask_caching_engine::resilience::Settings;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::byte_store::ByteStore;
use crate::error::{self, to_py};
use crate::logging;
use crate::memory::NearCopies;

/// Redis servers: one, a master with replicas, or a cluster. Nothing is connected to before it is
/// needed.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct RedisServers(Servers);

/// An address: a pair of host and port, or the path of a unix socket.
#[derive(FromPyObject)]
enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// How to connect; a dict with exactly these keys. Times are seconds.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct ConnectionSettings {
    username: Option<String>,
    password: Option<String>,
    credential_provider: Option<Py<PyAny>>,
    db: u32,
    tls: Option<TlsSettings>,
    keepalive: Option<KeepaliveSettings>,
    resp3: bool,
    client_name: Option<String>,
    health_check_interval: Option<f64>,
    max_connections: Option<usize>,
    retry_on_timeout: bool,
    connect_timeout: f64,
    operation_timeout: f64,
    breaker_failures: u32,
    breaker_reset: f64,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct TlsSettings {
    ca_files: Vec<PathBuf>,
    ca_data: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// `none`, `chain` or `full`.
    verification: String,
    only_tls13: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct KeepaliveSettings {
    idle: Option<f64>,
    interval: Option<f64>,
    count: Option<u32>,
}

#[pymethods]
impl RedisServers {
    /// The one server at `address`.
    ///
    /// :raises `CacheConfigError`: a file named for TLS cannot be used.
    #[staticmethod]
    fn single(address: Address, connection: ConnectionSettings) -> PyResult<Self> {
        Ok(Self(Servers::single(address.into(), connection.read()?)))
    }

    /// The master called `master_name` by the sentinels at `addresses`, and its replicas.
    ///
    /// :raises `CacheConfigError`: a file named for TLS cannot be used.
    #[staticmethod]
    fn sentinel(
        addresses: Vec<Address>,
        master_name: String,
        min_other_sentinels: u64,
        sentinel_connection: ConnectionSettings,
        connection: ConnectionSettings,
    ) -> PyResult<Self> {
        let sentinel = SentinelConfig {
            sentinels: addresses.into_iter().map(Endpoint::from).collect(),
            master_name,
            connection: sentinel_connection.read()?,
            min_other_sentinels,
        };
        Ok(Self(Servers::sentinel(sentinel, connection.read()?)))
    }

    /// The cluster that the servers at `addresses` know.
    ///
    /// :raises `CacheConfigError`: a file named for TLS cannot be used.
    #[staticmethod]
    fn cluster(addresses: Vec<Address>, connection: ConnectionSettings) -> PyResult<Self> {
        let seeds = addresses.into_iter().map(Endpoint::from).collect();
        Ok(Self(Servers::cluster(seeds, connection.read()?)))
    }

    /// A store whose `clear` removes the keys that start with `clear_prefix`, everything where it
    /// is empty. The stores of one object share its connections. `copies`: those nearby of its entries,
    /// as `copies` has made them.
    #[pyo3(signature = (clear_prefix, default_timeout=None, copies=None))]
    fn store(
        &self,
        clear_prefix: Vec<u8>,
        default_timeout: Option<&Bound<'_, PyAny>>,
        copies: Option<&Bound<'_, NearCopies>>,
    ) -> PyResult<ByteStore> {
        let listener = copies.and_then(|copies| copies.as_super().get().listener());
        let backend: Arc<dyn Backend> = match listener {
            Some(listener) => Arc::new(self.0.copied(clear_prefix, listener)),
            None => Arc::new(self.0.cache(clear_prefix)),
        };
        let store = ByteStore::new(backend, default_timeout)?;
        Ok(store.on(error::ServerKind::Redis))
    }

    /// Copies nearby of the entries whose keys start with `prefix`, which are kept while the servers say
    /// nothing of these.
    ///
    /// :param threshold: how many, at most.
    /// :param max_bytes: how many bytes their entries take, at most; 0: no bound.
    /// :param most: how many seconds one lives, at most; None: as long as its entry.
    /// :param silence: after how many seconds without a word from the servers none is read.
    /// :param read: makes a value of the bytes of one that cannot be copied as it is.
    #[pyo3(signature = (prefix, threshold, max_bytes, most, silence, read))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are settings, each with its name"
    )]
    fn copies<'py>(
        &self,
        py: Python<'py>,
        prefix: Vec<u8>,
        threshold: usize,
        max_bytes: usize,
        most: Option<f64>,
        silence: f64,
        read: Py<PyAny>,
    ) -> PyResult<Bound<'py, NearCopies>> {
        let most = most.map(seconds).transpose()?;
        let near = Arc::new(Near::new(prefix, threshold, most, seconds(silence)?));
        let listener = Arc::new(self.0.listener(&near));
        NearCopies::open(py, near, listener, (threshold, max_bytes), read)
    }

    /// The keys that start with `prefix`, in their order; about `most` where there are more.
    ///
    /// :raises `CacheBackendError`: a server failed.
    fn keys<'py>(
        &self,
        py: Python<'py>,
        prefix: Vec<u8>,
        most: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let servers = &self.0;
        let outcome = py.detach(|| servers.keys(&prefix, most));
        logging::flush(py)?;
        let keys = outcome.map_err(|error| error::ServerKind::Redis.to_py(py, &error))?;
        Ok(keys.iter().map(|key| PyBytes::new(py, key)).collect())
    }

    /// What the servers that take writes hold: keys of the database, bytes of memory, and evictions since
    /// they were started; each None where one does not tell.
    ///
    /// :raises `CacheBackendError`: a server failed.
    fn usage(&self, py: Python<'_>) -> PyResult<(Option<u64>, Option<u64>, Option<u64>)> {
        let servers = &self.0;
        let outcome = py.detach(|| servers.usage());
        logging::flush(py)?;
        let usage = outcome.map_err(|error| error::ServerKind::Redis.to_py(py, &error))?;
        Ok((usage.entries, usage.bytes, usage.evictions))
    }

    /// Ask every server that takes writes whether it is there.
    ///
    /// :raises `CacheBackendError`: one is not.
    fn ping(&self, py: Python<'_>) -> PyResult<()> {
        let servers = &self.0;
        let outcome = py.detach(|| servers.ping());
        logging::flush(py)?;
        outcome.map_err(|error| error::ServerKind::Redis.to_py(py, &error))
    }
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        match address {
            Address::Tcp(host, port) => Self::Tcp(host, port),
            Address::Unix(path) => Self::Unix(path),
        }
    }
}

impl ConnectionSettings {
    fn read(self) -> PyResult<ConnectionConfig> {
        let tls = self.tls.map(TlsSettings::read).transpose()?;
        Ok(ConnectionConfig {
            login: Login {
                username: self.username,
                password: self.password,
            },
            credentials: self
                .credential_provider
                .map(|object| Arc::new(Credentials(object)) as Arc<dyn CredentialProvider>),
            database: self.db,
            tls: tls.map(Arc::new),
            keepalive: self.keepalive.map(KeepaliveSettings::read).transpose()?,
            resp3: self.resp3,
            is_inherited: true,
            client_name: self.client_name,
            health_check_interval: self.health_check_interval.map(seconds).transpose()?,
            max_connections: self.max_connections,
            retry_on_timeout: self.retry_on_timeout,
            settings: Settings {
                connect_timeout: seconds(self.connect_timeout)?,
                operation_timeout: seconds(self.operation_timeout)?,
                breaker_failures: self.breaker_failures,
                breaker_reset: seconds(self.breaker_reset)?,
                ..Settings::default()
            },
        })
    }
}

/// redis-py's `CredentialProvider`: any object whose `get_credentials()` returns a password, or a user
/// and a password.
#[derive(Debug)]
struct Credentials(Py<PyAny>);

impl CredentialProvider for Credentials {
    fn login(&self) -> Result<Login, String> {
        // Whoever connects has let go of the GIL.
        let login = Python::try_attach(|py| {
            let asked = self.0.bind(py).call_method0(intern!(py, "get_credentials"));
            asked
                .and_then(|given| login_of(&given))
                .map_err(|error| no_credentials(py, error))
        });
        login.unwrap_or_else(|| Err("the interpreter ends".to_owned()))
    }
}

/// Why there are no credentials. What the exception says may hold some, so that only the log has it.
fn no_credentials(py: Python<'_>, error: PyErr) -> String {
    let kind = error.get_type(py).name();
    let kind = kind.map_or_else(|_| String::new(), |name| name.to_string());
    let message = format!("credential_provider gave no credentials: {kind} in get_credentials()");
    let log = || {
        let kwargs = PyDict::new(py);
        kwargs.set_item("exc_info", error)?;
        let logger = py
            .import("logging")?
            .call_method1("getLogger", ("flask_caching",))?;
        logger.call_method("error", (&message,), Some(&kwargs))
    };
    // A handler that fails keeps nobody from the message.
    drop(log());
    message
}

fn login_of(given: &Bound<'_, PyAny>) -> PyResult<Login> {
    // The characters of a text are no credentials.
    let parts = if given.is_instance_of::<PyString>() {
        Vec::new()
    } else {
        given.try_iter()?.collect::<PyResult<Vec<_>>>()?
    };
    let texts = parts
        .iter()
        .map(PyAnyMethods::extract::<Option<String>>)
        .collect::<PyResult<Vec<_>>>();
    let (username, password) = match texts.as_deref() {
        Ok([password]) => (None, password.clone()),
        Ok([username, password]) => (username.clone(), password.clone()),
        _ => {
            return Err(PyTypeError::new_err(
                "get_credentials() must return (password,) or (username, password), each a str",
            ));
        }
    };
    Ok(Login { username, password })
}

impl TlsSettings {
    fn read(self) -> PyResult<Tls> {
        let verification = match self.verification.as_str() {
            "none" => Verification::None,
            "chain" => Verification::Chain,
            "full" => Verification::Full,
            other => {
                let message = format!("verification is none, chain or full, not {other}");
                return Err(PyValueError::new_err(message));
            }
        };
        Tls::new(&TlsOptions {
            ca_files: self.ca_files,
            ca_data: self.ca_data.map(String::into_bytes),
            certificate: self.certificate,
            key: self.key,
            verification,
            only_tls13: self.only_tls13,
        })
        .map_err(|error| to_py(&error))
    }
}

impl KeepaliveSettings {
    fn read(self) -> PyResult<Keepalive> {
        Ok(Keepalive {
            idle: self.idle.map(seconds).transpose()?,
            interval: self.interval.map(seconds).transpose()?,
            count: self.count,
        })
    }
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{seconds} is not a positive number of seconds"))
    })
}
