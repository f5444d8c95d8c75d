//! What a view's call and a template fragment are found by: texts, in place of arguments.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDelta, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::Parts;
use super::part::Part;

/// A request as the decorated function hands it over.
pub(crate) struct Request<'a, 'py> {
    pub(crate) method: &'a Bound<'py, PyAny>,
    pub(crate) path: &'a Bound<'py, PyAny>,
    pub(crate) query: Option<&'a Bound<'py, PyAny>>,
}

impl<'a, 'py> Request<'a, 'py> {
    /// A request of all its parts; `None` where one is not given.
    #[inline]
    pub(crate) fn new(
        method: Option<&'a Bound<'py, PyAny>>,
        path: Option<&'a Bound<'py, PyAny>>,
        query: Option<&'a Bound<'py, PyAny>>,
    ) -> Option<Self> {
        Some(Self {
            method: method?,
            path: path?,
            query,
        })
    }
}

/// What of a request makes the key.
#[derive(Clone, Copy)]
pub(crate) struct RequestParts {
    pub(crate) path: bool,
    pub(crate) query: bool,
}

impl RequestParts {
    /// Reads what the key of a request is made of; `false` where its method or kind forbids a short
    /// cut.
    #[inline]
    pub(crate) fn read(
        self,
        py: Python<'_>,
        request: Option<&Request<'_, '_>>,
        parts: &mut Parts,
    ) -> PyResult<bool> {
        let mut parts = parts.reader(py);
        if self.path || self.query {
            let Some(request) = request else {
                return Ok(false);
            };
            match request.method.cast_exact::<PyString>() {
                Ok(method) if method == "GET" || method == "HEAD" => {}
                _ => return Ok(false),
            }
            if self.path {
                match request.path.cast_exact::<PyString>() {
                    Ok(path) => parts.take(Part::text(path))?,
                    Err(_) => return Ok(false),
                }
            }
            if self.query {
                match request.query.map(Bound::cast_exact::<PyBytes>) {
                    Some(Ok(query)) => parts.take(Part::Bytes(query.clone().unbind()))?,
                    _ => return Ok(false),
                }
            }
        }
        parts.finish();
        Ok(true)
    }
}

/// Reads the texts that a fragment is found by: what tells it apart where it has no name, its name and
/// its keys. `tag`: its timeout, its name, a list of its keys, and that mark. `false` where its timeout
/// may forbid a short cut, as that of a tag that deletes does (`no_timeout` stands for none), or its
/// name or one of its keys may have another text next time.
#[inline]
pub(crate) fn read_fragment(
    tag: &Bound<'_, PyTuple>,
    no_timeout: &str,
    parts: &mut Parts,
) -> PyResult<bool> {
    let timeout = tag.get_borrowed_item(0)?;
    let is_usual = match timeout.cast_exact::<PyString>() {
        Ok(timeout) => timeout == no_timeout,
        Err(_) => {
            is_number(&timeout) || timeout.is_none() || timeout.is_exact_instance_of::<PyDelta>()
        }
    };
    if !is_usual {
        return Ok(false);
    }
    let (name, keys, mark) = (tag.get_item(1)?, tag.get_item(2)?, tag.get_item(3)?);
    let mut texts = parts.reader(tag.py());
    for part in [mark, name].into_iter().chain(keys.cast::<PyList>()?) {
        match part.cast_into_exact::<PyString>() {
            Ok(text) => texts.take(Part::Text(text.unbind()))?,
            Err(error) => {
                let part = error.into_inner();
                if !(is_number(&part) || part.is_none()) {
                    return Ok(false);
                }
                texts.take(Part::Text(part.str()?.unbind()))?;
            }
        }
    }
    texts.finish();
    Ok(true)
}

#[inline]
fn is_number(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
}
