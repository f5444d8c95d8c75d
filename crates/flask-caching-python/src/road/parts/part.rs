//! One part of what a call is told apart by, as it is looked up and as the table keeps it.

use std::fmt::Write;
use std::hash::{Hash, Hasher};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyString, PyWeakrefMethods, PyWeakrefReference};

/// An argument, or a part of a request or a fragment.
pub(crate) enum Part {
    None,
    Bool(bool),
    Int(i64),
    /// By its bits: -0.0 is not 0.0.
    Float(u64),
    Text(Py<PyString>),
    Bytes(Py<PyBytes>),
    /// The repr of plain data that is none of the above.
    Repr(Py<PyString>),
    /// An object that its repr tells apart from others of its class: the repr, and the class.
    Printed(Py<PyString>, Itself),
    /// An object that nothing tells apart but that it is this one; a class, too.
    Object(Itself),
    /// The name of the keyword that the next argument is given by.
    Keyword(Py<PyString>),
}

/// One object, which does not live longer for it: its address, and a weak reference. While that is
/// alive, the address is no other's.
pub(crate) struct Itself(usize, Py<PyWeakrefReference>);

/// What a weak reference takes, in bytes; as a rule an object has one.
const WEIGHT_OF_REFERENCE: usize = 72;

impl Part {
    #[inline]
    pub(crate) fn text(text: &Bound<'_, PyString>) -> Self {
        Self::Text(text.clone().unbind())
    }

    /// Strings and bytes keep the hash they were once asked for.
    #[inline]
    pub(crate) fn hash_into(&self, py: Python<'_>, hasher: &mut impl Hasher) -> PyResult<()> {
        match self {
            Self::None => hasher.write_u8(0),
            Self::Bool(value) => hasher.write_u8(1 + u8::from(*value)),
            Self::Int(value) => value.hash(hasher),
            Self::Float(bits) => bits.hash(hasher),
            Self::Text(text) | Self::Repr(text) | Self::Keyword(text) => {
                text.bind(py).hash()?.hash(hasher);
            }
            Self::Bytes(bytes) => bytes.bind(py).hash()?.hash(hasher),
            Self::Printed(text, class) => (text.bind(py).hash()?, class.0).hash(hasher),
            Self::Object(object) => object.0.hash(hasher),
        }
        Ok(())
    }

    /// Whether both are the same. Compares numbers, addresses and the text of exact strings and bytes:
    /// no Python code runs.
    #[inline]
    pub(crate) fn is(&self, py: Python<'_>, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Text(one), Self::Text(other))
            | (Self::Repr(one), Self::Repr(other))
            | (Self::Keyword(one), Self::Keyword(other)) => same_text(one.bind(py), other),
            (Self::Bytes(one), Self::Bytes(other)) => one.as_bytes(py) == other.as_bytes(py),
            (Self::Printed(one, class), Self::Printed(other, other_class)) => {
                class.is(py, other_class) && same_text(one.bind(py), other)
            }
            (Self::Object(one), Self::Object(other)) => one.is(py, other),
            _ => false,
        }
    }

    /// Whether it is plain data, given by position.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(self, Self::Printed(..) | Self::Object(_) | Self::Keyword(_))
    }

    /// Writes plain data as its repr; `false` where no text can hold that.
    pub(crate) fn print(&self, py: Python<'_>, text: &mut String) -> PyResult<bool> {
        let printed = match self {
            Self::None => {
                text.push_str("None");
                return Ok(true);
            }
            Self::Bool(value) => {
                text.push_str(if *value { "True" } else { "False" });
                return Ok(true);
            }
            Self::Int(value) => return Ok(write!(text, "{value}").is_ok()),
            Self::Float(bits) => PyFloat::new(py, f64::from_bits(*bits)).repr()?,
            Self::Text(value) => value.bind(py).repr()?,
            Self::Bytes(value) => value.bind(py).repr()?,
            Self::Repr(printed) => printed.bind(py).clone(),
            Self::Printed(..) | Self::Object(_) | Self::Keyword(_) => return Ok(false),
        };
        // A repr may hold lone surrogates.
        let Ok(printed) = printed.to_str() else {
            return Ok(false);
        };
        text.push_str(printed);
        Ok(true)
    }

    /// What it keeps alive, in bytes.
    pub(crate) fn weight(&self, py: Python<'_>) -> usize {
        let length = |text: &Py<PyString>| text.bind(py).len().unwrap_or(0);
        size_of::<Self>()
            + match self {
                Self::Text(kept) | Self::Repr(kept) | Self::Keyword(kept) => length(kept),
                Self::Printed(kept, _) => length(kept) + WEIGHT_OF_REFERENCE,
                Self::Object(_) => WEIGHT_OF_REFERENCE,
                Self::Bytes(kept) => kept.as_bytes(py).len(),
                _ => 0,
            }
    }

    /// What of it the garbage collector is to see.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Printed(_, Itself(_, reference)) | Self::Object(Itself(_, reference)) => {
                visit.call(reference)
            }
            _ => Ok(()),
        }
    }
}

impl Itself {
    /// # Errors
    /// `TypeError` where the object cannot be referred to weakly.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let reference = PyWeakrefReference::new(object)?;
        Ok(Self(object.as_ptr().addr(), reference.unbind()))
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0, self.1.clone_ref(py))
    }

    /// Whether it is this object, which is alive.
    #[inline]
    pub(crate) fn is_object(&self, object: &Bound<'_, PyAny>) -> bool {
        self.0 == object.as_ptr().addr() && self.is_alive(object.py())
    }

    pub(crate) fn is_alive(&self, py: Python<'_>) -> bool {
        self.1.bind(py).upgrade().is_some()
    }

    /// Whether both are one object that is alive. As a rule it has one weak reference.
    #[inline]
    fn is(&self, py: Python<'_>, other: &Self) -> bool {
        self.0 == other.0 && (self.1.is(&other.1) || (self.is_alive(py) && other.is_alive(py)))
    }
}

/// Whether two exact strings are equal.
#[inline]
pub(crate) fn same_text(one: &Bound<'_, PyString>, other: &Py<PyString>) -> bool {
    // Both are exact strings: `==` compares their characters and runs nothing else.
    one.as_ptr() == other.as_ptr() || one.as_any().eq(other.bind(one.py())).unwrap_or(false)
}
