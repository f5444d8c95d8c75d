//! How the pages of one decorated view are made.

use flask_caching_engine::clock;
use flask_caching_engine::page::{self, Coding, Page, Variant};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::headers::PageHeaders;
use super::layout::{self, Parts};
use super::{from_latin1, latin1};

/// How the pages of one decorated view are made of its answers.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageForm {
    /// The request headers that count, and `Cookie` where cookies do.
    vary: Vec<String>,
    /// Whether an answer of status 200 without an entity tag gets one.
    makes_etag: bool,
    codings: Vec<Coding>,
}

#[pymethods]
impl PageForm {
    #[new]
    fn new(vary: Vec<String>, makes_etag: bool, codings: Vec<String>) -> PyResult<Self> {
        let coding = |name: &String| {
            Coding::from_name(name)
                .ok_or_else(|| PyValueError::new_err(format!("{name:?} is no coding")))
        };
        Ok(Self {
            vary,
            makes_etag,
            codings: codings.iter().map(coding).collect::<PyResult<_>>()?,
        })
    }

    /// The page of an answer.
    ///
    /// - `status`: as in `200 OK`.
    /// - `lifetime`: seconds for which it is fresh from now on; 0: for ever.
    /// - `windows`: seconds for which it is answered after that while it is refreshed, and where that
    ///   fails.
    fn make<'py>(
        &self,
        py: Python<'py>,
        status: &Bound<'py, PyString>,
        headers: &PageHeaders,
        body: &Bound<'py, PyBytes>,
        lifetime: f64,
        windows: (f64, f64),
    ) -> PyResult<Bound<'py, PyTuple>> {
        let bytes = body.as_bytes();
        let is_ok = status.to_string_lossy().starts_with("200");
        let made =
            (self.makes_etag && is_ok && headers.facts.etag.is_none()).then(|| page::etag(bytes));
        let variants = if headers.facts.may_be_encoded() && !self.codings.is_empty() {
            let own = headers.facts.etag.as_deref();
            py.detach(|| self.variants(bytes, own, made.is_some()))
        } else {
            Vec::new()
        };
        let etag = made.as_ref().or(headers.facts.etag.as_ref());
        let etag = PyString::new(py, etag.map_or("", String::as_str));
        let added = self.added_to(headers, made, !variants.is_empty());
        let (while_refreshed, if_error) = windows;
        let age = layout::milliseconds(headers.facts.age(clock::wall()));
        let lifetime = if lifetime > 0.0 {
            layout::milliseconds(lifetime).max(1).saturating_add(age)
        } else {
            0
        };
        layout::assemble(
            py,
            &Parts {
                status: status.clone(),
                headers: headers.kept.bind(py).clone(),
                added: PyTuple::new(py, added)?,
                stored: layout::now().saturating_sub(age),
                lifetime,
                while_refreshed: layout::milliseconds(while_refreshed),
                if_error: layout::milliseconds(if_error),
                body: body.clone(),
                etag,
                variants,
            },
        )
    }

    /// The headers that an answer which hooks have changed gets beside its own.
    ///
    /// - `etag`: the entity tag of the body, where it is known.
    /// - `has_codings`: whether it depends on `Accept-Encoding`.
    fn added(
        &self,
        status: &str,
        headers: &PageHeaders,
        body: &[u8],
        etag: Option<String>,
        has_codings: bool,
    ) -> Vec<(&'static str, String)> {
        let wants = self.makes_etag && status.starts_with("200") && headers.facts.etag.is_none();
        let etag = wants.then(|| match etag {
            Some(etag) if !etag.is_empty() => etag,
            _ => page::etag(body),
        });
        self.added_to(headers, etag, has_codings)
    }
}

impl PageForm {
    fn added_to(
        &self,
        headers: &PageHeaders,
        etag: Option<String>,
        has_codings: bool,
    ) -> Vec<(&'static str, String)> {
        let mut added = Vec::new();
        added.extend(etag.map(|etag| ("ETag", etag)));
        let known = &headers.facts.vary;
        let is_new = |name: &str| !known.iter().any(|it| name.eq_ignore_ascii_case(it));
        if is_new("*") {
            let coded = has_codings.then_some("Accept-Encoding");
            let names = self.vary.iter().map(String::as_str).chain(coded);
            let names: Vec<_> = names.filter(|name| is_new(name)).collect();
            if !names.is_empty() {
                added.push(("Vary", names.join(", ")));
            }
        }
        added
    }

    /// The body in the codings that are worth it.
    fn variants(&self, body: &[u8], own: Option<&str>, makes_etag: bool) -> Vec<Variant> {
        let variant = |coding: &Coding| {
            let encoded = coding.encode(body)?;
            let etag = match own {
                Some(own) => of_coding(own, *coding),
                None if makes_etag => page::etag(&encoded),
                None => String::new(),
            };
            Some(Variant {
                coding: *coding,
                etag: etag.into_bytes(),
                body: encoded,
            })
        };
        self.codings.iter().filter_map(variant).collect()
    }
}

/// The entity tag of an answer in another coding: a strong one is of one row of bytes (RFC 9110, 8.8.3.3).
fn of_coding(own: &str, coding: Coding) -> String {
    match own.strip_suffix('"') {
        Some(rest) if !own.starts_with("W/") => format!("{rest}-{}\"", coding.name()),
        _ => own.to_owned(),
    }
}

/// What [`page::encode`] takes.
pub(super) fn to_engine(parts: &Parts<'_>) -> Option<Page> {
    Some(Page {
        status: latin1(&parts.status).into_owned(),
        headers: layout::from_pairs(&parts.headers)?,
        added: layout::from_pairs(&parts.added)?,
        body: parts.body.as_bytes().to_vec(),
        etag: latin1(&parts.etag).into_owned(),
        stored: parts.stored,
        lifetime: parts.lifetime,
        while_refreshed: parts.while_refreshed,
        if_error: parts.if_error,
        variants: parts.variants.clone(),
    })
}

/// What [`page::decode`] has read.
pub(super) fn from_engine(py: Python<'_>, page: Page) -> PyResult<Parts<'_>> {
    Ok(Parts {
        status: from_latin1(py, &page.status),
        headers: layout::to_pairs(py, &page.headers)?,
        added: layout::to_pairs(py, &page.added)?,
        stored: page.stored,
        lifetime: page.lifetime,
        while_refreshed: page.while_refreshed,
        if_error: page.if_error,
        body: PyBytes::new(py, &page.body),
        etag: from_latin1(py, &page.etag),
        variants: page.variants,
    })
}
