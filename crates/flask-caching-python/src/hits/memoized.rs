//! Hits of a memoized function.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flask_caching_engine::backend::memory::Handle;
use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::arguments::{Arguments, Known};
use super::compute::{Lesson, Outcome, Recipe};
use super::kinds::Kinds;
use super::place::{Guard, Originals, Way};
use super::table::{Place, Table, of_settings};
use crate::memory::MemoryBackend;
use crate::missing::missing;

/// The proxies that a hit of a memoized function goes past: its versions, and its value.
const PROXIES: [&str; 2] = ["get", "get_many"];

/// The proxies that a miss goes past beside those.
const WRITES: [&str; 3] = ["set", "set_many", "add"];

/// The proxy that reads versions.
const VERSIONS: [&str; 1] = ["get_many"];

/// A function is used with few applications; one that is used with more is not computed here.
const MOST_LESSONS: usize = 8;

type RecipeArguments = (
    Py<PyAny>,
    String,
    usize,
    Py<PyTuple>,
    bool,
    Py<PyDict>,
    Py<PyAny>,
);

/// What is known of a call.
enum Memory {
    /// Where its result is.
    Result(Place),
    /// Where its result is, and under which key: somebody is told of the key when it is found.
    Keyed(Place, Py<PyAny>),
    /// The part of its key that the arguments make.
    Prefix(Py<PyAny>),
}

/// The table of one memoized function; see the [module](super).
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct MemoizedHits {
    way: Way,
    /// The proxies that a miss goes past beside those of a hit.
    writes: Originals,
    /// The proxies that versions are read past where values are not.
    versions: Originals,
    kinds: Kinds,
    /// How a miss is computed here, where it can be.
    recipe: Option<Recipe>,
    lessons: Mutex<Vec<Arc<Lesson>>>,
    /// Answers a call that is not in the table.
    ordinary: Py<PyAny>,
    table: Table<Box<[Known]>, Memory>,
    /// The epoch of the table's entries.
    epoch: AtomicU64,
}

