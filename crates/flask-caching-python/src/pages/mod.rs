//! Whole answers of HTTP: `_engine.PageRule`, what is made of a stored page, and the callable in front
//! of an application.

mod answer;
mod bytes;
mod form;
mod front;
mod guards;
mod headers;
pub(crate) mod layout;
mod passage;
mod rule;
mod taken;

pub(crate) use answer::{page_answer, page_rendition, page_standing, page_unchanged};
pub(crate) use bytes::{page_decode, page_encode};
pub(crate) use form::PageForm;
pub(crate) use front::{PageFront, TURN};
pub(crate) use guards::{GuardName, PageGuards, page_guards, page_guards_of};
pub(crate) use headers::PageHeaders;
pub(crate) use passage::{HeaderReads, NoteReads, PagePassage, PageView, header_reads};
pub(crate) use rule::{PageRule, is_authorized};
pub(crate) use taken::{PageTaken, page_is_in, send};

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The text that a WSGI environment has under `key`, if it has one.
fn text<'py>(
    environ: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    Ok(environ
        .get_item(key)?
        .and_then(|value| value.cast_into::<PyString>().ok()))
}

/// The bytes of a text of WSGI, each of whose characters is one of them.
fn latin1<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, [u8]> {
    let lossy = || text.to_string_lossy();
    match text.to_str() {
        Ok(ascii) if ascii.is_ascii() => Cow::Borrowed(ascii.as_bytes()),
        _ => Cow::Owned(
            lossy()
                .chars()
                .flat_map(|character| match u8::try_from(u32::from(character)) {
                    Ok(byte) => vec![byte],
                    Err(_) => character.to_string().into_bytes(),
                })
                .collect(),
        ),
    }
}

/// The text of WSGI that stands for bytes.
fn from_latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    PyString::new(py, &text)
}
