//! Which data its repr tells apart from any other.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use crate::memory::is_scalar;

/// Containers nested deeper than this take the ordinary path.
const DEEPEST: u8 = 32;

/// Whether `value` is built-in data all through, sets excepted: its repr is what stands in a key.
pub(super) fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    is_all(value, 0, |_| false)
}

/// Whether the repr of `value` tells it apart from others of its class: that of what cannot be
/// changed, and of containers of such data and of plain data. How it stands in a key is for the
/// ordinary path. Equal sets may print differently; then they are two calls of one key.
pub(super) fn is_told_by_repr(value: &Bound<'_, PyAny>) -> bool {
    if let Ok(set) = value.cast_exact::<PySet>() {
        return set.iter().all(|item| is_all(&item, 1, is_unchangeable));
    }
    if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
        return set.iter().all(|item| is_all(&item, 1, is_unchangeable));
    }
    is_all(value, 0, is_unchangeable)
}

/// Whether a repr identifies an object. An address does not: the ordinary path has a token for such an
/// object.
pub(super) fn is_telling(text: &Bound<'_, PyString>) -> bool {
    // A search made for two bytes, in texts that are short as a rule.
    let has_address = |shown: &str| shown.as_bytes().windows(2).any(|pair| pair == b"0x");
    text.is_exact_instance_of::<PyString>() && text.to_str().is_ok_and(|shown| !has_address(shown))
}

/// Whether `value` cannot be changed, and its repr shows all of it.
fn is_unchangeable(value: &Bound<'_, PyAny>) -> bool {
    is_scalar(value).unwrap_or(false) && value.repr().is_ok_and(|text| is_telling(&text))
}

/// Whether `value` is plain data, or made of it and of what `is_fine`.
fn is_all(value: &Bound<'_, PyAny>, depth: u8, is_fine: fn(&Bound<'_, PyAny>) -> bool) -> bool {
    if value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBytes>()
    {
        return true;
    }
    if depth == DEEPEST {
        return false;
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.iter().all(|item| is_all(&item, depth + 1, is_fine));
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return tuple
            .iter_borrowed()
            .all(|item| is_all(&item, depth + 1, is_fine));
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return dict.iter().all(|(key, item)| {
            is_all(&key, depth + 1, is_fine) && is_all(&item, depth + 1, is_fine)
        });
    }
    is_fine(value)
}
