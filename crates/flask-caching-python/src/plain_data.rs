//! `is_plain`: whether a value is certain to come back from its pickle as it was.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use crate::memory::is_scalar;

/// Nothing deeper, and so nothing that contains itself, counts as plain.
const DEEPEST: u8 = 20;

/// Whether `value` is made of Python's own lists, dicts, tuples, sets and values that cannot be
/// changed, at most 20 levels deep: none of them can be pickled and then not be read back.
#[pyfunction]
pub(crate) fn is_plain(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    is_plain_at(value, 0)
}

fn is_plain_at(value: &Bound<'_, PyAny>, depth: u8) -> PyResult<bool> {
    if is_scalar(value)? || value.is_exact_instance_of::<PyByteArray>() {
        return Ok(true);
    }
    if depth > DEEPEST {
        return Ok(false);
    }
    let all = |items: &mut dyn Iterator<Item = Bound<'_, PyAny>>| -> PyResult<bool> {
        for item in items {
            if !is_plain_at(&item, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if let Ok(list) = value.cast_exact::<PyList>() {
        // Not the list itself: a time zone that is asked for could change it.
        return all(&mut list.to_tuple().iter());
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return all(&mut tuple.iter());
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return Ok(all(&mut dict.keys().iter())? && all(&mut dict.values().iter())?);
    }
    if value.is_exact_instance_of::<PySet>() || value.is_exact_instance_of::<PyFrozenSet>() {
        let items = value.py().get_type::<PyTuple>().call1((value,))?;
        return all(&mut items.cast::<PyTuple>()?.iter());
    }
    Ok(false)
}
