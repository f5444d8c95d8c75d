//! What is read of a request's headers, by whoever has the request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyIterator, PySet, PyString, PyTuple, PyType};

/// The environment of a request in its `headers`, which notes what is read of it. What that means for a
/// page: `flask_caching.pages.reads.headers`.
///
/// It is never borrowed while Python runs: a finalizer may read headers, too.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct HeaderReads {
    #[pyo3(get)]
    environ: Py<PyAny>,
    names: Py<PySet>,
    /// How often all were.
    times_all: AtomicUsize,
    has_some: AtomicBool,
    has_address: AtomicBool,
    has_begun: AtomicBool,
}

#[pymethods]
impl HeaderReads {
    /// - `environ`: the environment.
    #[new]
    fn new(environ: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            environ: environ.clone().unbind(),
            names: PySet::empty(environ.py())?.unbind(),
            times_all: AtomicUsize::new(0),
            has_some: AtomicBool::new(false),
            has_address: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        })
    }

    /// The names that were read, as an environment has them.
    #[getter]
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, self.names.bind(py))
    }

    #[setter]
    fn set_names(&self, names: &Bound<'_, PyFrozenSet>) -> PyResult<()> {
        let own = self.names.bind(names.py());
        if !names.is_empty() {
            self.has_some.store(true, Ordering::Relaxed);
        }
        own.clear();
        names.iter().try_for_each(|name| own.add(name))
    }

    /// How often all were.
    #[getter]
    fn times_all(&self) -> usize {
        self.times_all.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_times_all(&self, times: usize) {
        self.times_all.store(times, Ordering::Relaxed);
    }

    /// Whether any was, or the address.
    #[getter]
    pub(super) fn has_some(&self) -> bool {
        self.has_some.load(Ordering::Relaxed)
    }

    /// Whether the address was.
    #[getter]
    fn has_address(&self) -> bool {
        self.has_address.load(Ordering::Relaxed)
    }

    /// The address of the request is read.
    pub(super) fn note_address(&self) {
        self.has_some.store(true, Ordering::Relaxed);
        self.has_address.store(true, Ordering::Relaxed);
    }

    /// All headers are read.
    fn note_all(&self) {
        self.has_some.store(true, Ordering::Relaxed);
        self.times_all.fetch_add(1, Ordering::Relaxed);
    }

    fn __getitem__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.note(name)?;
        self.environ.bind(name.py()).get_item(name)
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.note(name)?;
        self.environ.bind(name.py()).contains(name)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.note_all();
        self.environ.bind(py).try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.note_all();
        self.environ.bind(py).len()
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.note_all();
        self.environ.bind(py).call_method0(intern!(py, "items"))
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.environ.bind(name.py()).getattr(name)
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let environ = PyTuple::new(slf.py(), [&slf.get().environ])?;
        Ok((slf.get_type(), environ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.environ)?;
        visit.call(&self.names)
    }
}

impl HeaderReads {
    fn note(&self, name: &Bound<'_, PyAny>) -> PyResult<()> {
        self.has_some.store(true, Ordering::Relaxed);
        self.names.bind(name.py()).add(name)
    }

    /// Notes that a view has begun; whether it is the first.
    pub(super) fn begin(&self) -> bool {
        !self.has_begun.swap(true, Ordering::Relaxed)
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
            of_headers.set_item(name, Bound::new(py, HeaderReads::new(&environ)?)?)?;
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

/// What was read of a request's `headers`, where it notes that.
pub(super) fn reads_of<'py>(
    headers: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, HeaderReads>>> {
    let environ = headers.getattr_opt(intern!(headers.py(), "environ"))?;
    Ok(environ.and_then(|environ| environ.cast_into().ok()))
}

/// What was read of a request's headers, where it notes that.
#[pyfunction]
pub(crate) fn header_reads<'py>(
    request: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, HeaderReads>>> {
    reads_of(&request.getattr(intern!(request.py(), "headers"))?)
}
