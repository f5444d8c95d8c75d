//! The arguments of a call, as parts that it is told apart by.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::data::{is_exact, is_plain, is_told_by_repr};
use super::kinds::Kinds;
use super::part::{Itself, Part, same_text};
use super::{Call, Parts, Recipe};
use crate::error::unless_raised;
use crate::memory::is_scalar;

/// What tells the calls of a function apart: their arguments, but for those that are left out of keys,
/// and the defaults that may be another value by the next call.
pub(crate) struct Arguments {
    pub(super) left_out_places: Vec<usize>,
    pub(super) left_out_names: Vec<Py<PyString>>,
    pub(super) changeable: Vec<Py<PyAny>>,
    pub(super) kinds: Kinds,
    /// How a key is made of them natively, where it can be.
    pub(super) recipe: Option<Recipe>,
}

impl Arguments {
    /// Reads the arguments of a call; `false` where it is not known how to tell one of them apart.
    ///
    /// # Errors
    /// One cannot be looked at: its `__repr__` raises, another thread changes it.
    #[inline]
    pub(crate) fn read(&self, call: &Call<'_, '_>, parts: &mut Parts) -> PyResult<bool> {
        let mut parts = parts.reader(call.args.py());
        for argument in self.by_position(call.args) {
            match part(&self.kinds, &argument)? {
                Some(part) => parts.take(part)?,
                None => return Ok(false),
            }
        }
        if !call.kwargs.is_empty() {
            for (name, argument) in self.by_name(call.kwargs) {
                parts.take(Part::Keyword(name.unbind()))?;
                match part(&self.kinds, &argument)? {
                    Some(part) => parts.take(part)?,
                    None => return Ok(false),
                }
            }
        }
        parts.finish();
        Ok(true)
    }

    /// Asks about the kinds of the arguments that are not known yet. One that cannot be asked about,
    /// as its `__repr__` raises, stays unknown.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and its like.
    pub(crate) fn learn(&self, call: &Call<'_, '_>) -> PyResult<()> {
        let py = call.args.py();
        for argument in self.by_position(call.args) {
            unless_raised(py, self.kinds.learn(&argument).map(Some))?;
        }
        for (_, argument) in self.by_name(call.kwargs) {
            unless_raised(py, self.kinds.learn(&argument).map(Some))?;
        }
        Ok(())
    }

    /// What tells a call apart of what is given by position, after the defaults. These count where they
    /// are overridden, too: the same call is then known twice at worst.
    #[inline]
    fn by_position<'a, 'py>(
        &'a self,
        args: &'a Bound<'py, PyTuple>,
    ) -> impl Iterator<Item = Borrowed<'a, 'py, PyAny>> {
        let defaults = self.changeable.iter();
        defaults
            .map(|default| default.bind_borrowed(args.py()))
            .chain(
                args.iter_borrowed()
                    .enumerate()
                    .filter(|(place, _)| !self.left_out_places.contains(place))
                    .map(|(_, argument)| argument),
            )
    }

    /// What tells a call apart of what is given by name: the names and the arguments, all at once. To
    /// look at an argument may run code that changes the dict, and then its iterator panics.
    fn by_name<'py>(
        &self,
        kwargs: &Bound<'py, PyDict>,
    ) -> Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)> {
        let is_left_out = |name: &Bound<'_, PyString>| {
            let mut left_out = self.left_out_names.iter();
            name.is_exact_instance_of::<PyString>() && left_out.any(|known| same_text(name, known))
        };
        let items: Vec<_> = kwargs.iter().collect();
        items
            .into_iter()
            .filter_map(|(name, argument)| Some((name.cast_into::<PyString>().ok()?, argument)))
            .filter(|(name, _)| !is_left_out(name))
            .collect()
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.changeable
            .iter()
            .try_for_each(|default| visit.call(default))
    }
}

/// What an argument is told apart by; `None` where that is not known.
#[inline]
fn part(kinds: &Kinds, argument: &Bound<'_, PyAny>) -> PyResult<Option<Part>> {
    if let Ok(text) = argument.cast_exact::<PyString>() {
        return Ok(Some(Part::text(text)));
    }
    if let Ok(number) = argument.cast_exact::<PyInt>()
        && let Ok(number) = number.extract::<i64>()
    {
        return Ok(Some(Part::Int(number)));
    }
    if argument.is_none() {
        return Ok(Some(Part::None));
    }
    if let Ok(value) = argument.cast_exact::<PyBool>() {
        return Ok(Some(Part::Bool(value.is_true())));
    }
    if let Ok(number) = argument.cast_exact::<PyFloat>() {
        return Ok(Some(Part::Float(number.value().to_bits())));
    }
    if let Ok(bytes) = argument.cast_exact::<PyBytes>() {
        return Ok(Some(Part::Bytes(bytes.clone().unbind())));
    }
    let may_be_plain = argument.is_exact_instance_of::<PyList>()
        || argument.is_exact_instance_of::<PyTuple>()
        || argument.is_exact_instance_of::<PyDict>()
        || argument.is_exact_instance_of::<PyInt>();
    if may_be_plain && is_plain(argument)? {
        // An integer may have more digits than Python prints; whoever makes the key knows of it.
        return Ok(Some(Part::Repr(argument.repr()?.unbind())));
    }
    if let Some(part) = kinds.part(argument)? {
        return Ok(Some(part));
    }
    if is_scalar(argument)? || is_told_by_repr(argument)? {
        let text = argument.repr()?;
        if is_exact(&text) {
            let class = Itself::of(&argument.get_type())?;
            return Ok(Some(Part::Printed(text.unbind(), class)));
        }
    }
    Ok(None)
}