#[pymethods]
impl MemoizedHits {
    /// The table of a function of `cache`.
    ///
    /// `originals`: the class whose proxies nobody has replaced. `ordinary(args, kwargs)`: answers a
    /// call that is not in the table. `recipe`: None, or the function, its name in keys, how many
    /// arguments it takes by position, a tuple of the defaults of the last of them, whether it takes
    /// more, the decorated function's attributes, and `finish(args, kwargs, result, key,
    /// version_name, version, mark)`, which stores a result that is not plain data.
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        ordinary: Py<PyAny>,
        recipe: Option<RecipeArguments>,
    ) -> PyResult<Self> {
        Ok(Self {
            way: Way::new(cache, guard, originals, &PROXIES)?,
            writes: Originals::new(originals, &WRITES)?,
            versions: Originals::new(originals, &VERSIONS)?,
            recipe: recipe.map(
                |(function, name, positional, defaults, more, attributes, finish)| {
                    Recipe::new(
                        function, name, positional, defaults, more, attributes, finish,
                    )
                },
            ),
            lessons: Mutex::new(Vec::new()),
            kinds: Kinds::new(),
            ordinary,
            table: Table::new(),
            epoch: AtomicU64::new(0),
        })
    }

    /// Answers a call: from the table, or the ordinary way. `context`: the active application
    /// context, or None.
    fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        match self.look_up(args, kwargs, context) {
            Ok(Found::Value(value)) => return Ok(value),
            Ok(Found::Nothing(backend, arguments)) => {
                if kwargs.is_empty()
                    && let Some(result) = self.compute(&backend, &arguments, args)?
                {
                    return Ok(result);
                }
            }
            Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
            // What failed here fails again the ordinary way, which knows what to do about it.
            Ok(Found::NotHere) | Err(_) => {}
        }
        self.ordinary.bind(py).call1((args, kwargs))
    }

    /// The result of a call, `MISSING` where it is not in the table.
    fn get<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        match self.look_up(args, kwargs, context) {
            Ok(Found::Value(value)) => Ok(value),
            Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
            _ => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// The key and the result of a call that was remembered with `keyed`; None where it is not in
    /// the table.
    fn get_keyed<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let py = args.py();
        let Some((backend, arguments)) = self.read(args, kwargs, context)? else {
            return Ok(None);
        };
        let native = backend.get();
        let found = self.table.find(
            arguments.hash,
            native.serial(),
            |known| arguments.is(known),
            |memory| match memory {
                Memory::Keyed(place, key) => Some((*place, key.clone_ref(py))),
                _ => None,
            },
        );
        Ok(found.flatten().and_then(|(place, key)| {
            let value = native.hit(py, place.guards().as_slice(), place.value)?;
            Some((key.into_bound(py), value))
        }))
    }

    /// The key of a call that was remembered with `keyed`, while its versions are still there; None
    /// where it is not in the table. For those who ask the proxies for the value.
    fn key<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        let Some(backend) = self.way.backend_of_versions(py, context, &self.versions)? else {
            return Ok(None);
        };
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch() {
            return Ok(None);
        }
        let Some(arguments) = Arguments::read(&self.kinds, args, kwargs)? else {
            return Ok(None);
        };
        let native = backend.get();
        let found = self.table.find(
            arguments.hash,
            native.serial(),
            |known| arguments.is(known),
            |memory| match memory {
                Memory::Keyed(place, key) => Some((*place, key.clone_ref(py))),
                _ => None,
            },
        );
        Ok(found.flatten().and_then(|(place, key)| {
            let guards = place.guards();
            let are_there = guards
                .as_slice()
                .iter()
                .all(|guard| native.is_there(*guard));
            are_there.then(|| key.into_bound(py))
        }))
    }

    /// Remembers that a call was answered from `backend` under `key`, which was made with
    /// `versions` (a dict of keys and versions). Nothing is remembered where either has changed
    /// meanwhile, or where the arguments cannot be told apart here. `keyed`: hits are not to be
    /// answered without a word about the key. `teach`: misses on this backend may be computed by the
    /// recipe.
    #[expect(clippy::too_many_arguments, reason = "as the ordinary path knows them")]
    fn remember(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        backend: &Bound<'_, MemoryBackend>,
        key: &Bound<'_, PyAny>,
        versions: &Bound<'_, PyDict>,
        keyed: bool,
        teach: bool,
    ) -> PyResult<()> {
        let goes_past = if keyed {
            self.versions
                .are_untouched(self.way.cache().bind(backend.py()), backend)?
        } else {
            self.way.is_direct(backend)?
        };
        if !goes_past {
            return Ok(());
        }
        self.check_epoch();
        self.kinds.learn(args, kwargs)?;
        let Some(arguments) = Arguments::read(&self.kinds, args, kwargs)? else {
            return Ok(());
        };
        let native = backend.get();
        let mut guards = Vec::with_capacity(2);
        for (name, version) in versions.iter() {
            let Some(guard) = native.handle_of_text(&name, &version)? else {
                return Ok(());
            };
            guards.push(guard);
        }
        let Some((value, false)) = native.handle(key)? else {
            return Ok(());
        };
        if guards.len() > 2 {
            return Ok(());
        }
        if guards.len() == 1 && teach {
            self.learn(native.serial(), versions, guards[0])?;
        }
        let place = Place::new(&guards, value);
        let memory = if keyed {
            Memory::Keyed(place, key.clone().unbind())
        } else {
            Memory::Result(place)
        };
        self.insert(&arguments, native.serial(), memory)
    }

    /// The part of a call's key that its arguments make; None where it is not known. `settings`: the
    /// number of the application's settings.
    fn prefix<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        settings: u32,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch() {
            return Ok(None);
        }
        let Some(arguments) = Arguments::read(&self.kinds, args, kwargs)? else {
            return Ok(None);
        };
        let found = self.table.find(
            arguments.hash,
            of_settings(settings),
            |known| arguments.is(known),
            |memory| match memory {
                Memory::Prefix(prefix) => Some(prefix.clone_ref(py)),
                _ => None,
            },
        );
        Ok(found.flatten().map(|prefix| prefix.into_bound(py)))
    }

    /// Remembers the part of a call's key that its arguments make.
    fn remember_prefix(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        settings: u32,
        prefix: Py<PyAny>,
    ) -> PyResult<()> {
        self.check_epoch();
        self.kinds.learn(args, kwargs)?;
        match Arguments::read(&self.kinds, args, kwargs)? {
            Some(arguments) => {
                self.insert(&arguments, of_settings(settings), Memory::Prefix(prefix))
            }
            None => Ok(()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)?;
        visit.call(&self.ordinary)?;
        self.kinds.traverse(&visit)?;
        for held in self.recipe.iter().flat_map(Recipe::held) {
            visit.call(held)?;
        }
        self.table.try_each(|call| {
            call.iter().try_for_each(|argument| match argument {
                Known::Printed(_, kind) => visit.call(kind),
                _ => Ok(()),
            })
        })
    }

    fn __clear__(&self) {
        self.table.clear();
        self.kinds.clear();
    }
}

