//! Pages as bytes, for the stores that keep bytes.

use flask_caching_engine::page::{self, Header, Page};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::{from_latin1, latin1};

/// A stored page as it is handed over.
type Fields<'py> = (
    Bound<'py, PyString>,
    Bound<'py, PyString>,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
    Bound<'py, PyBytes>,
    Bound<'py, PyString>,
    u64,
    u64,
);

/// The bytes of a page, or None: it is none.
#[pyfunction]
pub(crate) fn page_encode<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyBytes>> {
    let (mark, status, headers, added, body, etag, stored, lifetime): Fields<'py> =
        value.extract().ok()?;
    if mark.to_str().ok()? != "page" {
        return None;
    }
    let page = Page {
        status: latin1(&status).into_owned(),
        headers: from_pairs(&headers)?,
        added: from_pairs(&added)?,
        body: body.as_bytes().to_vec(),
        etag: latin1(&etag).into_owned(),
        stored,
        lifetime,
    };
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
    let fields = (
        "page",
        from_latin1(py, &page.status),
        to_pairs(py, &page.headers)?,
        to_pairs(py, &page.added)?,
        PyBytes::new(py, &page.body),
        from_latin1(py, &page.etag),
        page.stored,
        page.lifetime,
    );
    fields.into_pyobject(py).map(Some)
}

fn from_pairs(pairs: &Bound<'_, PyTuple>) -> Option<Vec<Header>> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = pair.extract().ok()?;
            Some((latin1(&name).into_owned(), latin1(&value).into_owned()))
        })
        .collect()
}

fn to_pairs<'py>(py: Python<'py>, headers: &[Header]) -> PyResult<Bound<'py, PyTuple>> {
    let pairs = headers
        .iter()
        .map(|(name, value)| (from_latin1(py, name), from_latin1(py, value)));
    PyTuple::new(py, pairs)
}
