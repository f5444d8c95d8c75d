//! What is taken of a response when its view has made it, and a response that is sent as it is.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::answer::Answer;
use super::headers::PageHeaders;
use super::layout::{BODY, HEADERS, RENDITIONS, STATUS, is_complete};

/// What of a response is stored: immutable, whatever becomes of the response.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageTaken {
    pub(super) status: Py<PyString>,
    pub(crate) headers: PageHeaders,
    pub(super) body: Py<PyBytes>,
}

#[pymethods]
impl PageTaken {
    /// The names in `Vary`, in lower case.
    #[getter]
    fn vary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.headers.vary(py)
    }

    /// Whether a server sends its headers as they are.
    #[getter]
    pub(crate) fn is_complete(&self, py: Python<'_>) -> PyResult<bool> {
        is_complete(self.status.bind(py), self.headers.kept.bind(py))
    }

    /// Whether a response still has what was taken from it.
    pub(super) fn is_in(&self, response: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = response.py();
        is_in(
            response,
            self.status.bind(py),
            self.headers.kept.bind(py),
            self.body.bind(py).as_any(),
        )
    }

    /// The page with other headers.
    ///
    /// - `pairs`: names and values.
    fn with_headers(&self, pairs: &Bound<'_, PyList>) -> PyResult<Self> {
        let py = pairs.py();
        Ok(Self {
            status: self.status.clone_ref(py),
            headers: PageHeaders::new(pairs)?,
            body: self.body.clone_ref(py),
        })
    }
}

/// Whether a response still has what it was made of, a stored page.
#[pyfunction]
pub(crate) fn page_is_in(page: &Bound<'_, PyTuple>, response: &Bound<'_, PyAny>) -> PyResult<bool> {
    let renditions = page.get_item(RENDITIONS)?.cast_into::<PyTuple>()?;
    let identity = renditions.get_item(0)?.cast_into::<PyTuple>()?;
    let (status, headers) = (page.get_item(STATUS)?, page.get_item(HEADERS)?);
    is_in(
        response,
        status.cast()?,
        headers.cast()?,
        &identity.get_item(BODY)?,
    )
}

fn is_in(
    response: &Bound<'_, PyAny>,
    status: &Bound<'_, PyString>,
    headers: &Bound<'_, PyTuple>,
    body: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let py = response.py();
    let parts = response.getattr(intern!(py, "response"))?;
    let has_body = |parts: &Bound<'_, PyList>| {
        parts.len() == 1 && parts.get_item(0).is_ok_and(|part| part.is(body))
    };
    if !parts.cast_exact::<PyList>().is_ok_and(has_body)
        || !response.getattr(intern!(py, "status"))?.eq(status)?
    {
        return Ok(false);
    }
    let now = response.getattr(intern!(py, "headers"))?;
    // An application may have put something else in their place.
    let Some(pairs) = now.getattr_opt(intern!(py, "_list"))? else {
        return Ok(false);
    };
    let pairs = pairs.cast_into::<PyList>()?;
    if pairs.len() != headers.len() {
        return Ok(false);
    }
    for (one, other) in pairs.iter().zip(headers.iter_borrowed()) {
        if !one.is(&*other) && !one.eq(other)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The names and values of a response's headers.
pub(super) fn pairs_of<'py>(response: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let py = response.py();
    let headers = response.getattr(intern!(py, "headers"))?;
    Ok(headers.getattr(intern!(py, "_list"))?.cast_into()?)
}

/// Why the body of a response is not stored; or it.
pub(super) fn body_of<'py>(
    response: &Bound<'py, PyAny>,
    most_bytes: usize,
) -> PyResult<Result<Bound<'py, PyBytes>, &'static str>> {
    let py = response.py();
    let parts = response.getattr(intern!(py, "response"))?;
    let list = parts.cast_exact::<PyList>();
    let passes_through = response.getattr(intern!(py, "direct_passthrough"))?;
    if passes_through.is_truthy()?
        || (list.is_err() && !response.getattr(intern!(py, "is_sequence"))?.is_truthy()?)
    {
        return Ok(Err("streamed"));
    }
    if is_closed_by_somebody(response)? {
        return Ok(Err("call-on-close"));
    }
    let of_size = |body: Bound<'py, PyBytes>| {
        if body.as_bytes().len() > most_bytes {
            Err("too-large")
        } else {
            Ok(body)
        }
    };
    if let Ok(list) = list
        && list.len() == 1
        && let Ok(body) = list.get_item(0)?.cast_into_exact::<PyBytes>()
    {
        return Ok(of_size(body));
    }
    let mut size = 0_usize;
    for part in parts.try_iter()? {
        // Of text, at least as many.
        size = size.saturating_add(part?.len()?);
        if size > most_bytes {
            return Ok(Err("too-large"));
        }
    }
    let body = response.call_method0(intern!(py, "get_data"))?;
    Ok(of_size(body.cast_into()?))
}

/// Whether somebody wants to know when a response is closed.
fn is_closed_by_somebody(response: &Bound<'_, PyAny>) -> PyResult<bool> {
    match response.getattr_opt(intern!(response.py(), "_on_close"))? {
        Some(functions) => functions.is_truthy(),
        None => Ok(false),
    }
}

/// Lets a response be an answer that needs nothing but to be sent: what completes it takes longer than all
/// the rest. As `flask_caching.pages.sent.send`.
///
/// - `sending`: the class that sends it so.
pub(crate) fn send(
    response: &Bound<'_, PyAny>,
    answer: Answer<'_>,
    environ: &Bound<'_, PyDict>,
    sending: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = response.py();
    let (status, headers, body) = answer;
    let pairs = pairs_of(response)?;
    pairs.set_slice(0, pairs.len(), headers.as_any())?;
    if let Some(sending) = sending
        && !is_closed_by_somebody(response)?
    {
        let parts = response.getattr(intern!(py, "response"))?;
        response.setattr(intern!(py, "__class__"), sending)?;
        let sent = (environ, status, headers, body, parts);
        response.setattr(intern!(py, "_flask_caching_sent"), sent)?;
    }
    Ok(())
}
