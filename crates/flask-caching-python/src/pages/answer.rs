//! What a request is answered from a stored page.

use flask_caching_engine::clock;
use flask_caching_engine::page::{self, Conditions, Standing};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::text;

/// What describes a body, and is not sent where there is none (RFC 9110, 15.4.5).
const OF_THE_BODY: [&str; 6] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-range",
    "content-type",
];

/// An answer of WSGI: status, headers and body.
type Answer<'py> = (Bound<'py, PyAny>, Bound<'py, PyList>, Bound<'py, PyList>);

/// What a stored page answers to a request: the status, the headers, and the body in a list.
///
/// - `says_status`: whether `Cache-Status` is among the headers.
#[pyfunction]
pub(crate) fn page_answer<'py>(
    page: &Bound<'py, PyTuple>,
    environ: &Bound<'py, PyDict>,
    says_status: bool,
) -> PyResult<Answer<'py>> {
    let py = page.py();
    let headers = page.get_borrowed_item(2)?.cast::<PyTuple>()?.to_list();
    for added in page
        .get_borrowed_item(3)?
        .cast::<PyTuple>()?
        .iter_borrowed()
    {
        headers.append(added)?;
    }
    let lifetime = page.get_borrowed_item(7)?.extract()?;
    let Standing { age, ttl } = page::standing(page.get_borrowed_item(6)?.extract()?, lifetime);
    headers.append((intern!(py, "Age"), age.to_string()))?;
    if says_status {
        let hit = match ttl {
            Some(ttl) => format!("flask-caching; hit; ttl={ttl}"),
            None => "flask-caching; hit".to_owned(),
        };
        headers.append((intern!(py, "Cache-Status"), hit))?;
    }
    let status = page.get_item(1)?;
    let etag = page.get_item(5)?.cast_into::<PyString>()?;
    if asks_whether_changed(environ)? && is_ok(&status)? && {
        let modified = header(&headers, "last-modified")?;
        page_unchanged(environ, Some(etag.to_str()?), modified.as_deref())?
    } {
        let status = intern!(py, "304 NOT MODIFIED").clone().into_any();
        return Ok((status, without_body(&headers)?, PyList::empty(py)));
    }
    let body = if is_head(environ)? {
        PyList::empty(py)
    } else {
        PyList::new(py, [page.get_item(4)?])?
    };
    Ok((status, headers, body))
}

/// Whether the client of a request has an answer with this entity tag and `Last-Modified` already.
#[pyfunction]
#[pyo3(signature = (environ, etag, last_modified))]
pub(crate) fn page_unchanged(
    environ: &Bound<'_, PyDict>,
    etag: Option<&str>,
    last_modified: Option<&str>,
) -> PyResult<bool> {
    let py = environ.py();
    let none_match = text(environ, intern!(py, "HTTP_IF_NONE_MATCH"))?;
    let since = text(environ, intern!(py, "HTTP_IF_MODIFIED_SINCE"))?;
    let conditions = Conditions {
        none_match: none_match.as_ref().map(|text| text.to_str()).transpose()?,
        modified_since: since.as_ref().map(|text| text.to_str()).transpose()?,
    };
    let etag = etag.filter(|etag| !etag.is_empty());
    Ok(page::is_unchanged(conditions, etag, last_modified))
}

/// A strong entity tag of a body.
#[pyfunction]
pub(crate) fn page_etag(body: &[u8]) -> String {
    page::etag(body)
}

/// The time that pages are stored with: milliseconds since 1970.
#[pyfunction]
pub(crate) fn page_clock() -> u64 {
    u64::try_from(clock::wall().as_millis()).unwrap_or(u64::MAX)
}

/// How many seconds lie between now and a date of HTTP; None: it is none.
#[pyfunction]
pub(crate) fn page_seconds_until(date: &str) -> Option<f64> {
    page::seconds_until(date, clock::wall())
}

fn asks_whether_changed(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    Ok(environ.contains(intern!(py, "HTTP_IF_NONE_MATCH"))?
        || environ.contains(intern!(py, "HTTP_IF_MODIFIED_SINCE"))?)
}

fn is_ok(status: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(status.cast::<PyString>()?.to_str()?.starts_with("200"))
}

fn is_head(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let method = text(environ, intern!(environ.py(), "REQUEST_METHOD"))?;
    Ok(method.is_some_and(|method| method == "HEAD"))
}

fn header(headers: &Bound<'_, PyList>, wanted: &str) -> PyResult<Option<String>> {
    for pair in headers {
        let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = pair.extract()?;
        if name.to_str()?.eq_ignore_ascii_case(wanted) {
            return value.extract().map(Some);
        }
    }
    Ok(None)
}

fn without_body<'py>(headers: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let kept = PyList::empty(headers.py());
    for pair in headers {
        let name = pair
            .cast::<PyTuple>()?
            .get_item(0)?
            .cast_into::<PyString>()?;
        let name = name.to_str()?;
        if !OF_THE_BODY
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
        {
            kept.append(pair)?;
        }
    }
    Ok(kept)
}
