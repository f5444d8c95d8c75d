//! A miss of a memoized function, from the key to the stored result, without the ordinary path.
//!
//! Only for the plainest case: positional arguments that are plain data, the default hash, no option
//! that has a say, a result that is plain data. The key is made as the ordinary path makes it; what
//! is not the plainest case is handed to that path, before or after the function has run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flask_caching_engine::backend::memory::{Handle, Mark};
use flask_caching_engine::key::memoize_prefix;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::arguments::Arguments;
use crate::memory::{MemoryBackend, Written};

/// What [`Recipe::new`] takes, as Python hands it over.
pub(super) type RecipeArguments = (
    Py<PyAny>,
    String,
    usize,
    Py<PyTuple>,
    bool,
    Py<PyDict>,
    Py<PyAny>,
);

/// How a function's key is made of its arguments.
pub(super) struct Recipe {
    /// The function.
    function: Py<PyAny>,
    /// Its name as it stands in keys.
    name: String,
    /// How many arguments it takes by position, and the defaults of the last of them.
    positional: usize,
    defaults: Py<PyTuple>,
    /// Whether it takes further arguments by position.
    takes_more: bool,
    /// The decorated function's attributes, of which `cache_timeout` says how long results live.
    attributes: Py<PyDict>,
    /// `finish(args, kwargs, result, key, version_name, version, mark)`: stores, or not, and returns
    /// what a result that is not plain data becomes.
    pub(super) finish: Py<PyAny>,
}

/// A function's version on one backend, which the ordinary path found.
pub(super) struct Lesson {
    pub(super) backend: u64,
    pub(super) name: Py<PyString>,
    pub(super) version: Py<PyString>,
    pub(super) guard: Handle,
}

/// A function is used with few applications; one that is used with more is not computed here.
const MOST_LESSONS: usize = 8;

/// The lessons of one function.
pub(super) struct Lessons(Mutex<Vec<Arc<Lesson>>>);

impl Lessons {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn of(&self, backend: u64) -> Option<Arc<Lesson>> {
        self.lock()
            .iter()
            .find(|lesson| lesson.backend == backend)
            .cloned()
    }

    /// Keeps the version that the ordinary path found on a backend.
    pub(super) fn learn(&self, lesson: Lesson) {
        let lesson = Arc::new(lesson);
        let mut lessons = self.lock();
        let known = lessons.iter().position(|old| old.backend == lesson.backend);
        let old = match known {
            Some(index) => Some(std::mem::replace(&mut lessons[index], lesson)),
            None if lessons.len() < MOST_LESSONS => {
                lessons.push(lesson);
                None
            }
            None => Some(lesson),
        };
        drop(lessons);
        drop(old);
    }

