//! Values that cannot be changed, and so are handed out by reference: those of Python's own classes,
//! and of the classes of `flask_caching.values.immutable`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyType};

/// A class, and the attribute of its objects that must not be changeable either.
type Class = (Py<PyType>, Option<Py<PyString>>);

/// Whether `value` has no parts that could be changed, and no parts that are walked into.
#[inline]
pub(crate) fn is_scalar(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
    {
        return Ok(true);
    }
    match find(value)? {
        None => Ok(false),
        Some((_, None)) => Ok(true),
        Some((_, Some(attribute))) => {
            let part = value.getattr(attribute)?;
            Ok(part.is_none() || matches!(find(&part)?, Some((_, None))))
        }
    }
}

fn find<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<&'py Class>> {
    static CLASSES: PyOnceLock<Vec<Class>> = PyOnceLock::new();
    let py = value.py();
    let classes = CLASSES.get_or_try_init(py, || {
        let classes = py
            .import("flask_caching.values.immutable")?
            .getattr("IMMUTABLE")?
            .cast_into::<PyDict>()?;
        classes
            .iter()
            .map(|(class, attribute)| Ok((class.extract()?, attribute.extract()?)))
            .collect::<PyResult<_>>()
    })?;
    let class = value.get_type();
    Ok(classes.iter().find(|(known, _)| class.is(known)))
}
