//! What a request is answered from a stored page.

use flask_caching_engine::page::{self, Coding, Conditions, Standing};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use super::layout::{
    BARE, BODY, CODING, ETAG, FULL, LAST_MODIFIED, LIFETIME, RENDITIONS, STATUS, STORED,
    is_without_body,
};
use super::text;

/// An answer of WSGI: status, headers and body.
pub(super) type Answer<'py> = (Bound<'py, PyAny>, Bound<'py, PyList>, Bound<'py, PyList>);

/// Headers with a number of seconds that are kept once they were made: to make two of them takes as long as a
/// sixth of an answer.
type Numbered = [PyOnceLock<Py<PyTuple>>; 600];

static AGES: Numbered = [const { PyOnceLock::new() }; 600];
static TTLS: Numbered = [const { PyOnceLock::new() }; 600];

const CACHE_STATUS: &str = "Cache-Status";

/// A header with a number in it: its name and value.
fn numbered<'py, N: Copy + Into<i128>>(
    py: Python<'py>,
    known: &'static Numbered,
    number: N,
    make: impl Fn(N) -> (&'static str, String),
) -> PyResult<Bound<'py, PyTuple>> {
    let make = || make(number).into_pyobject(py);
    let at = usize::try_from(number.into()).unwrap_or(usize::MAX);
    match known.get(at) {
        Some(place) => {
            let header = place.get_or_try_init(py, || make().map(Bound::unbind))?;
            Ok(header.bind(py).clone())
        }
        None => make(),
    }
}

/// What a stored page answers to a request: the status, the headers, and the body in a list.
///
/// - `said`: what `Cache-Status` is to say; None: how fresh the page is.
/// - `is_new`: whether the page was made for this request, and has no age but one that it came with.
#[pyfunction]
#[pyo3(signature = (page, environ, says_status, said = None, is_new = false))]
pub(crate) fn page_answer<'py>(
    page: &Bound<'py, PyTuple>,
    environ: &Bound<'py, PyDict>,
    says_status: bool,
    said: Option<&str>,
    is_new: bool,
) -> PyResult<Answer<'py>> {
    let py = page.py();
    let rendition = page_rendition(page, environ)?;
    let status = page.get_item(STATUS)?;
    let is_unchanged =
        asks_whether_changed(environ)? && is_ok(&status)? && is_known(page, &rendition, environ)?;
    let headers = rendition.get_borrowed_item(if is_unchanged { BARE } else { FULL })?;
    let headers = headers.cast::<PyTuple>()?.to_list();
    let lifetime = page.get_borrowed_item(LIFETIME)?.extract()?;
    let Standing { age, ttl } =
        page::standing(page.get_borrowed_item(STORED)?.extract()?, lifetime);
    if !is_new || age > 0 {
        headers.append(numbered(py, &AGES, age, |age| ("Age", age.to_string()))?)?;
    }
    if says_status {
        let status = match (said, ttl) {
            (Some(said), _) => (CACHE_STATUS, said).into_pyobject(py)?,
            (None, None) => (CACHE_STATUS, "flask-caching; hit").into_pyobject(py)?,
            (None, Some(ttl)) => numbered(py, &TTLS, ttl, |ttl| {
                (CACHE_STATUS, format!("flask-caching; hit; ttl={ttl}"))
            })?,
        };
        headers.append(status)?;
    }
    if is_unchanged {
        let status = intern!(py, "304 NOT MODIFIED").clone().into_any();
        return Ok((status, headers, PyList::empty(py)));
    }
    let body = if is_head(environ)? || is_without_body(status.cast()?) {
        PyList::empty(py)
    } else {
        PyList::new(py, [rendition.get_item(BODY)?])?
    };
    Ok((status, headers, body))
}

/// The rendition of a page that a request is answered with, by its `Accept-Encoding`: its coding, body and
/// entity tag, and the headers with a body and without.
#[pyfunction]
pub(crate) fn page_rendition<'py>(
    page: &Bound<'py, PyTuple>,
    environ: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = page.py();
    let renditions = page.get_item(RENDITIONS)?.cast_into::<PyTuple>()?;
    let mut at = 0;
    if renditions.len() > 1
        && let Some(accept) = text(environ, intern!(py, "HTTP_ACCEPT_ENCODING"))?
    {
        let mut codings: SmallVec<[Coding; 3]> = SmallVec::new();
        for rendition in renditions.iter_borrowed().skip(1) {
            let coding = rendition.cast::<PyTuple>()?.get_item(CODING)?;
            codings.extend(Coding::from_name(coding.cast::<PyString>()?.to_str()?));
        }
        let chosen = page::choose(&accept.to_string_lossy(), &codings);
        at = chosen.map_or(0, |chosen| chosen + 1);
    }
    Ok(renditions.get_item(at)?.cast_into()?)
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
    let none_match = none_match.as_ref().map(|text| text.to_string_lossy());
    let since = since.as_ref().map(|text| text.to_string_lossy());
    let conditions = Conditions {
        none_match: none_match.as_deref(),
        modified_since: since.as_deref(),
    };
    let etag = etag.filter(|etag| !etag.is_empty());
    Ok(page::is_unchanged(conditions, etag, last_modified))
}

/// How many whole seconds a page is old, and how many it stays fresh; None: for ever.
#[pyfunction]
pub(crate) fn page_standing(page: &Bound<'_, PyTuple>) -> PyResult<(u64, Option<i64>)> {
    let stored = page.get_borrowed_item(STORED)?.extract()?;
    let lifetime = page.get_borrowed_item(LIFETIME)?.extract()?;
    let Standing { age, ttl } = page::standing(stored, lifetime);
    Ok((age, ttl))
}

fn is_known(
    page: &Bound<'_, PyTuple>,
    rendition: &Bound<'_, PyTuple>,
    environ: &Bound<'_, PyDict>,
) -> PyResult<bool> {
    let etag = rendition.get_item(ETAG)?.cast_into::<PyString>()?;
    let modified = page.get_item(LAST_MODIFIED)?;
    let modified = modified.cast::<PyString>().ok();
    let modified = modified.map(|modified| modified.to_string_lossy());
    page_unchanged(environ, Some(&etag.to_string_lossy()), modified.as_deref())
}

fn asks_whether_changed(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = environ.py();
    Ok(environ.contains(intern!(py, "HTTP_IF_NONE_MATCH"))?
        || environ.contains(intern!(py, "HTTP_IF_MODIFIED_SINCE"))?)
}

fn is_ok(status: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(status
        .cast::<PyString>()?
        .to_string_lossy()
        .starts_with("200"))
}

fn is_head(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    let method = text(environ, intern!(environ.py(), "REQUEST_METHOD"))?;
    Ok(method.is_some_and(|method| method == "HEAD"))
}
