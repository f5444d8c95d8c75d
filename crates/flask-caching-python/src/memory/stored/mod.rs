//! How Python values are kept: by reference, as plain data, or as the serializer's bytes.

pub(super) mod immutable;
pub(super) mod instances;
pub(super) mod plain;
pub(super) mod weight;

use std::sync::Arc;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use super::sealed::Sealed;
use super::settings::Settings;
use plain::Frozen;

/// A value as the store keeps it. It is cloned under the store's lock, so a clone is a count.
pub(crate) enum Stored {
    /// Immutable: handed out by reference.
    Atom(Py<PyAny>),
    /// Copied natively by each read.
    Plain(Arc<Frozen>),
    /// What the serializer made of it; given back to it by each read.
    Serialized(Py<PyBytes>),
    /// One of these, with what is known of the entry beside its value.
    Sealed(Arc<Sealed>),
}

/// Why a value could not be stored or read back; what is not an `Exception` is passed on as it is.
pub(in crate::memory) enum Failure {
    /// The value's or the serializer's own exception, or one that says what is wrong.
    Value(PyErr),
    /// `KeyboardInterrupt` and its like.
    Interrupt(PyErr),
}

impl Failure {
    fn from_err(py: Python<'_>, error: PyErr) -> Self {
        if error.is_instance_of::<PyException>(py) {
            Self::Value(error)
        } else {
            Self::Interrupt(error)
        }
    }
}

impl Stored {
    /// The form `value` is kept in.
    pub(in crate::memory) fn new(
        value: &Bound<'_, PyAny>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let py = value.py();
        Self::try_new(value, settings).map_err(|error| Failure::from_err(py, error))
    }

    /// The form of a value that is kept without the serializer; `None` where it is not plain data.
    pub(in crate::memory) fn natively(
        value: &Bound<'_, PyAny>,
        settings: &Settings,
    ) -> PyResult<Option<Self>> {
        if !settings.is_native() {
            return Ok(None);
        }
        Ok(Frozen::new(value)?.map(|frozen| match frozen.into_atom() {
            Ok(atom) => Self::Atom(atom),
            Err(frozen) => Self::Plain(Arc::new(frozen)),
        }))
    }

    fn try_new(value: &Bound<'_, PyAny>, settings: &Settings) -> PyResult<Self> {
        match Self::natively(value, settings)? {
            Some(stored) => Ok(stored),
            None => Ok(Self::Serialized(serialize(value, settings)?.unbind())),
        }
    }

    /// Whether it is an object that is copied natively, and not data alone.
    pub(in crate::memory) fn is_object(&self) -> bool {
        match self {
            Self::Plain(frozen) => frozen.is_object(),
            Self::Sealed(sealed) => sealed.stored.is_object(),
            _ => false,
        }
    }

    /// The caller's own copy of the value.
    pub(in crate::memory) fn load<'py>(
        self,
        py: Python<'py>,
        settings: &Settings,
    ) -> Result<Bound<'py, PyAny>, Failure> {
        match self {
            Self::Atom(atom) => Ok(atom.into_bound(py)),
            Self::Plain(plain) => plain.thaw(py),
            Self::Serialized(data) => deserialize(data.bind(py), settings),
            // What is sealed is none of these again.
            Self::Sealed(sealed) => return sealed.stored.clone_ref(py).load(py, settings),
        }
        .map_err(|error| Failure::from_err(py, error))
    }

    /// As [`load`](Self::load); `None` where it cannot be read.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and its like.
    pub(in crate::memory) fn load_if_readable<'py>(
        self,
        py: Python<'py>,
        settings: &Settings,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.load(py, settings) {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Value(_)) => Ok(None),
            Err(Failure::Interrupt(error)) => Err(error),
        }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Atom(atom) => Self::Atom(atom.clone_ref(py)),
            Self::Plain(plain) => Self::Plain(Arc::clone(plain)),
            Self::Serialized(data) => Self::Serialized(data.clone_ref(py)),
            Self::Sealed(sealed) => Self::Sealed(Arc::clone(sealed)),
        }
    }
}

/// The bytes of `value`, by the one rule for all backends of what can be stored.
fn serialize<'py>(value: &Bound<'py, PyAny>, settings: &Settings) -> PyResult<Bound<'py, PyBytes>> {
    static SERIALIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let data = SERIALIZE
        .import(py, "flask_caching.values.storable", "serialize")?
        .call1((settings.serializer(py)?, value))?;
    Ok(data.cast_into::<PyBytes>()?)
}

fn deserialize<'py>(
    data: &Bound<'py, PyBytes>,
    settings: &Settings,
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static DESERIALIZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = data.py();
    if let Some(reader) = settings.reader(py)? {
        return reader.call1((data,));
    }
    if settings.is_native() {
        // The serializer is pickle; asked directly, it says what is wrong with an entry.
        return LOADS.import(py, "pickle", "loads")?.call1((data,));
    }
    DESERIALIZE
        .import(py, "flask_caching.codecs.serialized", "deserialize")?
        .call1((settings.serializer(py)?, data))
}
