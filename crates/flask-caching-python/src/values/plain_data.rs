//! `is_plain`: whether a value is certain to come back from its pickle as it was.

use foldhash::{HashSet, HashSetExt};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use crate::error::unless_raised;
use crate::memory::is_scalar;

/// Whether `value` is made of Python's own lists, dicts, tuples, sets and values that cannot be
/// changed: none of them can be pickled and then not be read back.
///
/// Each part is looked at once, whatever refers to what, and however deep. What another thread changes
/// meanwhile may be called not plain.
#[pyfunction]
pub(crate) fn is_plain(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let looked = Walk::default().over(value).map(Some);
    Ok(unless_raised(value.py(), looked)?.unwrap_or(false))
}

/// One walk over a value.
#[derive(Default)]
struct Walk<'py> {
    /// The containers that were met, by address; some of them are still to be looked into. They are
    /// kept, as another thread may let go of them.
    seen: Option<HashSet<usize>>,
    met: Vec<Bound<'py, PyAny>>,
}

impl<'py> Walk<'py> {
    /// Whether all of `value` is plain.
    fn over(mut self, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        if !self.meet(value)? {
            return Ok(false);
        }
        let mut at = 0;
        while let Some(container) = self.met.get(at).cloned() {
            if !self.look_into(&container)? {
                return Ok(false);
            }
            at += 1;
        }
        Ok(true)
    }

    /// Whether `value` may be plain; what it holds is looked at later.
    fn meet(&mut self, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        if is_scalar(value)? || value.is_exact_instance_of::<PyByteArray>() {
            return Ok(true);
        }
        let is_container = value.is_exact_instance_of::<PyList>()
            || value.is_exact_instance_of::<PyTuple>()
            || value.is_exact_instance_of::<PyDict>()
            || value.is_exact_instance_of::<PySet>()
            || value.is_exact_instance_of::<PyFrozenSet>();
        if is_container {
            let seen = self.seen.get_or_insert_with(HashSet::new);
            if seen.insert(value.as_ptr().addr()) {
                self.met.push(value.clone());
            }
        }
        Ok(is_container)
    }

    fn look_into(&mut self, container: &Bound<'py, PyAny>) -> PyResult<bool> {
        if let Ok(tuple) = container.cast_exact::<PyTuple>() {
            self.meet_all(tuple.iter())
        } else if let Ok(dict) = container.cast_exact::<PyDict>() {
            Ok(self.meet_all(dict.keys().iter())? && self.meet_all(dict.values().iter())?)
        } else {
            // Not the list or set itself: a time zone that is asked for could change it.
            let items = container.py().get_type::<PyTuple>().call1((container,))?;
            self.meet_all(items.cast::<PyTuple>()?.iter())
        }
    }

    fn meet_all(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<bool> {
        for item in items {
            if !self.meet(&item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
