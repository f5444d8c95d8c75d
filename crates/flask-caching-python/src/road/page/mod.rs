//! What a request that a page may answer is found by.

mod landing;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAnyMethods, PyDict, PyFloat, PyString, PyTuple};
use smallvec::SmallVec;

use super::parts::Part;
use super::parts::Request;
use super::parts::{Call, Kind, Parts};
use super::port::PAGES;
use super::quick::{NativeKey, Quick};
use super::road::Road;
use super::turn::{Open, Outcome, Role, Step, Turn, Version};
use crate::interpreter::stack;
use crate::memory::MemoryBackend;
use crate::pages::{GuardName, PageRule, TURN, is_authorized};

pub(crate) use self::landing::{Landed, Terms};

/// The WSGI environment of a request, which stands for its path, and whether it is a HEAD; `None` where
/// it is neither that nor a GET, or is an unusual one: as `flask_caching.pages.rules.bypassed`.
fn plain_request<'a, 'py>(
    call: &Call<'a, 'py>,
) -> PyResult<Option<(&'a Bound<'py, PyDict>, bool)>> {
    let py = call.args.py();
    let Some(request) = &call.request else {
        return Ok(None);
    };
    let Ok(environ) = request.path.cast_exact::<PyDict>() else {
        return Ok(None);
    };
    let is_head = match request.method.cast_exact::<PyString>() {
        Ok(method) if method == "GET" => false,
        Ok(method) if method == "HEAD" => true,
        _ => return Ok(None),
    };
    let unusual = [
        intern!(py, "HTTP_RANGE"),
        intern!(py, "HTTP_IF_MATCH"),
        intern!(py, "HTTP_IF_UNMODIFIED_SINCE"),
        intern!(py, "HTTP_TRANSFER_ENCODING"),
    ];
    for name in unusual {
        if environ.contains(name)? {
            return Ok(None);
        }
    }
    if let Some(length) = environ.get_item(intern!(py, "CONTENT_LENGTH"))?
        && !matches!(length.cast_exact::<PyString>(), Ok(text) if text == "" || text == "0")
    {
        return Ok(None);
    }
    if let Some(protocol) = environ.get_item(intern!(py, "HTTP_UPGRADE"))?
        && !matches!(protocol.cast_exact::<PyString>(), Ok(it) if !is_of_sockets(it))
    {
        return Ok(None);
    }
    Ok(Some((environ, is_head)))
}

/// Whether an `Upgrade` wants a WebSocket, for which an application may have another route.
fn is_of_sockets(protocol: &Bound<'_, PyString>) -> bool {
    let protocol = protocol.to_string_lossy();
    protocol.to_ascii_lowercase().contains("websocket")
}

/// Reads what a page is found by. `false` where the request is not a plain one.
pub(super) fn read_page(rule: &PageRule, call: &Call<'_, '_>, parts: &mut Parts) -> PyResult<bool> {
    let py = call.args.py();
    let Some((environ, _)) = plain_request(call)? else {
        return Ok(false);
    };
    if is_authorized(environ)? {
        return Ok(false);
    }
    let mut reader = parts.reader(py);
    let always = [
        intern!(py, "HTTP_HOST"),
        intern!(py, "wsgi.url_scheme"),
        intern!(py, "SCRIPT_NAME"),
        intern!(py, "PATH_INFO"),
        intern!(py, "QUERY_STRING"),
    ];
    for name in always {
        match environ.get_item(name)? {
            Some(value) => match value.cast_into_exact::<PyString>() {
                Ok(value) => reader.take(Part::Text(value.unbind()))?,
                Err(_) => return Ok(false),
            },
            None => return Ok(false),
        }
    }
    let known = rule.known();
    let cookie = intern!(py, "HTTP_COOKIE");
    let names = known.iter().map(|name| name.bind(py));
    for name in names.chain(rule.has_cookies().then_some(cookie)) {
        match environ
            .get_item(name)?
            .map(Bound::cast_into_exact::<PyString>)
        {
            Some(Ok(value)) => reader.take(Part::Text(value.unbind()))?,
            Some(Err(_)) => return Ok(false),
            None => reader.take(Part::None)?,
        }
    }
    reader.finish();
    Ok(true)
}

