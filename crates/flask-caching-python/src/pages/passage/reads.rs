//! What is read of a request's headers, by whoever has the request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PySet, PyString, PyTuple, PyType};

/// The environment of a request in its `headers`, which notes what is read of it. What that means for a
/// page: `flask_caching.pages.reads.headers`.
#[pyclass(module = "flask_caching._engine")]
pub(crate) struct HeaderReads {
    #[pyo3(get)]
    environ: Py<PyAny>,
    /// `None`: none was.
    names: Option<Py<PySet>>,
    /// How often all were.
    #[pyo3(get, set)]
    times_all: usize,
    /// Whether any was, or the address.
    #[pyo3(get, set)]
    pub(super) has_some: bool,
    /// Whether a view has begun.
    #[pyo3(get)]
    pub(super) has_begun: bool,
}

#[pymethods]
impl HeaderReads {
    /// - `environ`: the environment.
    #[new]
    fn new(environ: Py<PyAny>) -> Self {
        Self {
            environ,
            names: None,
            times_all: 0,
            has_some: false,
            has_begun: false,
        }
    }

    /// The names that were read, as an environment has them.
    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        match &self.names {
            Some(names) => PyFrozenSet::new(py, names.bind(py)),
            None => PyFrozenSet::empty(py),
        }
    }

    #[setter]
    fn set_names(&mut self, names: &Bound<'_, PyFrozenSet>) -> PyResult<()> {
        self.names = Some(PySet::new(names.py(), names)?.unbind());
        Ok(())
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (environ, names) = {
            let mut this = slf.borrow_mut();
            this.has_some = true;
            let names = match &this.names {
                Some(names) => names.clone_ref(py),
                None => this.names.insert(PySet::empty(py)?.unbind()).clone_ref(py),
            };
            (this.environ.clone_ref(py), names)
        };
        names.bind(py).add(name)?;
        environ.into_bound(py).get_item(name)
    }

    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let environ = {
            let mut this = slf.borrow_mut();
            (this.times_all, this.has_some) = (this.times_all + 1, true);
            this.environ.clone_ref(slf.py())
        };
        environ
            .into_bound(slf.py())
            .call_method0(intern!(slf.py(), "items"))
    }

    fn __getattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let environ = slf.borrow().environ.clone_ref(slf.py());
        environ.into_bound(slf.py()).getattr(name)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let environ = slf.borrow().environ.clone_ref(slf.py());
        Ok((slf.get_type(), PyTuple::new(slf.py(), [environ])?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.environ)?;
        visit.call(self.names.as_ref())
    }
}

impl HeaderReads {
    /// Whether the names of some are known.
    pub(super) fn has_names(&self, py: Python<'_>) -> bool {
        let names = self.names.as_ref();
        names.is_some_and(|names| !names.bind(py).is_empty())
    }
}

/// Lets a request note from now on which of its headers and cookies are read, whoever has read some before.
/// What it has of cookies is made when they are first asked for, so that others pay nothing.
///
/// - `noting_class(cls)`: a subclass whose objects note what is read of them.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct NoteReads {
    noting: Subclasses,
}

#[pymethods]
impl NoteReads {
    #[new]
    fn new(noting_class: Py<PyAny>) -> Self {
        Self {
            noting: Subclasses::made_by(noting_class),
        }
    }

    /// - `request`: a request.
    fn __call__(&self, request: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = request.py();
        let attributes = request.getattr(intern!(py, "__dict__"))?;
        let attributes = attributes.cast::<PyDict>()?;
        if attributes.contains(intern!(py, "cookies"))? {
            attributes.del_item(intern!(py, "cookies"))?;
        }
        let name = intern!(py, "dict_storage_class");
        let class = request.get_type().getattr(name)?;
        attributes.set_item(name, self.noting.of(&class)?)?;
        let name = intern!(py, "environ");
        let environ = request.getattr(name)?;
        let headers = request.getattr(intern!(py, "headers"))?;
        if let Some(of_headers) = headers.getattr_opt(intern!(py, "__dict__"))?
            && let Ok(of_headers) = of_headers.cast::<PyDict>()
            && of_headers
                .get_item(name)?
                .is_some_and(|own| own.is(&environ))
        {
            of_headers.set_item(name, Bound::new(py, HeaderReads::new(environ.unbind()))?)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.noting.traverse(&visit)
    }
}

/// What a function makes of a class, which is the same class nearly always.
pub(super) struct Subclasses {
    make: Py<PyAny>,
    last: Mutex<Option<[Py<PyAny>; 2]>>,
}

impl Subclasses {
    pub(super) fn made_by(make: Py<PyAny>) -> Self {
        let last = Mutex::new(None);
        Self { make, last }
    }

    /// What is made of `class`.
    pub(super) fn of<'py>(&self, class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        if let Some([known, made]) = &*self.lock()
            && known.is(class)
        {
            return Ok(made.bind(py).clone());
        }
        let made = self.make.bind(py).call1((class,))?;
        let pair = [class.clone().unbind(), made.clone().unbind()];
        let old = self.lock().replace(pair);
        drop(old);
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, Option<[Py<PyAny>; 2]>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.make)?;
        let Ok(last) = self.last.try_lock() else {
            return Ok(());
        };
        last.iter()
            .flatten()
            .try_for_each(|class| visit.call(class))
    }
}

/// What was read of a request's headers, where it notes that.
#[pyfunction]
pub(crate) fn header_reads<'py>(
    request: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, HeaderReads>>> {
    let py = request.py();
    let headers = request.getattr(intern!(py, "headers"))?;
    let environ = headers.getattr_opt(intern!(py, "environ"))?;
    Ok(environ.and_then(|environ| environ.cast_into().ok()))
}
