//! What tells the pages of one decorated view apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flask_caching_engine::clock::{self, Instant};
use flask_caching_engine::page::Identity;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::guards::{PageGuards, guards_of};
use super::{latin1, text};

/// What of a request is part of a page.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageRule {
    /// Tells the pages of this view from those of others.
    seed: String,
    /// The query arguments that count; `None`: all.
    query: Option<Vec<Vec<u8>>>,
    host: AtomicBool,
    scheme: bool,
    /// The headers that count, by their names in a WSGI environment. More become known.
    headers: Mutex<Arc<Vec<Py<PyString>>>>,
    cookies: Vec<Vec<u8>>,
    stored: StoredUris,
}

/// The URIs that a page was stored of, whatever its variant.
#[derive(Default)]
struct StoredUris {
    /// By a hash, until when it is fresh; `None`: for ever.
    uris: Mutex<HashMap<u64, Option<Instant>>>,
    /// Whether some were forgotten.
    has_forgotten: AtomicBool,
}

/// URIs are forgotten when so many are known.
const MOST_URIS: usize = 4096;

#[pymethods]
impl PageRule {
    #[new]
    fn new(
        seed: String,
        query: Option<Vec<String>>,
        host: bool,
        scheme: bool,
        headers: Vec<Py<PyString>>,
        cookies: Vec<String>,
    ) -> Self {
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
        Self {
            seed,
            query: query.map(bytes),
            host: AtomicBool::new(host),
            scheme,
            headers: Mutex::new(Arc::new(in_order(headers))),
            cookies: bytes(cookies),
            stored: StoredUris::default(),
        }
    }

    /// The names of the headers that count.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.known().iter())
    }

    /// From now on these headers count, too, by their names in a WSGI environment.
    fn learn(&self, names: Vec<Py<PyString>>) {
        let mut known = lock(&self.headers);
        let mut all: Vec<_> = Python::attach(|py| known.iter().map(|n| n.clone_ref(py)).collect());
        all.extend(names);
        let old = std::mem::replace(&mut *known, Arc::new(in_order(all)));
        drop(known);
        drop(old);
    }

    /// From now on the host counts, whatever was said: it decides which view answers.
    fn count_host(&self) {
        self.host.store(true, Ordering::Relaxed);
    }

    /// The key of the page of a request to the application called `app`, and the names of its versions.
    #[pyo3(name = "key")]
    fn key_and_names<'py>(
        &self,
        app: &str,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<(String, Bound<'py, PyTuple>)> {
        let (key, guards) = self.key(app, environ)?;
        let names = guards.map(|name| name.to_text(environ.py()));
        Ok((key, PyTuple::new(environ.py(), names)?))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        let Ok(known) = self.headers.try_lock() else {
            return Ok(());
        };
        known.iter().try_for_each(|name| visit.call(name))
    }
}

