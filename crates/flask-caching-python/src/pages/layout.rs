//! A stored page as the in-process store hands it out by reference: a tuple of immutable things,
//!
//! `("page", status, headers, added, stored, lifetime, while_refreshed, if_error, last_modified,
//! renditions, is_complete)`,
//!
//! the times in milliseconds; whether a server sends the headers as they are. A rendition is what is answered in one coding: `(coding, body, etag,
//! headers, bare)`, the last two with what is added to them, and for an answer without a body. The first
//! is the body as it is, whose coding is `""`.

use std::time::Duration;

use flask_caching_engine::page::{Coding, Header, Variant};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use smallvec::SmallVec;

use super::headers::name_of;
use super::{from_latin1, latin1};

pub(crate) const STATUS: usize = 1;
pub(crate) const HEADERS: usize = 2;
const ADDED: usize = 3;
pub(crate) const STORED: usize = 4;
pub(crate) const LIFETIME: usize = 5;
pub(crate) const WHILE_REFRESHED: usize = 6;
pub(crate) const IF_ERROR: usize = 7;
pub(crate) const LAST_MODIFIED: usize = 8;
pub(crate) const RENDITIONS: usize = 9;
pub(crate) const IS_COMPLETE: usize = 10;
const LENGTH: usize = 11;

pub(crate) const CODING: usize = 0;
pub(crate) const BODY: usize = 1;
pub(crate) const ETAG: usize = 2;
pub(crate) const FULL: usize = 3;
pub(crate) const BARE: usize = 4;

const MARK: &str = "page";

/// What describes a body, and is not sent where there is none (RFC 9110, 15.4.5).
const OF_THE_BODY: [&str; 6] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-range",
    "content-type",
];

/// What a page is made of.
pub(super) struct PageParts<'py> {
    pub(super) status: Bound<'py, PyString>,
    pub(super) headers: Bound<'py, PyTuple>,
    pub(super) added: Bound<'py, PyTuple>,
    pub(super) stored: u64,
    pub(super) lifetime: u64,
    pub(super) while_refreshed: u64,
    pub(super) if_error: u64,
    pub(super) body: Bound<'py, PyBytes>,
    pub(super) etag: Bound<'py, PyString>,
    pub(super) variants: Vec<Variant>,
}

/// Names and values of headers, which are few as a rule.
type Pairs<'py> = SmallVec<[Bound<'py, PyAny>; 16]>;

/// Whether a value is laid out as a page.
pub(crate) fn is_page(value: &Bound<'_, PyAny>) -> bool {
    let Ok(page) = value.cast_exact::<PyTuple>() else {
        return false;
    };
    let is_mark =
        |mark: Bound<'_, PyAny>| matches!(mark.cast_exact::<PyString>(), Ok(mark) if mark == MARK);
    page.len() == LENGTH && page.get_item(0).is_ok_and(is_mark)
}

/// A time in milliseconds.
pub(super) fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds in milliseconds; none where they are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is less than 0 is 0, and what is too large the largest"
)]
pub(super) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// A page, with what is answered from it.
pub(super) fn assemble<'py>(
    py: Python<'py>,
    parts: &PageParts<'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut renditions = vec![rendition(parts, None)?];
    for variant in &parts.variants {
        renditions.push(rendition(parts, Some(variant))?);
    }
    let mut last_modified = None;
    for pair in parts.headers.iter_borrowed() {
        if name_of(&pair)?
            .to_string_lossy()
            .eq_ignore_ascii_case("last-modified")
        {
            last_modified = Some(pair.cast::<PyTuple>()?.get_item(1)?);
            break;
        }
    }
    let page = (
        MARK,
        &parts.status,
        &parts.headers,
        &parts.added,
        parts.stored,
        parts.lifetime,
        parts.while_refreshed,
        parts.if_error,
        last_modified,
        PyTuple::new(py, renditions)?,
        is_complete(&parts.status, &parts.headers)?,
    );
    page.into_pyobject(py)
}

/// Whether a server sends headers as they are: they have a length, and no URL that is made absolute.
pub(crate) fn is_complete(
    status: &Bound<'_, PyString>,
    headers: &Bound<'_, PyTuple>,
) -> PyResult<bool> {
    let mut has_length = false;
    for pair in headers.iter_borrowed() {
        let name = name_of(&pair)?;
        let name = name.to_string_lossy();
        match name.len() {
            8 if name.eq_ignore_ascii_case("location") => return Ok(false),
            14 if name.eq_ignore_ascii_case("content-length") => has_length = true,
            16 if name.eq_ignore_ascii_case("content-location") => return Ok(false),
            _ => {}
        }
    }
    // What has no body has other headers than these (RFC 9110, 8.6).
    Ok(has_length && !is_without_body(status))
}

