//! The way of a request from a page's view to the answer, as far as nothing is unusual.

mod landing;
mod made;
mod reads;
mod view;

use std::borrow::Cow;

use pyo3::exceptions::{PyException, PyKeyError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

pub(crate) use self::reads::{HeaderReads, NoteReads, header_reads};
pub(crate) use self::view::PageView;

use super::taken::PageTaken;
use crate::road::{Landed, Turn};

/// One request on its way.
///
/// - `view`: what is known of its page's view.
/// - `context`: the context of the request. It has the passage: a cycle would keep the answer until it is
///   collected.
/// - `app`: its application.
#[pyclass(subclass, module = "flask_caching._engine")]
pub(crate) struct PagePassage {
    view: Py<PageView>,
    #[pyo3(get)]
    app: Py<PyAny>,
    #[pyo3(get)]
    request: Py<PyAny>,
    #[pyo3(get)]
    environ: Py<PyAny>,
    /// The settings of the application, where the cache knows it.
    #[pyo3(get)]
    state: Option<Py<PyAny>>,
    #[pyo3(get)]
    app_name: Py<PyString>,
    /// Which of the request's headers are read, where it notes that.
    #[pyo3(get)]
    reads: Option<Py<HeaderReads>>,
    /// The request's, when the view was asked.
    headers: Py<PyAny>,
    /// How many functions were to change the answer then.
    hooks: usize,
    /// The turn of its page, while its answer may be stored.
    #[pyo3(get, set)]
    turn: Option<Py<Turn>>,
    /// What the view has answered, or what is in its place.
    #[pyo3(get, set)]
    response: Option<Py<PyAny>>,
    /// The arguments of the view, and those by name.
    #[pyo3(get, set)]
    call: Option<Py<PyAny>>,
    /// The page that it is answered from.
    #[pyo3(get, set)]
    page: Option<Py<PyAny>>,
    /// The error that the view has raised, where what answers that is the page.
    #[pyo3(get, set)]
    error: Option<Py<PyAny>>,
    #[pyo3(get, set)]
    taken: Option<Py<PageTaken>>,
    /// What the answer says of itself, which hooks may have changed since it was taken.
    #[pyo3(get, set)]
    said: Option<Py<PageTaken>>,
    /// The names of the headers that it was made by, as an environment has them.
    #[pyo3(get, set)]
    read: Option<Py<PyAny>>,
    /// Why the view was asked, as `Cache-Status` says it.
    forward: Cow<'static, str>,
    /// Why its answer is not stored.
    #[pyo3(get, set)]
    detail: Option<Py<PyString>>,
    /// The status that the view answered with where an old page is answered in its place.
    #[pyo3(get, set)]
    failed_with: Option<u16>,
    /// What notes which arguments of the query hooks read after the view.
    #[pyo3(get, set)]
    arguments: Option<Py<PyAny>>,
    /// Whether the view used the session.
    #[pyo3(get, set)]
    uses_session: bool,
    /// Whether it has read arguments that are no part of the page.
    #[pyo3(get, set)]
    uses_query: bool,
    /// Whether the response was made of what the view has returned, so that nobody else has it.
    #[pyo3(get, set)]
    is_made: bool,
    /// While the view runs, the class that the request had before.
    class: Option<Py<PyType>>,
    /// While it runs, the session, where nobody had used that.
    session: Option<Py<PyAny>>,
}

/// Where a context has the functions that are to change the answer of its request.
const HOOKS: &str = "_after_request_functions";

#[pymethods]
impl PagePassage {
    #[new]
    fn new(
        view: &Bound<'_, PageView>,
        context: &Bound<'_, PyAny>,
        app: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = app.py();
        let request = context.getattr(intern!(py, "request"))?;
        let headers = request.getattr(intern!(py, "headers"))?;
        let state = match view.get().states.bind(py).get_item(app) {
            Ok(state) => Some(state),
            Err(error) if error.is_instance_of::<PyKeyError>(py) => None,
            Err(error) => return Err(error),
        };
        let app_name = match &state {
            Some(state) => state.getattr(intern!(py, "app_name"))?.cast_into()?,
            None => app.getattr(intern!(py, "name"))?.str()?,
        };
        Ok(Self {
            view: view.clone().unbind(),
            app: app.clone().unbind(),
            environ: request.getattr(intern!(py, "environ"))?.unbind(),
            state: state.map(Bound::unbind),
            app_name: app_name.unbind(),
            reads: reads::reads_of(&headers)?.map(Bound::unbind),
            headers: headers.unbind(),
            request: request.unbind(),
            hooks: hooks(context)?,
            turn: None,
            response: None,
            call: None,
            page: None,
            error: None,
            taken: None,
            said: None,
            read: None,
            forward: Cow::Borrowed("uri-miss"),
            detail: None,
            failed_with: None,
            arguments: None,
            uses_session: false,
            uses_query: false,
            is_made: false,
            class: None,
            session: None,
        })
    }

    #[getter]
    fn policy(&self, py: Python<'_>) -> Py<PyAny> {
        self.view.get().policy.clone_ref(py)
    }

    /// Why the view was asked, as `Cache-Status` says it.
    #[getter]
    fn forward(&self) -> &str {
        &self.forward
    }

    #[setter]
    fn set_forward(&mut self, why: String) {
        self.forward = Cow::Owned(why);
    }

    /// Whether it notes all that is read of the request's headers.
    #[getter]
    fn notes_reads(&self, py: Python<'_>) -> PyResult<bool> {
        let headers = self.request.bind(py).getattr(intern!(py, "headers"))?;
        Ok(self.reads.is_some() && headers.is(&self.headers))
    }

    /// Whether a hook is to change the answer that was added while the view was asked.
    fn has_new_hooks(&self, context: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(hooks(context)? != self.hooks)
    }

    /// The view is asked, as the turn of its page says.
    fn begin_miss(&mut self, turn: &Bound<'_, Turn>) -> PyResult<()> {
        let py = turn.py();
        let environ = self.environ.bind(py).cast::<PyDict>()?;
        let road = self.view.get().road.get();
        let name = self.app_name.bind(py).to_string_lossy();
        let missing = road.what_was_missing(turn.get(), &name, environ)?;
        (self.forward, self.detail) = (Cow::Borrowed(missing), None);
        Ok(())
    }

    /// What the view reads of its request counts from now on, whatever it is, other than with hooks before
    /// it. Returns whether nobody has used the session, so that it is enough to look at it afterwards.
    fn begin_view(slf: &Bound<'_, Self>, context: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let (view, request, reads) = {
            let this = slf.borrow();
            let reads = this.reads.as_ref().map(|reads| reads.clone_ref(py));
            (this.view.clone_ref(py), this.request.clone_ref(py), reads)
        };
        let (view, request) = (view.get(), request.bind(py));
        if let Some(reads) = reads {
            // What answers its error goes on where it has ended.
            let is_first = reads.get().begin();
            if is_first && (reads.get().has_some() || view.has_kept(request)?) {
                view.leave_to_hooks
                    .call1(py, (request, reads.clone_ref(py)))?;
            }
            let class = request.get_type();
            let noting = view.noting_address.of(class.as_any());
            match noting.and_then(|noting| request.setattr(intern!(py, "__class__"), noting)) {
                Ok(()) => slf.borrow_mut().class = Some(class.unbind()),
                // Its class allows none: who asks for its address is not seen.
                Err(error) if error.is_instance_of::<PyException>(py) => reads.get().note_address(),
                Err(error) => return Err(error),
            }
        }
        let session = view.session_of(context)?;
        let is_untouched = view.is_untouched(&session)?;
        slf.borrow_mut().session = is_untouched.then(|| session.unbind());
        Ok(is_untouched)
    }

    /// The view has run.
    fn end_view(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (class, session) = {
            let mut this = slf.borrow_mut();
            (this.class.take(), this.session.take())
        };
        if let Some(class) = class {
            let request = slf.borrow().request.clone_ref(py);
            request.bind(py).setattr(intern!(py, "__class__"), class)?;
        }
        if let Some(session) = session {
            let view = slf.borrow().view.clone_ref(py);
            if !view.get().is_untouched(session.bind(py))? {
                slf.borrow_mut().uses_session = true;
            }
        }
        Ok(())
    }

    /// The response that the application makes of what the view has returned.
    fn respond<'py>(
        slf: &Bound<'py, Self>,
        returned: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (view, app) = {
            let this = slf.borrow();
            (this.view.clone_ref(py), this.app.clone_ref(py))
        };
        let app = app.bind(py);
        match view.get().responses.make(app, returned)? {
            Some(response) => Ok(response),
            None => app.call_method1(intern!(py, "make_response"), (returned,)),
        }
    }

    /// The view has answered: takes from its response what may be stored. Returns false where it takes a
    /// closer look.
    ///
    /// - `call`: the view's arguments, and those by name.
    fn take(
        slf: &Bound<'_, Self>,
        context: &Bound<'_, PyAny>,
        turn: Py<Turn>,
        response: &Bound<'_, PyAny>,
        call: Py<PyAny>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let (view, app, state, environ) = {
            let mut this = slf.borrow_mut();
            this.turn = Some(turn);
            this.response = Some(response.clone().unbind());
            this.call = Some(call);
            if this.uses_session || this.uses_query || !this.has_read_nothing(py)? {
                return Ok(false);
            }
            let Some(state) = &this.state else {
                return Ok(true);
            };
            let (view, app) = (this.view.clone_ref(py), this.app.clone_ref(py));
            (view, app, state.clone_ref(py), this.environ.clone_ref(py))
        };
        let own = app.bind(py).getattr(intern!(py, "response_class"))?;
        let Ok(environ) = environ.bind(py).cast::<PyDict>() else {
            return Ok(false);
        };
        if !response.get_type().is(&own) || slf.borrow().has_new_hooks(context)? {
            return Ok(false);
        }
        let pages = state.bind(py).getattr(intern!(py, "pages"))?;
        let most_bytes = pages.getattr(intern!(py, "most_bytes"))?.extract()?;
        let taken = view.get().form.get().take(response, environ, most_bytes)?;
        let mut this = slf.borrow_mut();
        match taken.cast_into::<PageTaken>() {
            Ok(taken) => {
                this.taken = Some(taken.clone().unbind());
                this.said = Some(taken.unbind());
            }
            Err(why) => this.detail = Some(why.into_inner().cast_into()?.unbind()),
        }
        Ok(true)
    }

    /// Stores the page of an answer that nobody has changed, and makes of it what is sent of the page.
    /// Returns false where it takes a closer look, or is not stored, of which `detail` says why.
    ///
    /// - `context`: the context of the request.
    /// - `processed`: the response that was given to the hooks.
    /// - `answer`: what they have made of it.
    fn conclude_plainly(
        slf: &Bound<'_, Self>,
        context: &Bound<'_, PyAny>,
        processed: &Bound<'_, PyAny>,
        answer: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let view = {
            let this = slf.borrow();
            let is_own =
                |it: &Bound<'_, PyAny>| this.response.as_ref().is_some_and(|own| own.is(it));
            let is_plain = this.turn.is_some()
                && this.page.is_none()
                && this.detail.is_none()
                && this.read.is_none()
                && this.arguments.is_none()
                && this.is_made
                && is_own(processed)
                && is_own(answer);
            let (Some(taken), true) = (&this.taken, is_plain) else {
                return Ok(false);
            };
            if !taken.get().headers.facts.vary.is_empty() {
                return Ok(false);
            }
            // Hooks that came after the view are part of a page in front.
            if this.view.get().in_front && !this.has_read_nothing(py)? {
                return Ok(false);
            }
            this.view.clone_ref(py)
        };
        let session = view.get().session_of(context)?;
        if let Some(accessed) = session.getattr_opt(intern!(py, "accessed"))?
            && accessed.is_truthy()?
        {
            return Ok(false);
        }
        let taken = slf.borrow().taken.as_ref().map(|it| it.clone_ref(py));
        if !taken.map_or(Ok(false), |taken| taken.get().is_in(answer))? {
            return Ok(false);
        }
        Self::land(slf, answer)
    }

    /// As `conclude_plainly`, where it is known that nothing is unusual about the answer and its request.
    fn land(slf: &Bound<'_, Self>, answer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let why = match Self::land_or_raise(slf, answer) {
            Ok(Landed::Stored) => return Ok(true),
            Ok(Landed::Unknown) => return Ok(false),
            Ok(Landed::Not(why)) => why,
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let view = slf.borrow().view.clone_ref(py);
                let policy = view.get().policy.bind(py);
                policy.call_method1(intern!(py, "stand_aside"), ("timeout", error))?;
                "timeout"
            }
            Err(error) => return Err(error),
        };
        slf.borrow_mut().detail = Some(PyString::new(py, why).unbind());
        Ok(false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.view)?;
        for held in [&self.app, &self.request, &self.environ] {
            visit.call(held)?;
        }
        visit.call(&self.state)?;
        visit.call(&self.reads)?;
        visit.call(&self.turn)?;
        for held in [
            &self.response,
            &self.call,
            &self.page,
            &self.error,
            &self.session,
            &self.arguments,
        ] {
            visit.call(held)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        (self.turn, self.response, self.call) = (None, None, None);
        (self.page, self.error, self.session) = (None, None, None);
        self.arguments = None;
    }
}

impl PagePassage {
    /// Whether of the request nothing was read but what is part of every page, and its body.
    fn has_read_nothing(&self, py: Python<'_>) -> PyResult<bool> {
        let is_noted = |reads: &Py<HeaderReads>| !reads.get().has_some();
        if !self.reads.as_ref().is_some_and(is_noted) {
            return Ok(false);
        }
        let attributes = self.request.bind(py).getattr(intern!(py, "__dict__"))?;
        let attributes = attributes.cast::<PyDict>()?;
        let headers = attributes.get_item(intern!(py, "headers"))?;
        if !headers.is_some_and(|headers| headers.is(&self.headers)) {
            return Ok(false);
        }
        Ok(!attributes.contains(intern!(py, "cookies"))?
            && !attributes.contains(intern!(py, "stream"))?)
    }
}

/// How many functions are to change the answer of a context's request.
fn hooks(context: &Bound<'_, PyAny>) -> PyResult<usize> {
    let hooks = context.getattr_opt(intern!(context.py(), HOOKS))?;
    hooks.map_or(Ok(0), |hooks| hooks.len())
}
