//! Timeouts as Python writes them: None, a number of seconds, a `timedelta`.

use std::time::Duration;

use flask_caching_engine::{Lifetime, Timeout, clock};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyInt, PyString};

use crate::error::unless_raised;

/// The engine's reading of a Python timeout.
pub(crate) fn from_python(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(timeout) = timeout.filter(|t| !t.is_none()) else {
        return Ok(Timeout::Default);
    };
    let seconds = timeout_seconds(timeout)?;
    Lifetime::from_seconds(seconds)
        .map(Timeout::Of)
        .ok_or_else(|| PyValueError::new_err("a timeout must be a number of seconds, not NaN"))
}

/// A lifetime in seconds, infinity for ever.
pub(crate) fn in_seconds(lifetime: Lifetime) -> f64 {
    match lifetime {
        Lifetime::Forever => f64::INFINITY,
        Lifetime::For(duration) => duration.as_secs_f64(),
        Lifetime::Expired => 0.0,
    }
}

/// The seconds of a timeout: an int, a float, a `timedelta`, or a string of digits.
#[pyfunction]
pub(crate) fn timeout_seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Some(seconds) = unless_raised(timeout.py(), timeout.extract::<f64>().map(Some))? {
        return Ok(seconds);
    }
    if timeout.hasattr("total_seconds")? {
        return timeout.call_method0("total_seconds")?.extract();
    }
    Err(PyTypeError::new_err(format!(
        "a timeout must be None, a number of seconds or a timedelta, not {}",
        timeout.get_type().name()?
    )))
}

/// A timeout in the form that every backend takes; see `flask_caching.utils.normalize_timeout`.
#[pyfunction]
pub(crate) fn normalize_timeout<'py>(timeout: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = timeout.py();
    if timeout.is_instance_of::<PyDelta>() {
        let seconds = timeout.call_method0(intern!(py, "total_seconds"))?;
        return seconds.call_method0(intern!(py, "__ceil__"));
    }
    if !timeout.is_instance_of::<PyString>() {
        return Ok(timeout.clone());
    }
    let number = py.get_type::<PyInt>().call1((timeout,));
    number.map_err(|error| {
        if !error.is_instance_of::<PyValueError>(py) {
            return error;
        }
        PyValueError::new_err(format!(
            "a timeout must be None, a number of seconds or a timedelta, not {}",
            timeout
                .repr()
                .map_or_else(|_| "a text".to_owned(), |shown| shown.to_string())
        ))
    })
}

/// The longer one of two timeouts, where None is the `default_timeout`.
#[pyfunction]
pub(crate) fn longer_timeout<'py>(
    one: &Bound<'py, PyAny>,
    other: &Bound<'py, PyAny>,
    default_timeout: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let default = from_python(Some(default_timeout))?.resolve(Lifetime::Forever);
    let lifetime = |timeout| from_python(Some(timeout)).map(|timeout| timeout.resolve(default));
    let length = |lifetime| match lifetime {
        Lifetime::Forever => Duration::MAX,
        Lifetime::For(duration) => duration,
        Lifetime::Expired => Duration::ZERO,
    };
    let is_longer = length(lifetime(one)?) >= length(lifetime(other)?);
    Ok(if is_longer { one } else { other }.clone())
}

/// When an entry expires that is stored now with `timeout`, in seconds since 1970; 0: never.
#[pyfunction]
pub(crate) fn expires_at(
    timeout: Option<&Bound<'_, PyAny>>,
    default_timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let default = from_python(default_timeout)?.resolve(Lifetime::Forever);
    let wall = clock::wall();
    Ok(match from_python(timeout)?.resolve(default) {
        Lifetime::Forever => 0.0,
        Lifetime::For(duration) => wall.saturating_add(duration).as_secs_f64(),
        Lifetime::Expired => wall.saturating_sub(Duration::from_secs(1)).as_secs_f64(),
    })
}

/// The timeout of an entry that is stored now and expires at `expires`, seconds since 1970; 0: never.
#[pyfunction]
pub(crate) fn time_left(expires: f64) -> f64 {
    let left = expires - clock::wall().as_secs_f64();
    match expires {
        0.0 => 0.0,
        _ if left > 0.0 => left,
        _ => -1.0,
    }
}

/// When an entry expires that is stored now.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Deadline {
    /// The time since 1970-01-01 UTC; `None`: never.
    at: Option<Duration>,
}

#[pymethods]
impl Deadline {
    /// That of an entry stored with `timeout`, on a backend with `default_timeout`.
    #[new]
    fn new(
        timeout: Option<&Bound<'_, PyAny>>,
        default_timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let default = from_python(default_timeout)?.resolve(Lifetime::Forever);
        Ok(Self::of(from_python(timeout)?.resolve(default)))
    }

    /// Whether it has come, on the engine's clock.
    pub(crate) fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| clock::wall() >= at)
    }
}

impl Deadline {
    /// That of an entry that lives for `lifetime`.
    pub(crate) fn of(lifetime: Lifetime) -> Self {
        let at = match lifetime {
            Lifetime::Forever => None,
            Lifetime::For(duration) => Some(clock::wall().saturating_add(duration)),
            Lifetime::Expired => Some(clock::wall()),
        };
        Self { at }
    }
}
