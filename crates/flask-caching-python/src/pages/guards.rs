//! The names of what the pages of a path, a host or a query depend on: deleting one deletes these pages.
//!
//! On the in-process store a page has them as guards; elsewhere each is the key of a version.

use flask_caching_engine::page::Identity;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::latin1;
use super::rule::{Target, without_port};

const START: &[u8] = b"page:";
const END: &[u8] = b"_memver";
/// Short enough for a copy nearby to keep it in the entry itself.
const LENGTH: usize = START.len() + 22 + END.len();

/// One of these names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct GuardName([u8; LENGTH]);

/// What a page depends on: its path, and that with its host, its query, or both, which ever fewer pages
/// have in common.
pub(crate) type PageGuards = [GuardName; 4];

impl GuardName {
    fn of(mut pages: Identity, query: Query) -> Self {
        match query {
            Query::Any => pages.part(b"*"),
            Query::Shared => pages.part(b""),
            Query::Of(digest) => pages.part(&digest),
        }
        let mut name = [0; LENGTH];
        name[..START.len()].copy_from_slice(START);
        name[START.len()..LENGTH - END.len()].copy_from_slice(&pages.short());
        name[LENGTH - END.len()..].copy_from_slice(END);
        Self(name)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_text(self, py: Python<'_>) -> Bound<'_, PyString> {
        PyString::new(py, &String::from_utf8_lossy(&self.0))
    }

    /// The name that is written so; `None`: it is none.
    pub(crate) fn from_text(text: &Bound<'_, PyString>) -> Option<Self> {
        let text = text.to_str().ok()?;
        text.as_bytes().try_into().ok().map(Self)
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
    let location = of_path(&latin1(path));
    let query = query.map(latin1);
    let hosts = match host {
        None => vec![ANY],
        // Of which scheme is not known.
        Some(host) => vec![
            host,
            without_port(host, "80"),
            without_port(host, "443"),
            SHARED,
        ],
    };
    let queries = query.as_deref().map_or(vec![Query::Any], |query| {
        vec![Query::of(query, None), Query::Shared]
    });
    let mut names = Vec::new();
    for host in hosts {
        let own = of_host(&location, host);
        names.extend(
            queries
                .iter()
                .map(|query| GuardName::of(own.clone(), *query)),
        );
    }
    names.dedup();
    PyTuple::new(path.py(), names.iter().map(|name| name.to_text(path.py())))
}

/// The names of the versions that the pages of a request's path on its host depend on.
#[pyfunction]
pub(crate) fn page_guards_of<'py>(environ: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyTuple>> {
    let target = Target::of(environ)?;
    let path = of_path(&target.location());
    let names = [target.host(), SHARED].map(|host| {
        let pages = of_host(&path, host);
        GuardName::of(pages, Query::Any).to_text(environ.py())
    });
    PyTuple::new(environ.py(), names)
}

/// What a page depends on.
///
/// - `host`: `None`: all hosts share it.
/// - `counting`: the query arguments that are part of it; `None`: all.
pub(super) fn guards_of(
    path: &[u8],
    host: Option<&str>,
    query: &[u8],
    counting: Option<&[Vec<u8>]>,
) -> PageGuards {
    let query = match counting {
        Some([]) => Query::Shared,
        names => Query::of(query, names),
    };
    let path = of_path(path);
    let (any, own) = (of_host(&path, ANY), of_host(&path, host.unwrap_or(SHARED)));
    [
        GuardName::of(any.clone(), Query::Any),
        GuardName::of(own.clone(), Query::Any),
        GuardName::of(any, query),
        GuardName::of(own, query),
    ]
}

/// In place of a host: every one; and what pages have that all of them share.
const ANY: &str = "*";
const SHARED: &str = "";

/// Of which query a name is.
#[derive(Clone, Copy)]
enum Query {
    Any,
    /// Of the pages that all queries share.
    Shared,
    /// Of those with these arguments.
    Of([u8; 32]),
}

impl Query {
    /// The arguments of a query that have one of the names; `None`: all of them.
    fn of(query: &[u8], names: Option<&[Vec<u8>]>) -> Self {
        let mut identity = Identity::default();
        identity.query(query, names);
        Self::Of(identity.digest())
    }
}

fn of_path(path: &[u8]) -> Identity {
    let mut identity = Identity::default();
    identity.part(path);
    identity
}

fn of_host(path: &Identity, host: &str) -> Identity {
    let mut identity = path.clone();
    identity.part(host.to_ascii_lowercase().as_bytes());
    identity
}
