//! The only mapping from engine errors to Python exceptions.

use flask_caching_engine::backend::redis::{LoginRefused, NO_MASTER};
use flask_caching_engine::{Error, ErrorKind};
use pyo3::exceptions::PyException;
use pyo3::import_exception;
use pyo3::intern;
use pyo3::prelude::*;

import_exception!(flask_caching.errors, CacheBackendError);
import_exception!(flask_caching.errors, CacheConfigError);
import_exception!(flask_caching.errors, CacheKeyError);
import_exception!(flask_caching.errors, UnstorableValueError);

/// The Python exception for an engine error.
pub(crate) fn to_py(error: &Error) -> PyErr {
    let message = describe(error);
    match error.kind() {
        ErrorKind::Config => CacheConfigError::new_err(message),
        ErrorKind::Key => CacheKeyError::new_err(message),
        ErrorKind::Value => pyo3::exceptions::PyTypeError::new_err(message),
        _ => CacheBackendError::new_err(message),
    }
}

/// Whose servers an error tells of: Python's clients of them have exceptions that applications may
/// catch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerKind {
    /// None, or some that no client is known of.
    Other,
    /// Redis, and redis-py.
    Redis,
    /// Memcached, and pylibmc.
    Memcached,
}

impl ServerKind {
    /// The Python exception for an engine error of these servers.
    pub(crate) fn to_py(self, py: Python<'_>, error: &Error) -> PyErr {
        let Some(name) = self.exception(error) else {
            return to_py(error);
        };
        let made = py
            .import(intern!(py, "flask_caching.errors"))
            .and_then(|errors| errors.getattr(name)?.call1((self.describe(error),)));
        match made {
            Ok(exception) => PyErr::from_value(exception),
            Err(unexpected) => unexpected,
        }
    }

    /// What a user is told: of a login that is refused, which settings it is made of as well.
    fn describe(self, error: &Error) -> String {
        let mut message = describe(error);
        match self {
            Self::Redis if is_about_login(error) => message.push_str(
                ": CACHE_REDIS_PASSWORD or CACHE_REDIS_USERNAME, or what CACHE_REDIS_URL says of \
                 them, is wrong or missing",
            ),
            Self::Memcached if error.message().starts_with("authentication failed") => {
                message.push_str(": look at CACHE_MEMCACHED_USERNAME and CACHE_MEMCACHED_PASSWORD");
            }
            _ => {}
        }
        message
    }

    /// What the exception is called in `flask_caching.errors`. `None`: it is not the servers'.
    fn exception(self, error: &Error) -> Option<&'static str> {
        Some(match (self, error.kind()) {
            (Self::Redis, ErrorKind::Unavailable) if error.message() == NO_MASTER => {
                "RedisMasterNotFoundError"
            }
            (Self::Redis, ErrorKind::Unavailable | ErrorKind::Io) => match code(error) {
                "LOADING" => "RedisBusyLoadingError",
                "CLUSTERDOWN" => "RedisClusterDownError",
                _ => "RedisConnectionError",
            },
            (Self::Redis, ErrorKind::Timeout) => "RedisTimeoutError",
            (Self::Redis, ErrorKind::Refused) if is_about_login(error) => {
                "RedisAuthenticationError"
            }
            (Self::Redis, ErrorKind::Refused) => match code(error) {
                "NOPERM" => "RedisNoPermissionError",
                "OOM" => "RedisOutOfMemoryError",
                "READONLY" => "RedisReadOnlyError",
                _ => "RedisResponseError",
            },
            (Self::Redis, ErrorKind::Protocol) => "RedisProtocolError",
            (Self::Redis, ErrorKind::Value) => "RedisValueError",
            (Self::Memcached, ErrorKind::Unavailable | ErrorKind::Timeout) => {
                "MemcachedConnectionError"
            }
            (Self::Memcached, ErrorKind::Refused) => "MemcachedResponseError",
            (Self::Memcached, ErrorKind::Protocol) => "MemcachedProtocolError",
            (Self::Memcached, ErrorKind::Value) => "MemcachedValueError",
            _ => return None,
        })
    }
}

/// What an error reply of Redis begins with.
fn code(error: &Error) -> &str {
    error.message().split(' ').next().unwrap_or_default()
}

fn is_about_login(error: &Error) -> bool {
    match std::error::Error::source(error) {
        Some(source) => source.is::<LoginRefused>(),
        None => false,
    }
}

/// What an attempt found; nothing where it raised an exception: what failed here fails again the
/// ordinary way, which knows what to do about it. `KeyboardInterrupt` and its like are passed on.
#[inline]
pub(crate) fn unless_raised<T>(
    py: Python<'_>,
    attempt: PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    match attempt {
        Ok(found) => Ok(found),
        Err(error) => unless_exception(py, error).map(|()| None),
    }
}

#[cold]
fn unless_exception(py: Python<'_>, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyException>(py) {
        Ok(())
    } else {
        Err(error)
    }
}

fn describe(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = inner.source();
    }
    message
}