impl PageRule {
    /// The key of the page of a request to the application called `app`, and what it depends on.
    pub(crate) fn key(
        &self,
        app: &str,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<(String, PageGuards)> {
        let py = environ.py();
        let target = Target::of(environ)?;
        let mut identity = self.uri(app, &target);
        // Who proves who they are gets nothing that was made for others.
        identity.part(&proofs(environ)?.map(u8::from));
        let known = self.known();
        for name in known.iter() {
            let name = name.bind(py);
            identity.part(&latin1(name));
            if let Some(value) = text(environ, name)? {
                identity.part(&latin1(&value));
            }
            identity.part(b"\0");
        }
        if !self.cookies.is_empty() {
            let header = or_empty(environ, intern!(py, "HTTP_COOKIE"))?;
            identity.cookies(&latin1(&header), &self.cookies);
        }
        let counts_host = self.host.load(Ordering::Relaxed);
        let guards = guards_of(
            &target.location(),
            counts_host.then(|| target.host()),
            &latin1(&target.query),
            self.query.as_deref(),
        );
        // With room for versions.
        let mut key = String::with_capacity(96);
        key.push_str("page:");
        identity.finish(&mut key);
        Ok((key, guards))
    }

    /// The URI of a request, as far as it counts.
    fn uri(&self, app: &str, target: &Target<'_>) -> Identity {
        let mut identity = Identity::default();
        identity.part(self.seed.as_bytes());
        identity.part(app.as_bytes());
        if self.scheme {
            identity.part(&latin1(&target.scheme));
        }
        if self.host.load(Ordering::Relaxed) {
            identity.part(target.host.as_bytes());
        }
        identity.part(&latin1(&target.script));
        identity.part(&latin1(&target.path));
        identity.written_query(&latin1(&target.query), self.query.as_deref());
        identity
    }

    /// A number for the URI of a request; `None` where it has one page alone.
    pub(crate) fn uri_with_variants(
        &self,
        app: &str,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<Option<u64>> {
        if self.cookies.is_empty() && self.known().is_empty() {
            return Ok(None);
        }
        let digest = self.uri(app, &Target::of(environ)?).digest();
        Ok(digest.first_chunk().map(|first| u64::from_le_bytes(*first)))
    }

    /// A page of a URI is stored, which is fresh for so many seconds; 0: for ever.
    pub(crate) fn note_stored(&self, uri: u64, lifetime: f64) {
        let lifetime = Duration::try_from_secs_f64(lifetime).ok();
        let until = lifetime.filter(|it| !it.is_zero());
        let until = until.map(|lifetime| clock::monotonic().after(lifetime));
        let mut uris = lock(&self.stored.uris);
        if uris.len() >= MOST_URIS {
            uris.clear();
            self.stored.has_forgotten.store(true, Ordering::Relaxed);
        }
        uris.insert(uri, until);
    }

    /// Whether this process has stored a page of a URI that is still fresh; `None`: it has forgotten.
    pub(crate) fn has_stored(&self, uri: u64) -> Option<bool> {
        let now = clock::monotonic();
        let uris = lock(&self.stored.uris);
        match uris.get(&uri) {
            Some(until) => Some(until.is_none_or(|until| until > now)),
            None if self.stored.has_forgotten.load(Ordering::Relaxed) => None,
            None => Some(false),
        }
    }

    pub(crate) fn known(&self) -> Arc<Vec<Py<PyString>>> {
        Arc::clone(&lock(&self.headers))
    }

    pub(crate) fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }
}

/// Names once each, in an order that all processes have.
fn in_order(names: Vec<Py<PyString>>) -> Vec<Py<PyString>> {
    let mut by_text: Vec<_> = names
        .into_iter()
        .map(|name| (name.to_string(), name))
        .collect();
    by_text.sort_by(|one, other| one.0.cmp(&other.0));
    by_text.dedup_by(|one, other| one.0 == other.0);
    by_text.into_iter().map(|(_, name)| name).collect()
}

/// What a request asks for.
pub(super) struct Target<'py> {
    scheme: Bound<'py, PyString>,
    host: String,
    script: Bound<'py, PyString>,
    path: Bound<'py, PyString>,
    query: Bound<'py, PyString>,
}

impl<'py> Target<'py> {
    pub(super) fn of(environ: &Bound<'py, PyDict>) -> PyResult<Self> {
        let py = environ.py();
        Ok(Self {
            scheme: or_empty(environ, intern!(py, "wsgi.url_scheme"))?,
            host: host_of(environ)?,
            script: or_empty(environ, intern!(py, "SCRIPT_NAME"))?,
            path: or_empty(environ, intern!(py, "PATH_INFO"))?,
            query: or_empty(environ, intern!(py, "QUERY_STRING"))?,
        })
    }

    /// The path with the prefix that the application is mounted under.
    pub(super) fn location(&self) -> Vec<u8> {
        [latin1(&self.script), latin1(&self.path)].concat()
    }

    /// The host without the port that its scheme has anyway (RFC 9110, 4.2.3).
    pub(super) fn host(&self) -> &str {
        match &*self.scheme.to_string_lossy() {
            "http" => without_port(&self.host, "80"),
            "https" => without_port(&self.host, "443"),
            _ => &self.host,
        }
    }
}

fn or_empty<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyString>> {
    let found = text(environ, name)?;
    Ok(found.unwrap_or_else(|| PyString::new(environ.py(), "")))
}

/// Whether the visitor of a request has said who he is, to the application or to the server before it.
pub(crate) fn is_authorized(environ: &Bound<'_, PyDict>) -> PyResult<bool> {
    Ok(proofs(environ)?.contains(&true))
}

/// Whether he has said so to the application, and to the server before it.
fn proofs(environ: &Bound<'_, PyDict>) -> PyResult<[bool; 2]> {
    let py = environ.py();
    // Some servers always have it, and empty.
    let user = environ.get_item(intern!(py, "REMOTE_USER"))?;
    let has_user = user.map_or(Ok(false), |user| user.is_truthy())?;
    Ok([
        environ.contains(intern!(py, "HTTP_AUTHORIZATION"))?,
        has_user,
    ])
}

pub(super) fn without_port<'a>(host: &'a str, port: &str) -> &'a str {
    let rest = host.strip_suffix(port);
    rest.and_then(|rest| rest.strip_suffix(':')).unwrap_or(host)
}

/// The host that a request names; otherwise the server's own.
fn host_of(environ: &Bound<'_, PyDict>) -> PyResult<String> {
    let py = environ.py();
    if let Some(host) = text(environ, intern!(py, "HTTP_HOST"))? {
        return Ok(host.to_string_lossy().into_owned());
    }
    let name = text(environ, intern!(py, "SERVER_NAME"))?;
    let port = text(environ, intern!(py, "SERVER_PORT"))?;
    let show = |text: Option<Bound<'_, PyString>>| {
        text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    Ok(format!("{}:{}", show(name), show(port)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