/// What a page was made of; `None`: it is none.
pub(super) fn take_apart<'py>(value: &Bound<'py, PyAny>) -> Option<PageParts<'py>> {
    if !is_page(value) {
        return None;
    }
    let page = value.cast_exact::<PyTuple>().ok()?;
    let item = |at| page.get_item(at).ok();
    let number = |at| item(at)?.extract().ok();
    let renditions = item(RENDITIONS)?.cast_into::<PyTuple>().ok()?;
    let mut renditions = renditions.iter().map(|it| it.cast_into::<PyTuple>().ok());
    let identity = renditions.next()??;
    let mut variants = Vec::new();
    for rendition in renditions {
        let rendition = rendition?;
        let text = |at| rendition.get_item(at).ok()?.cast_into::<PyString>().ok();
        let body = rendition.get_item(BODY).ok()?;
        variants.push(Variant {
            coding: Coding::from_name(&text(CODING)?.to_string_lossy())?,
            etag: latin1(&text(ETAG)?).into_owned(),
            body: body.cast::<PyBytes>().ok()?.as_bytes().to_vec(),
        });
    }
    Some(PageParts {
        status: item(STATUS)?.cast_into().ok()?,
        headers: item(HEADERS)?.cast_into().ok()?,
        added: item(ADDED)?.cast_into().ok()?,
        stored: number(STORED)?,
        lifetime: number(LIFETIME)?,
        while_refreshed: number(WHILE_REFRESHED)?,
        if_error: number(IF_ERROR)?,
        body: identity.get_item(BODY).ok()?.cast_into().ok()?,
        etag: identity.get_item(ETAG).ok()?.cast_into().ok()?,
        variants,
    })
}

fn rendition<'py>(
    parts: &PageParts<'py>,
    variant: Option<&Variant>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = parts.status.py();
    let (body, etag) = match variant {
        None => (parts.body.clone(), parts.etag.clone()),
        Some(variant) => {
            let body = PyBytes::new(py, &variant.body);
            (body, from_latin1(py, &variant.etag))
        }
    };
    let mut full = Pairs::new();
    match variant {
        None => full.extend(parts.headers.iter().chain(&parts.added)),
        Some(variant) => {
            encoded(&parts.headers, &body, &etag, &mut full)?;
            let coding = ("Content-Encoding", variant.coding.name());
            full.push(coding.into_pyobject(py)?.into_any());
            encoded(&parts.added, &body, &etag, &mut full)?;
        }
    }
    let mut bare = SmallVec::<[_; 16]>::new();
    for pair in &full {
        if !is_of_the_body(&name_of(pair)?.to_string_lossy()) {
            bare.push(pair);
        }
    }
    let coding = variant.map_or("", |variant| variant.coding.name());
    let (full, bare) = (PyTuple::new(py, &full)?, PyTuple::new(py, bare)?);
    (coding, body, etag, full, bare).into_pyobject(py)
}

/// Adds `pairs` to the headers of a body in another coding, as that has them.
fn encoded<'py>(
    pairs: &Bound<'py, PyTuple>,
    body: &Bound<'py, PyBytes>,
    etag: &Bound<'py, PyString>,
    full: &mut Pairs<'py>,
) -> PyResult<()> {
    let py = body.py();
    for pair in pairs {
        let name = name_of(&pair)?;
        let text = name.to_string_lossy();
        let value = if text.eq_ignore_ascii_case("content-length") {
            PyString::new(py, &body.as_bytes().len().to_string())
        } else if text.eq_ignore_ascii_case("etag") {
            etag.clone()
        } else {
            full.push(pair);
            continue;
        };
        drop(text);
        full.push((name, value).into_pyobject(py)?.into_any());
    }
    Ok(())
}

/// Whether an answer of this status has no body, whatever its view has made (RFC 9110, 6.4.1).
pub(super) fn is_without_body(status: &Bound<'_, PyString>) -> bool {
    let status = status.to_string_lossy();
    status.starts_with('1') || status.starts_with("204") || status.starts_with("304")
}

fn is_of_the_body(name: &str) -> bool {
    OF_THE_BODY
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other))
}

pub(super) fn from_pairs(pairs: &Bound<'_, PyTuple>) -> Option<Vec<Header>> {
    pairs
        .iter()
        .map(|pair| {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = pair.extract().ok()?;
            Some((latin1(&name).into_owned(), latin1(&value).into_owned()))
        })
        .collect()
}

pub(super) fn to_pairs<'py>(py: Python<'py>, headers: &[Header]) -> PyResult<Bound<'py, PyTuple>> {
    let pairs = headers
        .iter()
        .map(|(name, value)| (from_latin1(py, name), from_latin1(py, value)));
    PyTuple::new(py, pairs)
}
