//! The response that Flask makes of a text, made as it has made another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple, PyType};

use crate::interpreter::class_version;

/// What makes responses of texts.
pub(super) struct Responses {
    /// `flask_caching.pages.made.model_of`.
    model_of: Py<PyAny>,
    last: Mutex<Option<Arc<Known>>>,
}

/// What is known of the responses of an application.
struct Known {
    app_class: Py<PyType>,
    /// Their class.
    class: Py<PyType>,
    /// What both, and the class of headers, were when the model was made: whoever changes one has a say.
    versions: [Option<u32>; 3],
    /// `None`: something else has a say about them.
    model: Option<Model>,
}

/// What the responses of an application have in common.
#[derive(FromPyObject)]
struct Model {
    headers_class: Py<PyType>,
    status: Py<PyString>,
    code: Py<PyAny>,
    /// Names and values; that of the length is missing.
    pairs: Py<PyTuple>,
}

impl Responses {
    pub(super) fn modelled_by(model_of: Py<PyAny>) -> Self {
        let last = Mutex::new(None);
        Self { model_of, last }
    }

    /// What `app.make_response(text)` would return; `None`: that has to be asked.
    pub(super) fn make<'py>(
        &self,
        app: &Bound<'py, PyAny>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = app.py();
        let body = match text.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            // Not by `to_str`, which leaves the bytes with the text for as long as that lives.
            Err(_) => match text
                .cast_exact::<PyString>()
                .map(PyStringMethods::encode_utf8)
            {
                Ok(Ok(bytes)) => bytes,
                // What cannot be encoded, Flask says.
                _ => return Ok(None),
            },
        };
        let class = app.getattr(intern!(py, "response_class"))?;
        let (Ok(class), own) = (
            class.cast_into::<PyType>(),
            app.getattr(intern!(py, "__dict__"))?,
        ) else {
            return Ok(None);
        };
        if own.contains(intern!(py, "make_response"))? {
            return Ok(None);
        }
        let known = self.known(app, &class)?;
        let model = known.model.as_ref();
        model.map(|model| model.fill(&class, &body)).transpose()
    }

    fn known(&self, app: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> PyResult<Arc<Known>> {
        let (py, app_class) = (app.py(), app.get_type());
        let versions = |model: Option<&Model>| {
            let headers =
                model.and_then(|model| class_version::of_class(model.headers_class.bind(py)));
            [
                class_version::of(app),
                class_version::of_class(class),
                headers,
            ]
        };
        if let Some(known) = &*self.lock()
            && known.class.is(class)
            && known.app_class.is(&app_class)
            && known.versions == versions(known.model.as_ref())
        {
            return Ok(Arc::clone(known));
        }
        let model: Option<Model> = self.model_of.bind(py).call1((app,))?.extract()?;
        // Of a class without a version it cannot be told whether it changes.
        let model = model.filter(|model| versions(Some(model)).iter().all(Option::is_some));
        let known = Arc::new(Known {
            app_class: app_class.unbind(),
            class: class.clone().unbind(),
            versions: versions(model.as_ref()),
            model,
        });
        let old = self.lock().replace(Arc::clone(&known));
        drop(old);
        Ok(known)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Known>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.model_of)?;
        let Ok(last) = self.last.try_lock() else {
            return Ok(());
        };
        last.iter().try_for_each(|known| {
            visit.call(&known.app_class)?;
            visit.call(&known.class)
        })
    }
}

impl Model {
    /// A response of `class` with this body.
    fn fill<'py>(
        &self,
        class: &Bound<'py, PyType>,
        body: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let pairs = PyList::empty(py);
        for pair in self.pairs.bind(py).iter_borrowed() {
            let pair = pair.cast::<PyTuple>()?;
            if pair.get_borrowed_item(1)?.is_none() {
                let length = body.as_bytes().len().to_string();
                pairs.append((pair.get_borrowed_item(0)?, length))?;
            } else {
                pairs.append(pair)?;
            }
        }
        let headers = bare(self.headers_class.bind(py))?;
        headers.setattr(intern!(py, "_list"), pairs)?;
        let response = bare(class)?;
        // In the order in which Werkzeug does.
        response.setattr(intern!(py, "headers"), headers)?;
        response.setattr(intern!(py, "_status"), &self.status)?;
        response.setattr(intern!(py, "_status_code"), &self.code)?;
        response.setattr(intern!(py, "direct_passthrough"), false)?;
        response.setattr(intern!(py, "_on_close"), PyList::empty(py))?;
        response.setattr(intern!(py, "response"), PyList::new(py, [body])?)?;
        Ok(response)
    }
}

/// An object of a class that nothing has made anything of.
fn bare<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = class.py();
    let new = NEW.get_or_try_init(py, || {
        let object = py.get_type::<PyAny>();
        object.getattr(intern!(py, "__new__")).map(Bound::unbind)
    })?;
    new.bind(py).call1((class,))
}