impl Road {
    /// Makes the key of a page's request; `false` where that is for the policy.
    pub(super) fn describe_page(&self, open: &mut Open, call: &Call<'_, '_>) -> PyResult<bool> {
        let py = call.args.py();
        let Kind::Page(rule, _) = &self.parts.get().kind else {
            return Ok(false);
        };
        let (Some((environ, false)), Some(state), false) = (
            plain_request(call)?,
            &open.state,
            self.options.has_conditions,
        ) else {
            return Ok(false);
        };
        // As the policy asks: by another one a request was begun with, in front.
        let method = environ.get_item(intern!(py, "REQUEST_METHOD"))?;
        if !method.is_some_and(|method| matches!(method.cast::<PyString>(), Ok(it) if it == "GET"))
        {
            return Ok(false);
        }
        let app = state.bind(py).call_method0(intern!(py, "app"))?;
        let Ok(name) = app.getattr(intern!(py, "name"))?.cast_into::<PyString>() else {
            return Ok(false);
        };
        let (key, guards) = rule.get().key(&name.to_string_lossy(), environ)?;
        open.key = PyString::new(py, &key).into_any().unbind();
        if open.port.memory(py, PAGES).is_some() {
            open.conditions.guards = Some(Box::new(guards));
        } else {
            for name in guards {
                let name = name.to_text(py).into_any();
                open.versions.push(Version::named(&name, Role::Key)?);
            }
        }
        Ok(true)
    }

    /// What was missing of a turn's page: `uri-miss`, `vary-miss` where there is another variant of it, or
    /// `miss` where that is not known (RFC 9211, 2.2).
    pub(crate) fn what_was_missing(
        &self,
        turn: &Turn,
        app: &str,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<&'static str> {
        const URI: &str = "uri-miss";
        let Kind::Page(rule, _) = &self.parts.get().kind else {
            return Ok(URI);
        };
        let Some(uri) = rule.get().uri_with_variants(app, environ)? else {
            return Ok(URI);
        };
        let Some(mut open) = turn.take() else {
            return Ok(URI);
        };
        open.conditions.uri = Some(uri);
        let is_first = open.has_no_variant(environ.py());
        let is_shared = !open.port.is_memory();
        turn.put_back(open);
        Ok(match rule.get().has_stored(uri) {
            _ if is_first => URI,
            Some(true) => "vary-miss",
            // Another process may have stored one.
            Some(false) if !is_shared => URI,
            _ => "miss",
        })
    }

    /// Stores what a turn has made, a `page` that is fresh for `lifetime` seconds and has the keys of
    /// `tags`; whether it is stored.
    pub(super) fn finish_with_page(
        &self,
        turn: &Turn,
        page: &Bound<'_, PyTuple>,
        lifetime: f64,
        tags: Vec<Py<PyString>>,
    ) -> PyResult<bool> {
        let py = page.py();
        let Some(mut open) = turn.take() else {
            return Ok(false);
        };
        self.emit_computed(turn);
        self.timed(py, || {
            open.conditions.own_tags = tags;
            Self::take_windows(&mut open, page)?;
            let timeout = PyFloat::new(py, lifetime).into_any();
            self.encode_for(&mut open, page, timeout)?;
            self.write_open(py, &mut open);
            let is_stored = matches!(open.step, Step::Written(Ok(Outcome::Stored(_))));
            if let (Kind::Page(rule, _), Some(uri), true) =
                (&self.parts.get().kind, open.conditions.uri, is_stored)
            {
                rule.get().note_stored(uri, lifetime);
            }
            self.conclude_open(*open, page.clone().into_any())?;
            Ok(is_stored)
        })
    }

    /// The page that answers a request to the application called `app`, where it is quickly found, or the turn
    /// for it where it is as quickly known that there is none; otherwise `None`.
    pub(crate) fn begin_page<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
        app: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        static NONE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
        let py = environ.py();
        let Some(method) = environ.get_item(intern!(py, "REQUEST_METHOD"))? else {
            return Ok(None);
        };
        let call = Call {
            args: &PyTuple::empty(py),
            // A page has no arguments that anybody could be handed.
            kwargs: NONE.get_or_init(py, || PyDict::new(py).unbind()).bind(py),
            extensions: Some(extensions),
            request: Request::new(Some(&method), Some(environ.as_any()), Some(app.as_any())),
        };
        stack::check()?;
        match self.begin_quickly(&call)? {
            Quick::Answer(answer) => Ok(Some(answer)),
            _ => Ok(None),
        }
    }
}