    pub(super) fn forget(&self) {
        let forgotten = std::mem::take(&mut *self.lock());
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Lesson>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a miss.
pub(super) enum Outcome<'py> {
    /// It is for the ordinary path; the function has not run.
    Ordinary,
    /// The call's result, and where it is stored now.
    Done(Bound<'py, PyAny>, Option<Handle>),
}

impl Recipe {
    /// The recipe of a function: itself, its name in keys, how many arguments it takes by position,
    /// the defaults of the last of them, whether it takes more, the decorated function's attributes,
    /// and `finish`.
    pub(super) fn new(
        (function, name, positional, defaults, takes_more, attributes, finish): RecipeArguments,
    ) -> Self {
        Self {
            function,
            name,
            positional,
            defaults,
            takes_more,
            attributes,
            finish,
        }
    }

    /// What the garbage collector is to see.
    pub(super) fn held(&self) -> [&Py<PyAny>; 4] {
        [
            &self.function,
            self.defaults.as_any(),
            self.attributes.as_any(),
            &self.finish,
        ]
    }

    /// Computes and stores the result of a call that is not in the table.
    pub(super) fn compute<'py>(
        &self,
        backend: &MemoryBackend,
        lesson: &Lesson,
        arguments: &Arguments<'py>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Outcome<'py>> {
        let py = args.py();
        let Some(key) = self.key(py, lesson, arguments, args)? else {
            return Ok(Outcome::Ordinary);
        };
        let mark = backend.mark();
        if let Some((handle, value)) = backend.find_guarded(py, lesson.guard, key.as_bytes())? {
            if value.is_none() {
                return Ok(Outcome::Ordinary);
            }
            return Ok(Outcome::Done(value, Some(handle)));
        }
        if !backend.is_there(lesson.guard) {
            return Ok(Outcome::Ordinary);
        }
        let result = self.function.bind(py).call1(args.clone())?;
        match self.store(backend, lesson, &key, &result, mark)? {
            Written::At(handle) => Ok(Outcome::Done(result, Some(handle))),
            Written::Superseded => Ok(Outcome::Done(result, None)),
            Written::NotPlain => self.finish(lesson, args, &result, &key, mark),
        }
    }

    /// The key of a call; `None` where it is not made of plain data alone.
    fn key(
        &self,
        py: Python<'_>,
        lesson: &Lesson,
        arguments: &Arguments<'_>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Option<String>> {
        let key = self.prefix(arguments, args)?;
        Ok(key.and_then(|mut key| {
            key.push_str(lesson.version.bind(py).to_str().ok()?);
            Some(key)
        }))
    }

    /// The part of a call's key that its arguments make; `None` where they are not plain data alone.
    pub(super) fn prefix(
        &self,
        arguments: &Arguments<'_>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Option<String>> {
        if !arguments.are_plain() {
            return Ok(None);
        }
        let defaults = self.defaults.bind(args.py());
        let given = args.len();
        let required = self.positional - defaults.len();
        if given < required || (given > self.positional && !self.takes_more) {
            return Ok(None);
        }
        let printed = if given < self.positional {
            let rest = defaults.get_slice(given - required, defaults.len());
            args.as_sequence().concat(rest.as_sequence())?.repr()?
        } else {
            args.repr()?
        };
        let Ok(printed) = printed.to_str() else {
            return Ok(None);
        };
        let mut text = String::with_capacity(self.name.len() + printed.len() + 16);
        text.push_str(&self.name);
        text.push_str(printed);
        text.push_str("OrderedDict()");
        let prefix = memoize_prefix(&text);
        let mut key = String::with_capacity(2 * prefix.len());
        key.extend(prefix.map(char::from));
        Ok(Some(key))
    }

    /// Stores a result that is plain data, and whose timeout takes no closer look.
    fn store(
        &self,
        backend: &MemoryBackend,
        lesson: &Lesson,
        key: &str,
        result: &Bound<'_, PyAny>,
        mark: Mark,
    ) -> PyResult<Written> {
        let py = result.py();
        let timeout = self
            .attributes
            .bind(py)
            .get_item(intern!(py, "cache_timeout"))?
            .filter(|timeout| !timeout.is_none());
        let is_number = timeout.as_ref().is_none_or(|timeout| {
            timeout.is_exact_instance_of::<PyInt>() || timeout.is_exact_instance_of::<PyFloat>()
        });
        if result.is_none() || !is_number {
            return Ok(Written::NotPlain);
        }
        backend.store_since(
            key.as_bytes(),
            result,
            timeout.as_ref(),
            mark,
            lesson.name.bind(py),
        )
    }

    #[cold]
    fn finish<'py>(
        &self,
        lesson: &Lesson,
        args: &Bound<'py, PyTuple>,
        result: &Bound<'py, PyAny>,
        key: &str,
        mark: Mark,
    ) -> PyResult<Outcome<'py>> {
        let py = args.py();
        let finished = self.finish.bind(py).call1((
            args,
            PyDict::new(py),
            result,
            key,
            &lesson.name,
            &lesson.version,
            mark.number(),
        ))?;
        Ok(Outcome::Done(finished, None))
    }
}
