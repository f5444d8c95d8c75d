//! The arguments of a call as the table compares them.

use std::fmt::Write;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType, PyWeakrefMethods,
    PyWeakrefReference,
};

use smallvec::SmallVec;

use super::data::{is_exact, is_plain, is_telling, is_told_by_repr};
use super::kinds::Kinds;
use crate::error::unless_raised;
use crate::memory::is_scalar;

/// Calls with more arguments than this cost an allocation.
const USUAL: usize = 6;

/// One argument of a call that is being looked up.
pub(super) enum Probe<'py> {
    None,
    Bool(bool),
    Int(i64),
    /// Compared by its bits: -0.0 is not 0.0.
    Float(Bound<'py, PyFloat>),
    Text(Bound<'py, PyString>),
    Bytes(Bound<'py, PyBytes>),
    /// The repr of plain data that is none of the above.
    Repr(Bound<'py, PyString>),
    /// An object that its repr tells apart from others of its class: the repr, and the class.
    Printed(Bound<'py, PyString>, Bound<'py, PyType>),
    /// An object that nothing tells apart but that it is this one; a class, too.
    Object(Bound<'py, PyAny>),
    /// The name of the keyword that the next argument is given by.
    Keyword(Bound<'py, PyString>),
}

/// One argument of a call in the table.
pub(super) enum Known {
    None,
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(Py<PyString>),
    Bytes(Py<PyBytes>),
    Repr(Py<PyString>),
    Printed(Py<PyString>, Itself),
    Object(Itself),
    Keyword(Py<PyString>),
}

/// One object, which does not live longer for it: its address, and a weak reference. While that is
/// alive, the address is no other's.
pub(super) struct Itself(usize, Py<PyWeakrefReference>);

/// What a weak reference takes, in bytes; as a rule an object has one.
const WEIGHT_OF_REFERENCE: usize = 72;

/// What tells the calls of a function apart: their arguments, but for those that are left out of keys,
/// and the defaults that may be another value by the next call.
pub(super) struct Considered {
    left_out_places: Vec<usize>,
    left_out_names: Vec<Py<PyString>>,
    changeable: Vec<Py<PyAny>>,
}

impl Considered {
    pub(super) fn new(
        left_out_places: Vec<usize>,
        left_out_names: Vec<Py<PyString>>,
        changeable: Vec<Py<PyAny>>,
    ) -> Self {
        Self {
            left_out_places,
            left_out_names,
            changeable,
        }
    }

    /// What tells a call apart: defaults and what is given by position, and what is given by name.
    /// Defaults count where they are overridden, too: the same call is then known twice at worst.
    #[inline]
    pub(super) fn of<'a, 'py>(
        &'a self,
        args: &'a Bound<'py, PyTuple>,
        kwargs: &'a Bound<'py, PyDict>,
    ) -> (
        impl Iterator<Item = Borrowed<'a, 'py, PyAny>>,
        impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    ) {
        let defaults = self.changeable.iter();
        let by_position = defaults
            .map(|default| default.bind_borrowed(args.py()))
            .chain(
                args.iter_borrowed()
                    .enumerate()
                    .filter(|(place, _)| !self.left_out_places.contains(place))
                    .map(|(_, argument)| argument),
            );
        // All at once: to look at an argument may run code that changes the dict, and then its iterator
        // panics. That of an empty dict costs something, too.
        let mut by_name = SmallVec::<[_; USUAL]>::new();
        if !kwargs.is_empty() {
            by_name.extend(kwargs.iter());
        }
        let by_name = by_name.into_iter().filter(|(name, _)| {
            !name.cast_exact::<PyString>().is_ok_and(|name| {
                self.left_out_names
                    .iter()
                    .any(|known| same_text(name, known))
            })
        });
        (by_position, by_name)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.changeable
            .iter()
            .try_for_each(|default| visit.call(default))
    }
}

/// All arguments of a call, in the order they were given. It is large, and filled where it is used.
#[derive(Default)]
pub(super) struct Arguments<'py> {
    probes: SmallVec<[Probe<'py>; USUAL]>,
    pub(super) hash: u64,
}

impl<'py> Arguments<'py> {
    /// Reads the arguments of a call; `false` where `kinds` does not know how to tell one of them
    /// apart, or one cannot be looked at: its `__repr__` raises, another thread changes it.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and its like.
    #[inline]
    pub(super) fn read(
        &mut self,
        kinds: &Kinds,
        considered: &Considered,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<bool> {
        match self.try_read(kinds, considered, args, kwargs) {
            Ok(read) => Ok(read),
            Err(error) => unless_raised::<()>(args.py(), Err(error)).map(|_| false),
        }
    }

    #[inline]
    fn try_read(
        &mut self,
        kinds: &Kinds,
        considered: &Considered,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<bool> {
        let mut parts = self.reader();
        let (by_position, by_name) = considered.of(args, kwargs);
        for argument in by_position {
            match Probe::of(kinds, &argument)? {
                Some(probe) => parts.take(probe)?,
                None => return Ok(false),
            }
        }
        for (name, argument) in by_name {
            parts.take(Probe::Keyword(name.cast_into::<PyString>()?))?;
            match Probe::of(kinds, &argument)? {
                Some(probe) => parts.take(probe)?,
                None => return Ok(false),
            }
        }
        parts.finish();
        Ok(true)
    }

    /// Takes what a call is found by, one part after the other.
    #[inline]
    pub(super) fn reader(&mut self) -> Reader<'_, 'py> {
        Reader {
            hasher: FixedState::default().build_hasher(),
            arguments: self,
        }
    }

    /// What was read, an argument each; before one given by name, the name.
    pub(super) fn probes(&self) -> &[Probe<'py>] {
        &self.probes
    }

    /// Whether these are the arguments of a call in the table. Compares numbers, addresses and the
    /// text of exact strings and bytes: no Python code runs.
    #[inline]
    pub(super) fn is(&self, known: &[Known]) -> bool {
        known.len() == self.probes.len()
            && self
                .probes
                .iter()
                .zip(known)
                .all(|(probe, known)| probe.is(known))
    }

    /// Whether all are plain data, given by position.
    pub(super) fn are_plain(&self) -> bool {
        !self.probes.iter().any(|probe| {
            matches!(
                probe,
                Probe::Printed(..) | Probe::Object(_) | Probe::Keyword(_)
            )
        })
    }

    /// The arguments as the table keeps them.
    pub(super) fn to_known(&self) -> PyResult<Box<[Known]>> {
        self.probes
            .iter()
            .map(|probe| {
                Ok(match probe {
                    Probe::None => Known::None,
                    Probe::Bool(value) => Known::Bool(*value),
                    Probe::Int(value) => Known::Int(*value),
                    Probe::Float(value) => Known::Float(value.value().to_bits()),
                    Probe::Text(text) => Known::Text(text.clone().unbind()),
                    Probe::Bytes(bytes) => Known::Bytes(bytes.clone().unbind()),
                    Probe::Repr(text) => Known::Repr(text.clone().unbind()),
                    Probe::Printed(text, kind) => {
                        Known::Printed(text.clone().unbind(), Itself::of(kind)?)
                    }
                    Probe::Object(object) => Known::Object(Itself::of(object)?),
                    Probe::Keyword(name) => Known::Keyword(name.clone().unbind()),
                })
            })
            .collect()
    }
}

/// Reads what a call is found by.
pub(super) struct Reader<'a, 'py> {
    hasher: foldhash::fast::FoldHasher<'static>,
    arguments: &'a mut Arguments<'py>,
}

impl<'py> Reader<'_, 'py> {
    #[inline]
    pub(super) fn take(&mut self, part: Probe<'py>) -> PyResult<()> {
        part.hash_into(&mut self.hasher)?;
        self.arguments.probes.push(part);
        Ok(())
    }

    /// All parts were taken.
    #[inline]
    pub(super) fn finish(self) {
        self.arguments.hash = self.hasher.finish();
    }
}

impl Known {
    /// What it keeps alive, in bytes.
    pub(super) fn weight(&self, py: Python<'_>) -> usize {
        let text = |text: &Py<PyString>| text.bind(py).len().unwrap_or(0);
        std::mem::size_of::<Self>()
            + match self {
                Self::Text(kept) | Self::Repr(kept) | Self::Keyword(kept) => text(kept),
                Self::Printed(kept, _) => text(kept) + WEIGHT_OF_REFERENCE,
                Self::Object(_) => WEIGHT_OF_REFERENCE,
                Self::Bytes(kept) => kept.as_bytes(py).len(),
                _ => 0,
            }
    }

    /// Whether it is the same argument, as the table compares them.
    pub(super) fn is(&self, py: Python<'_>, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Text(one), Self::Text(other))
            | (Self::Repr(one), Self::Repr(other))
            | (Self::Keyword(one), Self::Keyword(other)) => same_text(one.bind(py), other),
            (Self::Bytes(one), Self::Bytes(other)) => one.as_bytes(py) == other.as_bytes(py),
            (Self::Printed(one, kind), Self::Printed(other, other_kind)) => {
                kind.is_same(py, other_kind) && same_text(one.bind(py), other)
            }
            (Self::Object(one), Self::Object(other)) => one.is_same(py, other),
            _ => false,
        }
    }

    /// What of it the garbage collector is to see.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Printed(_, Itself(_, reference)) | Self::Object(Itself(_, reference)) => {
                visit.call(reference)
            }
            _ => Ok(()),
        }
    }
}

impl<'py> Probe<'py> {
    #[inline]
    fn of(kinds: &Kinds, argument: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if let Ok(text) = argument.cast_exact::<PyString>() {
            return Ok(Some(Self::Text(text.clone())));
        }
        if let Ok(number) = argument.cast_exact::<PyInt>()
            && let Ok(number) = number.extract::<i64>()
        {
            return Ok(Some(Self::Int(number)));
        }
        if argument.is_none() {
            return Ok(Some(Self::None));
        }
        if let Ok(value) = argument.cast_exact::<PyBool>() {
            return Ok(Some(Self::Bool(value.is_true())));
        }
        if let Ok(number) = argument.cast_exact::<PyFloat>() {
            return Ok(Some(Self::Float(number.clone())));
        }
        if let Ok(bytes) = argument.cast_exact::<PyBytes>() {
            return Ok(Some(Self::Bytes(bytes.clone())));
        }
        let may_be_plain = argument.is_exact_instance_of::<PyList>()
            || argument.is_exact_instance_of::<PyTuple>()
            || argument.is_exact_instance_of::<PyDict>()
            || argument.is_exact_instance_of::<PyInt>();
        if may_be_plain && is_plain(argument)? {
            // An integer may have more digits than Python prints; the ordinary path knows of it.
            return argument.repr().map(|text| Some(Self::Repr(text)));
        }
        if let Some(probe) = kinds.probe(argument)? {
            return Ok(Some(probe));
        }
        if is_scalar(argument)? || is_told_by_repr(argument)? {
            return Ok(exact(argument, argument.repr()?));
        }
        Ok(None)
    }

    /// Writes the argument as its repr; `false` where that is not known here.
    pub(super) fn print(&self, text: &mut String) -> PyResult<bool> {
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
            Self::Float(value) => value.repr()?,
            Self::Text(value) => value.repr()?,
            Self::Bytes(value) => value.repr()?,
            Self::Repr(printed) => printed.clone(),
            Self::Printed(..) | Self::Object(_) | Self::Keyword(_) => return Ok(false),
        };
        // A repr may hold lone surrogates, which no text here can.
        let Ok(printed) = printed.to_str() else {
            return Ok(false);
        };
        text.push_str(printed);
        Ok(true)
    }

    #[inline]
    fn hash_into(&self, hasher: &mut impl Hasher) -> PyResult<()> {
        match self {
            Self::None => hasher.write_u8(0),
            Self::Bool(value) => hasher.write_u8(1 + u8::from(*value)),
            Self::Int(value) => value.hash(hasher),
            Self::Float(value) => value.value().to_bits().hash(hasher),
            // Strings and bytes keep the hash they were once asked for.
            Self::Text(text) | Self::Repr(text) | Self::Keyword(text) => {
                text.hash()?.hash(hasher);
            }
            Self::Bytes(bytes) => bytes.hash()?.hash(hasher),
            Self::Printed(text, kind) => (text.hash()?, kind.as_ptr().addr()).hash(hasher),
            Self::Object(object) => object.as_ptr().addr().hash(hasher),
        }
        Ok(())
    }

    #[inline]
    fn is(&self, known: &Known) -> bool {
        match (self, known) {
            (Self::None, Known::None) => true,
            (Self::Bool(one), Known::Bool(other)) => one == other,
            (Self::Int(one), Known::Int(other)) => one == other,
            (Self::Float(one), Known::Float(other)) => one.value().to_bits() == *other,
            (Self::Text(one), Known::Text(other))
            | (Self::Repr(one), Known::Repr(other))
            | (Self::Keyword(one), Known::Keyword(other)) => same_text(one, other),
            (Self::Bytes(one), Known::Bytes(other)) => one.as_bytes() == other.as_bytes(one.py()),
            (Self::Printed(one, kind), Known::Printed(other, known_kind)) => {
                known_kind.is(kind) && same_text(one, other)
            }
            (Self::Object(one), Known::Object(known)) => known.is(one),
            _ => false,
        }
    }
}

/// Whether two exact strings are equal.
#[inline]
pub(super) fn same_text(one: &Bound<'_, PyString>, other: &Py<PyString>) -> bool {
    // Both are exact strings: `==` compares their characters and runs nothing else.
    one.as_ptr() == other.as_ptr() || one.as_any().eq(other.bind(one.py())).unwrap_or(false)
}

/// How an object is looked up that prints `text`, unless that may show an address.
#[inline]
pub(super) fn printed<'py>(
    object: &Bound<'py, PyAny>,
    text: Bound<'py, PyString>,
) -> Option<Probe<'py>> {
    is_telling(&text, object).then(|| Probe::Printed(text, object.get_type()))
}

/// How an object is looked up that prints `text`, which is made of what is told apart by its repr.
#[inline]
pub(super) fn exact<'py>(
    object: &Bound<'py, PyAny>,
    text: Bound<'py, PyString>,
) -> Option<Probe<'py>> {
    is_exact(&text).then(|| Probe::Printed(text, object.get_type()))
}

impl Itself {
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let reference = PyWeakrefReference::new(object)?;
        Ok(Self(object.as_ptr().addr(), reference.unbind()))
    }

    /// Whether both are one object, which is alive.
    fn is_same(&self, py: Python<'_>, other: &Self) -> bool {
        self.0 == other.0 && self.1.is(&other.1) && self.1.bind(py).upgrade().is_some()
    }

    #[inline]
    fn is(&self, object: &Bound<'_, PyAny>) -> bool {
        object.as_ptr().addr() == self.0
            && self
                .1
                .bind(object.py())
                .upgrade()
                .is_some_and(|alive| alive.is(object))
    }
}