impl Open {
    /// Has the page of a call of which the policy has said what it is depend on guards, where it is on the
    /// in-process store.
    pub(super) fn guard_page(&mut self, py: Python<'_>) {
        if !self.conditions.is_page || self.port.memory(py, PAGES).is_none() {
            return;
        }
        let of_key = self.versions.iter().filter(|it| it.role == Role::Key);
        let names = of_key.map(|version| GuardName::from_text(version.name.bind(py)));
        let names: Option<SmallVec<[_; 4]>> = names.collect();
        if let Some(guards) = names.and_then(|names| names.into_inner().ok()) {
            self.conditions.guards = Some(Box::new(guards));
            self.versions.retain(|version| version.role != Role::Key);
        }
    }

    /// Whether it is known that no page of the URI stands, whoever has stored one.
    fn has_no_variant(&self, py: Python<'_>) -> bool {
        match (&self.conditions.guards, self.port.memory(py, PAGES)) {
            (Some(guards), Some(memory)) => {
                let own = guards.last();
                own.is_some_and(|own| !memory.get().has_guarded(own))
            }
            // Without the versions that it depends on, none does.
            _ => (self.versions.iter()).any(|it| it.role == Role::Key && it.is_new),
        }
    }
}

/// The key of a page's request, whose application is named, and what it depends on; `None` where the
/// policy has to make it.
pub(super) fn native_page_key<'py>(
    rule: &PageRule,
    call: &Call<'_, 'py>,
    memory: &MemoryBackend,
) -> PyResult<Option<NativeKey<'py>>> {
    let py = call.args.py();
    let Some(request) = &call.request else {
        return Ok(None);
    };
    // That it is a plain one, the table has found.
    let app = request.query.and_then(|app| app.cast_exact().ok());
    let environ = request.path.cast_exact::<PyDict>().ok();
    let is_get = matches!(request.method.cast_exact::<PyString>(), Ok(it) if it == "GET");
    let (Some(app), Some(environ), true) = (app, environ, is_get) else {
        return Ok(None);
    };
    if environ.contains(intern!(py, TURN))? {
        // It has one already, and is on its way to the view.
        return Ok(None);
    }
    let app: &Bound<'_, PyString> = app;
    let (mut key, guards) = rule.key(&app.to_string_lossy(), environ)?;
    let mut versions = SmallVec::new();
    if memory.is_of_copies() {
        for name in guards {
            let mut version = Version::named(name.to_text(py).as_any(), Role::Key)?;
            let Some((text, guard)) = memory.find_text(version.name.bind(py))? else {
                return Ok(None);
            };
            key.push_str(text.to_str()?);
            version.text = Some(text.unbind());
            version.guard = Some(guard);
            versions.push(version);
        }
    }
    Ok(Some(NativeKey {
        key: PyString::new(py, &key).into_any(),
        versions,
        guards: (!memory.is_of_copies()).then(|| Box::new(guards)),
    }))
}

/// Whether the page of a turn will be found by all that counts by now: while its view ran, other answers
/// may have named more headers in `Vary`.
#[pyfunction]
pub(crate) fn page_is_found_by_all(
    road: &Bound<'_, Road>,
    turn: &Bound<'_, Turn>,
    app: &str,
    environ: &Bound<'_, PyDict>,
) -> PyResult<bool> {
    let (py, turn) = (road.py(), turn.get());
    let Kind::Page(rule, _) = &road.get().parts.get().kind else {
        return Ok(false);
    };
    let (wanted, _) = rule.get().key(app, environ)?;
    let Some(open) = turn.take() else {
        return Ok(false);
    };
    // What follows are the versions.
    let is_it = |key: &Bound<'_, PyString>| key.to_string_lossy().starts_with(&wanted);
    let is_found = open.key.bind(py).cast::<PyString>().is_ok_and(is_it);
    turn.put_back(open);
    Ok(is_found)
}