/// What the table says of a call.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives on the stack of one call"
)]
enum Found<'py> {
    /// Its result.
    Value(Bound<'py, PyAny>),
    /// Nothing, although it could: the backend it goes to, and its arguments.
    Nothing(Bound<'py, MemoryBackend>, Arguments<'py>),
    /// The call is not for the table.
    NotHere,
}

impl MemoizedHits {
    /// The backend a call goes to, and its arguments; `None` where it is not for the table.
    #[inline]
    fn read<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, MemoryBackend>, Arguments<'py>)>> {
        let Some(backend) = self.way.backend(args.py(), context)? else {
            return Ok(None);
        };
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch() {
            return Ok(None);
        }
        let arguments = Arguments::read(&self.kinds, args, kwargs)?;
        Ok(arguments.map(|arguments| (backend, arguments)))
    }

    #[inline]
    fn look_up<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Found<'py>> {
        let Some((backend, arguments)) = self.read(args, kwargs, context)? else {
            return Ok(Found::NotHere);
        };
        let native = backend.get();
        let place = self.table.find(
            arguments.hash,
            native.serial(),
            |known| arguments.is(known),
            |memory| match memory {
                Memory::Result(place) => Some(*place),
                _ => None,
            },
        );
        let value = place
            .flatten()
            .and_then(|place| native.hit(args.py(), place.guards().as_slice(), place.value));
        Ok(match value {
            Some(value) => Found::Value(value),
            None => Found::Nothing(backend, arguments),
        })
    }

    /// Computes a call that the table does not know; `None` where that is for the ordinary path.
    ///
    /// # Errors
    /// What the function raised.
    fn compute<'py>(
        &self,
        backend: &Bound<'py, MemoryBackend>,
        arguments: &Arguments<'py>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let native = backend.get();
        let Some(recipe) = &self.recipe else {
            return Ok(None);
        };
        let Some(lesson) = self.lesson(native.serial()) else {
            return Ok(None);
        };
        if !self
            .writes
            .are_untouched(self.way.cache().bind(backend.py()), backend)?
        {
            return Ok(None);
        }
        match recipe.compute(native, &lesson, arguments, args)? {
            Outcome::Ordinary => Ok(None),
            Outcome::Done(result, handle) => {
                if let Some(handle) = handle {
                    let place = Place::new(&[lesson.guard], handle);
                    self.insert(arguments, native.serial(), Memory::Result(place))?;
                }
                Ok(Some(result))
            }
        }
    }

    fn lesson(&self, backend: u64) -> Option<Arc<Lesson>> {
        lock(&self.lessons)
            .iter()
            .find(|lesson| lesson.backend == backend)
            .cloned()
    }

    /// Keeps the version that the ordinary path found on a backend.
    fn learn(&self, backend: u64, versions: &Bound<'_, PyDict>, guard: Handle) -> PyResult<()> {
        let Some((name, version)) = versions.iter().next() else {
            return Ok(());
        };
        let lesson = Arc::new(Lesson {
            backend,
            name: name.cast_into::<PyString>()?.unbind(),
            version: version.cast_into::<PyString>()?.unbind(),
            guard,
        });
        let mut lessons = lock(&self.lessons);
        let known = lessons.iter().position(|old| old.backend == backend);
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
        Ok(())
    }

    fn insert(&self, arguments: &Arguments<'_>, backend: u64, memory: Memory) -> PyResult<()> {
        let call = arguments.to_known()?;
        self.table
            .insert(arguments.hash, backend, call, memory, |known| {
                arguments.is(known)
            });
        Ok(())
    }

    /// Forgets what was learned while keys were made otherwise.
    fn check_epoch(&self) {
        let now = self.way.epoch();
        if self.epoch.swap(now, Ordering::Relaxed) != now {
            self.table.clear();
            let forgotten = std::mem::take(&mut *lock(&self.lessons));
            drop(forgotten);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
