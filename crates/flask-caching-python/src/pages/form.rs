//! How the pages of one decorated view are made.

use flask_caching_engine::page::{self, Coding, Freshness, Page, Variant};
use flask_caching_engine::{Lifetime, clock};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use smallvec::SmallVec;

use super::headers::{PageHeaders, is_latin1};
use super::layout::{self, PageParts};
use super::rule::is_authorized;
use super::taken::{self, PageTaken};
use super::{from_latin1, latin1};
use crate::timeout;

/// How the pages of one decorated view are made of its answers.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageForm {
    /// The request headers that count, and `Cookie` where cookies do.
    vary: Vec<String>,
    /// Whether an answer of status 200 without an entity tag gets one.
    makes_etag: bool,
    codings: Vec<Coding>,
    /// Of which statuses answers may be stored.
    statuses: Vec<u16>,
}

/// A timeout, and that of the backend.
pub(crate) type Timeouts<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// A page, and for how many seconds it is fresh; 0: for ever.
pub(crate) type Made<'py> = (Bound<'py, PyTuple>, f64);

#[pymethods]
impl PageForm {
    #[new]
    fn new(
        vary: Vec<String>,
        makes_etag: bool,
        codings: Vec<String>,
        statuses: Vec<u16>,
    ) -> PyResult<Self> {
        let coding = |name: &String| {
            Coding::from_name(name)
                .ok_or_else(|| PyValueError::new_err(format!("{name:?} is no coding")))
        };
        Ok(Self {
            vary,
            makes_etag,
            codings: codings.iter().map(coding).collect::<PyResult<_>>()?,
            statuses,
        })
    }

    /// What of a response is stored; or why it is not, in one word or a few with dashes.
    ///
    /// - `environ`: that of its request.
    /// - `most_bytes`: of the largest body.
    pub(super) fn take<'py>(
        &self,
        response: &Bound<'py, PyAny>,
        environ: &Bound<'py, PyDict>,
        most_bytes: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = response.py();
        let refused = |reason: &str| Ok(PyString::new(py, reason).into_any());
        let status = response.getattr(intern!(py, "status"))?;
        let status = status.cast_into::<PyString>()?;
        if !self.statuses.contains(&code_of(&status.to_string_lossy())) {
            return refused("status");
        }
        let headers = PageHeaders::new(&taken::pairs_of(response)?)?;
        let facts = &headers.facts;
        if !headers.can_be_sent || !is_latin1(&status.to_string_lossy()) {
            return refused("not-latin-1");
        }
        if let Some(reason) = facts.why_not_shared(self.has_cookies(), is_authorized(environ)?) {
            return refused(reason);
        }
        match taken::body_of(response, most_bytes)? {
            Err(reason) => refused(reason),
            Ok(body) => {
                let taken = PageTaken {
                    status: status.unbind(),
                    headers,
                    body: body.unbind(),
                };
                Ok(Bound::new(py, taken)?.into_any())
            }
        }
    }

    /// The page of what was taken, and for how many seconds it is fresh from now on, 0 for ever; None: it
    /// is stale at once.
    ///
    /// - `said`: what says how long it is fresh.
    /// - `timeouts`: what is meant where that does not say: a timeout, and that of the backend.
    /// - `rules`: for how many seconds after that it is answered while it is refreshed, and where that
    ///   fails, where it does not say; and the largest share that its lifetime is shortened by.
    #[pyo3(name = "make")]
    fn make_for_python<'py>(
        &self,
        taken: &Bound<'py, PageTaken>,
        said: &Bound<'py, PageTaken>,
        timeouts: Timeouts<'py>,
        rules: (f64, f64, f64),
    ) -> PyResult<Option<Made<'py>>> {
        self.make(taken, &said.get().headers, timeouts, rules)
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
        let etag = etag.map(|etag| ("ETag", etag));
        let vary = self.added_vary(headers, has_codings);
        let vary = vary.map(|vary| ("Vary", vary));
        etag.into_iter().chain(vary).collect()
    }
}

