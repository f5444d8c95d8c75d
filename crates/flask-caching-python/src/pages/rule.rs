//! What tells the pages of one decorated view apart.

use std::sync::{Arc, Mutex, PoisonError};

use flask_caching_engine::page::Identity;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::{latin1, text};

/// What of a request is part of a page.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageRule {
    /// Tells the pages of this view from those of others.
    seed: String,
    /// The query arguments that count; `None`: all.
    query: Option<Vec<Vec<u8>>>,
    host: bool,
    scheme: bool,
    /// The headers that count, by their names in a WSGI environment. More become known.
    headers: Mutex<Arc<Vec<Py<PyString>>>>,
    cookies: Vec<Vec<u8>>,
}

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
            host,
            scheme,
            headers: Mutex::new(Arc::new(in_order(headers))),
            cookies: bytes(cookies),
        }
    }

    /// The names of the headers that count.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.known().iter())
    }

    /// From now on these headers count, too, by their names in a WSGI environment.
    fn learn(&self, names: Vec<Py<PyString>>) {
        let mut known = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = Python::attach(|py| known.iter().map(|n| n.clone_ref(py)).collect());
        all.extend(names);
        let old = std::mem::replace(&mut *known, Arc::new(in_order(all)));
        drop(known);
        drop(old);
    }

    /// The key of the page of a request to the application called `app`, and the names of its versions.
    pub(crate) fn key<'py>(
        &self,
        app: &str,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<(String, Bound<'py, PyTuple>)> {
        let py = environ.py();
        let get = |name| text(environ, name);
        let empty = PyString::new(py, "");
        let or_empty = |found: Option<Bound<'py, PyString>>| found.unwrap_or_else(|| empty.clone());
        let script = or_empty(get(intern!(py, "SCRIPT_NAME"))?);
        let path = or_empty(get(intern!(py, "PATH_INFO"))?);
        let query = or_empty(get(intern!(py, "QUERY_STRING"))?);
        let query = latin1(&query);
        let host = host_of(environ)?;
        let mut identity = Identity::default();
        identity.part(self.seed.as_bytes());
        identity.part(app.as_bytes());
        if self.scheme {
            identity.part(&latin1(&or_empty(get(intern!(py, "wsgi.url_scheme"))?)));
        }
        if self.host {
            identity.part(host.as_bytes());
        }
        identity.part(&latin1(&script));
        identity.part(&latin1(&path));
        identity.written_query(&query, self.query.as_deref());
        // Who proves who they are gets nothing that was made for others.
        let is_authorized = environ.contains(intern!(py, "HTTP_AUTHORIZATION"))?;
        identity.part(&[u8::from(is_authorized)]);
        let known = self.known();
        for name in known.iter() {
            let name = name.bind(py);
            identity.part(&latin1(name));
            if let Some(value) = get(name)? {
                identity.part(&latin1(&value));
            }
            identity.part(b"\0");
        }
        if !self.cookies.is_empty() {
            let header = or_empty(get(intern!(py, "HTTP_COOKIE"))?);
            self.add_cookies(&latin1(&header), &mut identity);
        }
        let location = [latin1(&script), latin1(&path)].concat();
        let guards = self.guards(&location, &host, &query);
        Ok((
            format!("page:{}", identity.finish()),
            PyTuple::new(py, guards)?,
        ))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        let Ok(known) = self.headers.try_lock() else {
            return Ok(());
        };
        known.iter().try_for_each(|name| visit.call(name))
    }
}

impl PageRule {
    pub(crate) fn known(&self) -> Arc<Vec<Py<PyString>>> {
        Arc::clone(&self.headers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// The versions that a page depends on: of its path, and of that with its host, its query, or both,
    /// which ever fewer pages have in common.
    fn guards(&self, path: &[u8], host: &str, query: &[u8]) -> Vec<String> {
        let host = if self.host { host } else { SHARED };
        let query = match self.query.as_deref() {
            Some([]) => Query::Shared,
            names => Query::Of(query, names),
        };
        [
            (ANY, Query::Any),
            (host, Query::Any),
            (ANY, query),
            (host, query),
        ]
        .map(|(host, query)| guard(path, host, query))
        .to_vec()
    }

    fn add_cookies(&self, header: &[u8], identity: &mut Identity) {
        for wanted in &self.cookies {
            identity.part(wanted);
            for pair in header.split(|byte| *byte == b';') {
                let end = pair.iter().position(|byte| *byte == b'=');
                let (name, value) = pair.split_at(end.unwrap_or(pair.len()));
                if name.trim_ascii() == wanted {
                    identity.part(value.trim_ascii());
                }
            }
            identity.part(b"\0");
        }
    }
}

/// The names of the versions that the pages under a path depend on: those of one `host` where it is
/// given, those with one `query` where that is given. Pages that all hosts or queries share are among
/// them.
///
/// - `path`: with the prefix that the application is mounted under, as WSGI has it.
/// - `query`: a query string.
#[pyfunction]
#[pyo3(signature = (path, host = None, query = None))]
pub(crate) fn page_guards<'py>(
    path: &Bound<'py, PyString>,
    host: Option<&str>,
    query: Option<&Bound<'py, PyString>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let location = latin1(path);
    let query = query.map(latin1);
    let hosts = host.map_or(vec![ANY], |host| vec![host, SHARED]);
    let queries = query.as_deref().map_or(vec![Query::Any], |query| {
        vec![Query::Of(query, None), Query::Shared]
    });
    let names = hosts.iter().flat_map(|host| {
        let of_query = |query: &Query<'_>| guard(&location, host, *query);
        queries.iter().map(of_query).collect::<Vec<_>>()
    });
    PyTuple::new(path.py(), names.collect::<Vec<_>>())
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

/// In place of a host: every one; and what pages have that all of them share.
const ANY: &str = "*";
const SHARED: &str = "";

/// Of which query a version is.
#[derive(Clone, Copy)]
enum Query<'a> {
    Any,
    /// Of the pages that all queries share.
    Shared,
    /// Of those with the arguments of a query that have one of the names; `None`: with all of them.
    Of(&'a [u8], Option<&'a [Vec<u8>]>),
}

fn guard(path: &[u8], host: &str, query: Query<'_>) -> String {
    let mut identity = Identity::default();
    identity.part(path);
    identity.part(host.to_ascii_lowercase().as_bytes());
    match query {
        Query::Any => identity.part(b"*"),
        Query::Shared => identity.part(b""),
        Query::Of(query, names) => identity.query(query, names),
    }
    format!("page:{}_memver", &identity.finish()[..32])
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
