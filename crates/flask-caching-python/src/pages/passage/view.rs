//! What all requests to the view of a page have in common.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::made::Responses;
use super::reads::Subclasses;
use crate::pages::PageForm;
use crate::road::Road;

/// What all requests to the view of a page have in common.
///
/// - `policy`: its policy.
/// - `in_front`: whether its pages are answered in front of the application.
/// - `session`: the attribute of a context that has the session, and the classes of sessions that are looked
///   at without being used.
/// - `hooks`: `kept_by(cls)`, the names of what requests of a class keep of their headers; and
///   `leave_to_hooks(request, reads)`, which has what was read before the view not count for it.
/// - `noting_address(cls)`: a class of requests that note that their address was read.
/// - `sending_class(cls)`: a class of responses that are sent as they are, or None.
/// - `model_of(app)`: what all responses have in common that an application makes of texts, or None.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageView {
    pub(super) policy: Py<PyAny>,
    /// What the cache knows of applications.
    pub(super) states: Py<PyAny>,
    pub(super) road: Py<Road>,
    pub(super) form: Py<PageForm>,
    /// Whether tags depend on the answer.
    pub(super) asks_tags: bool,
    pub(super) in_front: bool,
    pub(super) session: (Py<PyString>, Py<PyTuple>),
    pub(super) kept_by: Subclasses,
    pub(super) leave_to_hooks: Py<PyAny>,
    pub(super) noting_address: Subclasses,
    pub(super) sending_class: Subclasses,
    pub(super) responses: Responses,
}

#[pymethods]
impl PageView {
    #[new]
    fn new(
        policy: &Bound<'_, PyAny>,
        in_front: bool,
        session: (Py<PyString>, Py<PyTuple>),
        hooks: (Py<PyAny>, Py<PyAny>),
        noting_address: Py<PyAny>,
        sending_class: Py<PyAny>,
        model_of: Py<PyAny>,
    ) -> PyResult<Self> {
        let py = policy.py();
        let cache = policy.getattr(intern!(py, "cache"))?;
        let states = cache.getattr(intern!(py, "_states"))?;
        Ok(Self {
            policy: policy.clone().unbind(),
            states: states.unbind(),
            road: policy.getattr(intern!(py, "road"))?.extract()?,
            form: policy.getattr(intern!(py, "form"))?.extract()?,
            asks_tags: policy.getattr(intern!(py, "asks_tags"))?.extract()?,
            in_front,
            session,
            kept_by: Subclasses::made_by(hooks.0),
            leave_to_hooks: hooks.1,
            noting_address: Subclasses::made_by(noting_address),
            sending_class: Subclasses::made_by(sending_class),
            responses: Responses::modelled_by(model_of),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.policy)?;
        visit.call(&self.states)?;
        visit.call(&self.road)?;
        self.kept_by.traverse(&visit)?;
        visit.call(&self.leave_to_hooks)?;
        self.noting_address.traverse(&visit)?;
        self.sending_class.traverse(&visit)?;
        self.responses.traverse(&visit)
    }
}

impl PageView {
    /// Whether a request keeps what it has made of its headers.
    pub(super) fn has_kept(&self, request: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = request.py();
        let names = self.kept_by.of(request.get_type().as_any())?;
        let attributes = request.getattr(intern!(py, "__dict__"))?;
        let has_none = names.call_method1(intern!(py, "isdisjoint"), (attributes,))?;
        Ok(!has_none.is_truthy()?)
    }

    pub(super) fn session_of<'py>(
        &self,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        context.getattr(self.session.0.bind(context.py()))
    }

    /// Whether a session is one of Flask's own, is empty, and nobody has written to it: as
    /// `flask_caching.requests.sessions.is_untouched`.
    pub(super) fn is_untouched(&self, session: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = session.py();
        let kind = session.get_type();
        let mut classes = self.session.1.bind(py).iter_borrowed();
        Ok(classes.any(|class| class.is(&kind))
            && !session.is_truthy()?
            && !session.getattr(intern!(py, "modified"))?.is_truthy()?)
    }
}