impl PageForm {
    /// As Python's `make`.
    pub(crate) fn make<'py>(
        &self,
        taken: &Bound<'py, PageTaken>,
        said: &PageHeaders,
        timeouts: Timeouts<'py>,
        rules: (f64, f64, f64),
    ) -> PyResult<Option<Made<'py>>> {
        let py = taken.py();
        let PageTaken {
            status,
            headers,
            body,
        } = taken.get();
        let (status, body) = (status.bind(py), body.bind(py));
        let now = clock::wall();
        let (while_refreshed, if_error, jitter) = rules;
        let lifetime = lifetime(&said.facts.freshness(now), &timeouts)?.jittered(jitter);
        if lifetime == Lifetime::Expired {
            return Ok(None);
        }
        let (while_refreshed, if_error) = said.windows(while_refreshed, if_error);
        let bytes = body.as_bytes();
        let is_ok = status.to_string_lossy().starts_with("200");
        let made =
            (self.makes_etag && is_ok && headers.facts.etag.is_none()).then(|| page::etag(bytes));
        let may_be_encoded = self.has_codings()
            && headers.facts.may_be_encoded()
            && !layout::is_without_body(status);
        let variants = if may_be_encoded {
            let own = headers.facts.etag.as_deref();
            py.detach(|| self.variants(bytes, own, made.is_some()))
        } else {
            Vec::new()
        };
        let etag = made.as_ref().or(headers.facts.etag.as_ref());
        let etag = PyString::new(py, etag.map_or("", String::as_str));
        let vary = self.added_vary(headers, !variants.is_empty());
        let added = pairs_of(made.is_some().then_some(&etag), vary, py)?;
        let age = layout::milliseconds(headers.facts.age(now));
        let (seconds, kept) = match lifetime {
            Lifetime::For(duration) => {
                let kept = layout::in_milliseconds(duration).max(1);
                (duration.as_secs_f64(), kept.saturating_add(age))
            }
            _ => (0.0, 0),
        };
        let parts = PageParts {
            status: status.clone(),
            headers: headers.kept.bind(py).clone(),
            added,
            stored: layout::in_milliseconds(now).saturating_sub(age),
            lifetime: kept,
            while_refreshed: layout::milliseconds(while_refreshed),
            if_error: layout::milliseconds(if_error),
            body: body.clone(),
            etag,
            variants,
        };
        Ok(Some((layout::assemble(py, &parts)?, seconds)))
    }

    /// Whether pages are also kept in other codings.
    pub(crate) fn has_codings(&self) -> bool {
        !self.codings.is_empty()
    }

    /// Whether cookies are part of a page.
    fn has_cookies(&self) -> bool {
        self.vary.iter().any(|name| name == "Cookie")
    }

    /// The `Vary` that an answer gets beside its own.
    fn added_vary(&self, headers: &PageHeaders, has_codings: bool) -> Option<String> {
        let known = &headers.facts.vary;
        let is_new = |name: &str| !known.iter().any(|it| name.eq_ignore_ascii_case(it));
        if !is_new("*") || (self.vary.is_empty() && !has_codings) {
            return None;
        }
        let coded = has_codings.then_some("Accept-Encoding");
        let names = self.vary.iter().map(String::as_str).chain(coded);
        let names: Vec<_> = names.filter(|name| is_new(name)).collect();
        (!names.is_empty()).then(|| names.join(", "))
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

/// The headers `ETag` and `Vary` with these values.
fn pairs_of<'py>(
    etag: Option<&Bound<'py, PyString>>,
    vary: Option<String>,
    py: Python<'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut pairs = SmallVec::<[_; 2]>::new();
    if let Some(etag) = etag {
        pairs.push((intern!(py, "ETag").clone(), etag.clone()));
    }
    if let Some(vary) = vary {
        pairs.push((intern!(py, "Vary").clone(), PyString::new(py, &vary)));
    }
    PyTuple::new(py, pairs)
}

/// The code of a status as in `200 OK`; 0: it has none.
fn code_of(status: &str) -> u16 {
    let code = status.split(' ').next().unwrap_or_default();
    code.parse().unwrap_or(0)
}

/// How long an answer is fresh, by what it says itself or the `timeouts`.
fn lifetime(freshness: &Freshness, timeouts: &Timeouts<'_>) -> PyResult<Lifetime> {
    Ok(match freshness {
        Freshness::Stale => Lifetime::Expired,
        Freshness::Seconds(seconds) => {
            Lifetime::from_seconds(*seconds).unwrap_or(Lifetime::Expired)
        }
        Freshness::Unsaid => {
            let (given, default) = timeouts;
            let default = timeout::from_python(default.as_ref())?.resolve(Lifetime::Forever);
            timeout::from_python(given.as_ref())?.resolve(default)
        }
    })
}

/// The entity tag of an answer in another coding: a strong one is of one row of bytes (RFC 9110, 8.8.3.3).
fn of_coding(own: &str, coding: Coding) -> String {
    match own.strip_suffix('"') {
        Some(rest) if !own.starts_with("W/") => format!("{rest}-{}\"", coding.name()),
        _ => own.to_owned(),
    }
}

/// What [`page::encode`] takes.
pub(super) fn to_engine(parts: &PageParts<'_>) -> Option<Page> {
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
pub(super) fn from_engine(py: Python<'_>, page: Page) -> PyResult<PageParts<'_>> {
    Ok(PageParts {
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
