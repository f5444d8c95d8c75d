//! Pages as bytes, for the stores that keep bytes.

use flask_caching_engine::page;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::form::{from_engine, to_engine};
use super::layout::{assemble, take_apart};

/// The bytes of a page, or None: it is none.
#[pyfunction]
pub(crate) fn page_encode<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyBytes>> {
    let page = to_engine(&take_apart(value)?)?;
    Some(PyBytes::new(py, &page::encode(&page)))
}

/// The page that `data` holds, or None: it begins otherwise.
///
/// :raises ValueError: it begins as a page does, and is none that can be read.
#[pyfunction]
pub(crate) fn page_decode<'py>(
    py: Python<'py>,
    data: &[u8],
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    if !page::is_page(data) {
        return Ok(None);
    }
    let page = page::decode(data).ok_or_else(|| {
        pyo3::exceptions::PyValueError::new_err("it begins as a page, and cannot be read")
    })?;
    assemble(py, &from_engine(py, page)?).map(Some)
}
