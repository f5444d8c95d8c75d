//! `_engine.Metadata` and `_engine.SealedValue`: what is known of an entry beside its value, as Python
//! sees it.

use std::time::Duration;

use flask_caching_engine::clock;
use flask_caching_engine::envelope::metadata;
use flask_caching_engine::envelope::metadata::{Lease, LeaseKind};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// What a lease says.
const HELD: &str = "held";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// What is known of an entry beside its value: until when it is fresh, its tags, and its lease.
///
/// :param tags: pairs of the key of a tag and its version.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Metadata(pub(crate) metadata::Metadata);

#[pymethods]
impl Metadata {
    #[new]
    fn new(tags: Vec<(String, String)>) -> Self {
        Self(metadata::Metadata {
            tags,
            ..metadata::Metadata::default()
        })
    }

    /// That of an entry without a value, whose lease has this token; `is_refused`: nobody computes it, and
    /// nobody is to wait.
    #[staticmethod]
    fn in_place(token: [u8; 16], is_refused: bool) -> Self {
        Self(metadata::Metadata {
            // For whoever knows of no leases: it is not fresh.
            fresh_until: Some(Duration::ZERO),
            tags: Vec::new(),
            lease: Some(Lease {
                kind: if is_refused {
                    LeaseKind::Refused
                } else {
                    LeaseKind::InPlace
                },
                token,
                until: None,
            }),
        })
    }

    /// This, for so many seconds with what `says` of computing the entry anew: "held", whoever has this
    /// token is at it; "refused", nobody is to wait for it; "failed", it is not to be tried.
    fn leased(&self, token: [u8; 16], seconds: f64, says: &str) -> PyResult<Self> {
        let ttl = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let kind = match says {
            HELD => LeaseKind::Over,
            REFUSED => LeaseKind::RefusedOver,
            FAILED => LeaseKind::FailedOver,
            _ => return Err(PyValueError::new_err("a lease is held, refused, or failed")),
        };
        Ok(Self(metadata::Metadata {
            lease: Some(Lease {
                kind,
                token,
                until: Some(clock::system().saturating_add(ttl)),
            }),
            ..self.0.clone()
        }))
    }

    /// This without a lease.
    fn unleased(&self) -> Self {
        Self(metadata::Metadata {
            lease: None,
            ..self.0.clone()
        })
    }

    /// What the lease says: "held", "refused", "failed", or None, where it is over, too.
    #[getter]
    pub(crate) fn lease(&self) -> Option<&'static str> {
        Some(match self.lease_left()?.0 {
            LeaseKind::InPlace | LeaseKind::Over => HELD,
            LeaseKind::Refused | LeaseKind::RefusedOver => REFUSED,
            LeaseKind::FailedOver => FAILED,
        })
    }

    /// Whether the entry has a value, and not only a lease.
    #[getter]
    pub(crate) fn has_value(&self) -> bool {
        !self.0.lease.as_ref().is_some_and(Lease::is_in_place)
    }

    /// The bytes of a value, and this behind them.
    ///
    /// :raises `ValueError`: there are too many tags, or one is too long.
    fn seal<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let sealed = self.0.seal(data);
        sealed
            .map(|sealed| PyBytes::new(py, &sealed))
            .ok_or_else(|| PyValueError::new_err("too many tags, or a tag that is too long"))
    }

    /// The bytes of the value in `data`, and what stands behind them, or None.
    ///
    /// :raises `ValueError`: it is damaged.
    #[staticmethod]
    fn unseal<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
    ) -> PyResult<(Bound<'py, PyBytes>, Option<Self>)> {
        match metadata::Metadata::unseal(data.as_bytes()) {
            Ok(None) => Ok((data.clone(), None)),
            Ok(Some((length, found))) => {
                let value = PyBytes::new(py, &data.as_bytes()[..length]);
                Ok((value, Some(Self(found))))
            }
            Err(damaged) => Err(PyValueError::new_err(damaged.to_string())),
        }
    }

    /// The keys of its tags, and the versions that these had.
    #[getter]
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.tags)
    }

    /// Whether it is fresh.
    #[getter]
    fn is_fresh(&self) -> bool {
        self.has_value() && self.stale_for().is_none()
    }

    /// For how many seconds it is fresh; infinity: for as long as it is kept.
    #[getter]
    fn fresh_for(&self) -> f64 {
        let until = self.0.fresh_until;
        until.map_or(f64::INFINITY, |until| {
            until.saturating_sub(clock::wall()).as_secs_f64()
        })
    }
}

impl Metadata {
    /// What the lease is for, and for how long it still counts.
    pub(crate) fn lease_left(&self) -> Option<(LeaseKind, Duration)> {
        let lease = self.0.lease.as_ref()?;
        Some((lease.kind, lease.remaining(clock::system())?))
    }

    /// For how long it has been stale; `None`: it is fresh.
    pub(crate) fn stale_for(&self) -> Option<Duration> {
        self.0.stale_for(clock::wall())
    }
}

/// A value that was read, of an entry that has metadata.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct SealedValue {
    #[pyo3(get)]
    pub(crate) value: Py<PyAny>,
    #[pyo3(get)]
    pub(crate) metadata: Py<Metadata>,
}

#[pymethods]
impl SealedValue {
    #[new]
    fn new(value: Py<PyAny>, metadata: Py<Metadata>) -> Self {
        Self { value, metadata }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)
    }
}
