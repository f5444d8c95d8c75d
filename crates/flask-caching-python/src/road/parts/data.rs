//! Which data its repr tells apart from any other.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use crate::addresses;
use crate::memory::is_scalar;

/// Containers nested deeper than this take the ordinary path.
const DEEPEST: u8 = 32;

/// So do values of more parts than this, those counted again that are referred to again: their reprs
/// are made in the same way.
const MOST_PARTS: u32 = 1 << 17;

/// Whether `value` is built-in data all through, sets excepted: its repr is what stands in a key.
///
/// # Errors
/// Python raised one; what is changed meanwhile by another thread is among the reasons.
pub(crate) fn is_plain(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Look::for_what(|_| Ok(false)).is_all(value, 0)
}

/// Whether the repr of `value` tells it apart from others of its class: that of what cannot be
/// changed, and of containers of such data and of plain data. How it stands in a key is for the
/// ordinary path. Equal sets may print differently; then they are two calls of one key.
///
/// # Errors
/// As [`is_plain`].
pub(crate) fn is_told_by_repr(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let mut look = Look::for_what(is_unchangeable);
    if value.is_exact_instance_of::<PySet>() || value.is_exact_instance_of::<PyFrozenSet>() {
        let items = value.py().get_type::<PyTuple>().call1((value,))?;
        return look.are_all(items.cast::<PyTuple>()?.iter(), 1);
    }
    look.is_all(value, 0)
}

/// Whether a repr identifies its object. An address does not: the ordinary path has a token for such
/// an object, and looks closer where a number may be the address of another one.
pub(crate) fn is_telling(text: &Bound<'_, PyString>, object: &Bound<'_, PyAny>) -> bool {
    let Some(shown) = shown_exactly(text) else {
        return false;
    };
    if has_hexadecimal(shown) {
        return false;
    }
    if !addresses::has_long_number(shown) {
        return true;
    }
    let address = object.as_ptr().addr();
    !addresses::spells(shown, u64::try_from(address).unwrap_or(u64::MAX))
        && !addresses::has_plausible(shown)
}

/// The characters of a repr, which may be an object of a subclass.
fn shown_exactly<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    let is_exact = text.is_exact_instance_of::<PyString>();
    is_exact.then(|| text.to_str().ok()).flatten()
}

fn has_hexadecimal(shown: &str) -> bool {
    // A search made for two bytes, in texts that are short as a rule.
    shown.as_bytes().windows(2).any(|pair| pair == b"0x")
}

/// Whether the repr of what is told apart by it can be looked up: there are time zones that print the
/// address of a file.
pub(crate) fn is_exact(text: &Bound<'_, PyString>) -> bool {
    shown_exactly(text).is_some_and(|shown| !has_hexadecimal(shown))
}

/// Whether `value` cannot be changed, and its repr shows all of it.
fn is_unchangeable(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(is_scalar(value)? && is_exact(&value.repr()?))
}

/// One look at an argument.
struct Look {
    /// What may be in it beside plain data.
    is_fine: fn(&Bound<'_, PyAny>) -> PyResult<bool>,
    /// How many parts may follow.
    left: u32,
}

impl Look {
    fn for_what(is_fine: fn(&Bound<'_, PyAny>) -> PyResult<bool>) -> Self {
        Self {
            is_fine,
            left: MOST_PARTS,
        }
    }

    /// Whether `value` is plain data, or made of it and of what is fine.
    fn is_all(&mut self, value: &Bound<'_, PyAny>, depth: u8) -> PyResult<bool> {
        if value.is_exact_instance_of::<PyString>()
            || value.is_exact_instance_of::<PyInt>()
            || value.is_none()
            || value.is_exact_instance_of::<PyBool>()
            || value.is_exact_instance_of::<PyFloat>()
            || value.is_exact_instance_of::<PyBytes>()
        {
            return Ok(true);
        }
        if depth == DEEPEST {
            return Ok(false);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            // Its iterator looks at the list's length each time.
            return self.are_all(list.iter(), depth + 1);
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.are_all(tuple.iter(), depth + 1);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            // That of a dict panics where another thread changes the dict.
            return Ok(self.are_all(dict.keys().iter(), depth + 1)?
                && self.are_all(dict.values().iter(), depth + 1)?);
        }
        (self.is_fine)(value)
    }

    fn are_all<'py>(
        &mut self,
        items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
        depth: u8,
    ) -> PyResult<bool> {
        let parts = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let Some(left) = self.left.checked_sub(parts) else {
            return Ok(false);
        };
        self.left = left;
        for item in items {
            if !self.is_all(&item, depth)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
