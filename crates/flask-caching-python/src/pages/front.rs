//! The WSGI callable in front of an application.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use flask_caching_engine::clock;
use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::answer::{Answer, page_answer};
use super::layout::is_page;
use crate::road::{Road, Turn};

/// Where a request carries the turn that was begun for it in front: as `flask_caching.pages.visitors.TURN`.
pub(crate) const TURN: &str = "flask_caching.turn";

/// Paths are forgotten when so many are known.
const MOST_PATHS: usize = 20_000;
/// And when they have so many letters together, each of which is a byte.
const MOST_LETTERS: usize = 4 << 20;
/// Longer ones are not remembered.
const LONGEST_PATH: usize = 1024;

/// Answers requests from stored pages before the application is entered.
///
/// - `app`: the application's own `wsgi_app`.
/// - `place`: the application's extensions, and its name.
/// - `look_up(road, environ)`: the page of a request that is not found natively; a turn for it, which the
///   environ has, too; or None.
/// - `failed(error)`: notes that something went wrong.
#[pyclass(frozen, dict, module = "flask_caching._engine")]
pub(crate) struct PageFront {
    #[pyo3(get)]
    app: Py<PyAny>,
    extensions: Py<PyAny>,
    name: Py<PyString>,
    look_up: Py<PyAny>,
    failed: Py<PyAny>,
    says_status: bool,
    /// Called with the environ and the seconds that an answer took: what `Server-Timing` says of it.
    timing: OnceLock<Py<PyAny>>,
    /// The roads of the pages that were answered, by `PATH_INFO`.
    paths: Py<PyDict>,
    /// How many letters they have.
    letters: AtomicUsize,
}

#[pymethods]
impl PageFront {
    #[new]
    fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        place: (Py<PyAny>, Py<PyString>),
        look_up: Py<PyAny>,
        failed: Py<PyAny>,
        says_status: bool,
    ) -> Self {
        let (extensions, name) = place;
        Self {
            app,
            extensions,
            name,
            look_up,
            failed,
            says_status,
            timing: OnceLock::new(),
            paths: PyDict::new(py).unbind(),
            letters: AtomicUsize::new(0),
        }
    }

    /// From now on requests to `path` are looked up on this road.
    pub(super) fn learn(&self, path: &Bound<'_, PyString>, road: &Bound<'_, Road>) -> PyResult<()> {
        let paths = self.paths.bind(path.py());
        let length = path.len()?;
        if length > LONGEST_PATH {
            return Ok(());
        }
        if !paths.contains(path)? {
            let letters = self.letters.fetch_add(length, Ordering::Relaxed) + length;
            if paths.len() >= MOST_PATHS || letters > MOST_LETTERS {
                paths.clear();
                self.letters.store(length, Ordering::Relaxed);
            }
        }
        paths.set_item(path, road)
    }

    /// Lets answers have a header `Server-Timing`, which says what `header(environ, seconds)` returns. The
    /// first call counts.
    fn say_timing(&self, header: Py<PyAny>) {
        let _ = self.timing.set(header);
    }

    fn __call__<'py>(
        &self,
        environ: &Bound<'py, PyAny>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = environ.py();
        let start = self.timing.get().map(|_| clock::exact());
        let mut has_begun = false;
        let answer = match environ.cast_exact::<PyDict>() {
            Ok(environ) => self.answer(environ, &mut has_begun),
            Err(_) => Ok(None),
        };
        match answer {
            Ok(Some((status, headers, body))) => {
                if let (Some(start), Some(header)) = (start, self.timing.get()) {
                    let seconds = clock::exact().since(start).as_secs_f64();
                    let said = header.call1(py, (environ, seconds))?;
                    headers.append((intern!(py, "Server-Timing"), said))?;
                }
                start_response.call1((status, headers))?;
                return Ok(body.into_any());
            }
            Ok(None) => {}
            Err(error) if error.is_instance_of::<PyException>(py) => {
                self.failed.call1(py, (error,))?;
            }
            Err(error) => return Err(error),
        }
        let answer = self.app.bind(py).call1((environ, start_response));
        let turn = intern!(py, TURN);
        if has_begun && environ.contains(turn)? {
            // It did not get as far as the view, which others have waited for: for a moment nobody does.
            let left = environ.get_item(turn)?;
            environ.del_item(turn)?;
            if let Ok((_, turn)) = left.extract::<(Bound<'_, PyAny>, PyRef<'_, Turn>)>() {
                turn.give_up();
            }
        }
        answer
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for held in [&self.app, &self.extensions, &self.look_up, &self.failed] {
            visit.call(held)?;
        }
        if let Some(header) = self.timing.get() {
            visit.call(header)?;
        }
        visit.call(&self.paths)
    }
}

impl PageFront {
    /// - `has_begun`: becomes true where the environ has a turn from now on.
    fn answer<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        has_begun: &mut bool,
    ) -> PyResult<Option<Answer<'py>>> {
        let py = environ.py();
        let Some(path) = environ.get_item(intern!(py, "PATH_INFO"))? else {
            return Ok(None);
        };
        let Some(road) = self.paths.bind(py).get_item(path)? else {
            return Ok(None);
        };
        let road = road.cast_into::<Road>()?;
        let (extensions, name) = (self.extensions.bind(py), self.name.bind(py));
        let page = match road.get().begin_page(environ, extensions, name)? {
            Some(turn) if turn.is_instance_of::<Turn>() => {
                environ.set_item(intern!(py, TURN), (road, turn))?;
                *has_begun = true;
                return Ok(None);
            }
            Some(page) => page,
            None => self.look_up.bind(py).call1((road, environ))?,
        };
        if !is_page(&page) {
            *has_begun = !page.is_none();
            return Ok(None);
        }
        page_answer(
            page.cast::<PyTuple>()?,
            environ,
            self.says_status,
            None,
            false,
        )
        .map(Some)
    }
}
