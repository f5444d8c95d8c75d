//! Hits of a memoized function.

use std::sync::atomic::{AtomicU64, Ordering};

use flask_caching_engine::backend::memory::Handle;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::arguments::{Arguments, Considered, Known};
use super::compute::{Lesson, Lessons, Outcome, Recipe, RecipeArguments};
use super::kinds::Kinds;
use super::place::{Guard, Originals, Way};
use super::table::{Place, Table, of_settings};
use crate::error::unless_raised;
use crate::memory::MemoryBackend;
use crate::missing::missing;

/// The proxies that a hit of a memoized function goes past: its versions, and its value.
const PROXIES: [&str; 2] = ["get", "get_many"];

/// The proxies that a miss goes past beside those.
const WRITES: [&str; 3] = ["set", "set_many", "add"];

/// The proxy that reads versions.
const VERSIONS: [&str; 1] = ["get_many"];

/// What is known of a call.
enum Memory {
    /// Where its result is.
    Result(Place),
    /// Where its result is, and under which key: somebody has a say when it is found.
    Keyed(Place, Py<PyAny>, Say),
    /// The part of its key that the arguments make.
    Prefix(Py<PyAny>),
}

/// Who has a say in a hit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    /// The receivers of signals.
    Signals,
    /// What an application has put in place of `get`.
    Get,
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
    considered: Considered,
    /// How a miss is computed here, where it can be.
    recipe: Option<Recipe>,
    lessons: Lessons,
    /// Whether a None that `get` returned is a miss.
    none_is_miss: bool,
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
    /// - `originals`: the class whose proxies nobody has replaced.
    /// - `ordinary(args, kwargs, asked)`: answers a call that is not in the table; `asked` is a key
    ///   under which `cache.get` has just found nothing, or left out.
    /// - `none_is_miss`: whether a None that is stored is no answer.
    /// - `left_out_places`, `left_out_names`: the arguments that are left out of keys.
    /// - `changeable`: the defaults that may be another value by the next call.
    /// - `recipe`: None, or the function, its name in keys, how many arguments it takes by position, a
    ///   tuple of the defaults of the last of them, whether it takes more, the decorated function's
    ///   attributes, and `finish(args, kwargs, result, key, version_name, version, mark)`, which
    ///   stores a result that is not plain data.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "all that is known of a function")]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        ordinary: Py<PyAny>,
        none_is_miss: bool,
        left_out_places: Vec<usize>,
        left_out_names: Vec<Py<PyString>>,
        changeable: Vec<Py<PyAny>>,
        recipe: Option<RecipeArguments>,
    ) -> PyResult<Self> {
        Ok(Self {
            way: Way::new(cache, guard, originals, &PROXIES)?,
            writes: Originals::new(originals, &WRITES)?,
            versions: Originals::new(originals, &VERSIONS)?,
            recipe: recipe.map(Recipe::new),
            lessons: Lessons::new(),
            kinds: Kinds::new(),
            considered: Considered::new(left_out_places, left_out_names, changeable),
            none_is_miss,
            ordinary,
            table: Table::new(),
            epoch: AtomicU64::new(0),
        })
    }

    /// Answers a call: from the table, or the ordinary way. `extensions`: those of the active
    /// application, or None.
    fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        if self.way.is_patched() {
            return self.ask(args, kwargs, extensions);
        }
        let mut arguments = Arguments::default();
        match unless_raised(py, self.look_up(&mut arguments, args, kwargs, extensions))? {
            Some(Found::Value(value)) => return Ok(value),
            Some(Found::Nothing(backend)) => {
                if kwargs.is_empty()
                    && let Some(result) = self.compute(&backend, &arguments, args)?
                {
                    return Ok(result);
                }
            }
            None => {}
        }
        self.ordinary.bind(py).call1((args, kwargs))
    }

    /// The result of a call, `MISSING` where it is not in the table.
    fn get<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let found = self.look_up(&mut Arguments::default(), args, kwargs, extensions);
        match unless_raised(py, found)? {
            Some(Found::Value(value)) => Ok(value),
            Some(Found::Nothing(_)) | None => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// The key and the result of a call that signals are sent of; None where it is not in the table.
    fn get_keyed<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let py = args.py();
        let Some(backend) = self.way.backend(py, extensions)? else {
            return Ok(None);
        };
        let mut arguments = Arguments::default();
        if !self.read(&mut arguments, args, kwargs)? {
            return Ok(None);
        }
        let native = backend.get();
        let found = self.find(&arguments, native.serial(), |memory| {
            memory.keyed(py, Say::Signals)
        });
        let Some((place, key)) = found else {
            return Ok(None);
        };
        let value = native.hit(py, place.guards().as_slice(), place.value)?;
        Ok(value.map(|value| (key, value)))
    }

    /// The key of a call that an application's own `get` is asked for, while its versions are still
    /// there; None where it is not in the table.
    fn key<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        let versions = &self.versions;
        let Some(backend) = self.way.backend_of_versions(py, extensions, versions)? else {
            return Ok(None);
        };
        let mut arguments = Arguments::default();
        if !self.read(&mut arguments, args, kwargs)? {
            return Ok(None);
        }
        let native = backend.get();
        let found = self.find(&arguments, native.serial(), |memory| {
            memory.keyed(py, Say::Get)
        });
        Ok(found.and_then(|(place, key)| {
            let guards = place.guards();
            let are_there = guards
                .as_slice()
                .iter()
                .all(|guard| native.is_there(*guard));
            are_there.then_some(key)
        }))
    }

    /// Remembers that a call was answered from `backend` under `key`, which was made with
    /// `versions` (a dict of keys and versions). Nothing is remembered where either has changed
    /// meanwhile, or where the arguments cannot be told apart here. `signalled`: signals are sent of
    /// hits. `teach`: misses on this backend may be computed by the recipe.
    #[expect(clippy::too_many_arguments, reason = "as the ordinary path knows them")]
    fn remember(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        backend: &Bound<'_, MemoryBackend>,
        key: &Bound<'_, PyAny>,
        versions: &Bound<'_, PyDict>,
        signalled: bool,
        teach: bool,
    ) -> PyResult<()> {
        let cache = self.way.cache().bind(backend.py());
        let say = match (signalled, self.way.is_patched()) {
            (true, _) => Some(Say::Signals),
            (false, true) => Some(Say::Get),
            (false, false) => None,
        };
        let goes_past = match say {
            Some(_) => self.versions.are_untouched(cache, backend)?,
            None => self.way.is_direct(backend)?,
        };
        if !goes_past || versions.len() > 2 {
            return Ok(());
        }
        self.check_epoch();
        self.kinds.learn(&self.considered, args, kwargs)?;
        let mut arguments = Arguments::default();
        if !self.read(&mut arguments, args, kwargs)? {
            return Ok(());
        }
        let native = backend.get();
        let mut guards = Vec::with_capacity(2);
        for (name, version) in versions.iter() {
            let Some(guard) = native.handle_of_text(&name, &version)? else {
                return Ok(());
            };
            guards.push(guard);
        }
        let value = match native.handle(key)? {
            Some((value, is_none)) if !(is_none && self.none_is_miss) => value,
            _ => return Ok(()),
        };
        if teach && let [guard] = guards[..] {
            self.learn(native.serial(), versions, guard)?;
        }
        let place = Place::new(&guards, value);
        let memory = match say {
            Some(say) => Memory::Keyed(place, key.clone().unbind(), say),
            None => Memory::Result(place),
        };
        self.insert(&arguments, native.serial(), memory)
    }

    /// The part of a call's key that its arguments make; None where it is not known. `settings`: the
    /// number of the application's settings; `plain`: under them the recipe makes keys.
    fn prefix<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        settings: u32,
        plain: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        let mut arguments = Arguments::default();
        if !self.read(&mut arguments, args, kwargs)? {
            return Ok(None);
        }
        if plain
            && kwargs.is_empty()
            && let Some(recipe) = &self.recipe
            && let Some(prefix) = recipe.prefix(&arguments, args)?
        {
            return Ok(Some(PyString::new(py, &prefix).into_any()));
        }
        Ok(
            self.find(&arguments, of_settings(settings), |memory| match memory {
                Memory::Prefix(prefix) => Some(prefix.bind(py).clone()),
                _ => None,
            }),
        )
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
        self.kinds.learn(&self.considered, args, kwargs)?;
        let mut arguments = Arguments::default();
        if !self.read(&mut arguments, args, kwargs)? {
            return Ok(());
        }
        self.insert(&arguments, of_settings(settings), Memory::Prefix(prefix))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)?;
        visit.call(&self.ordinary)?;
        self.kinds.traverse(&visit)?;
        self.considered.traverse(&visit)?;
        for held in self.recipe.iter().flat_map(Recipe::held) {
            visit.call(held)?;
        }
        self.table.try_each(|call| {
            call.iter()
                .try_for_each(|argument| argument.traverse(&visit))
        })
    }

    fn __clear__(&self) {
        self.table.clear();
        self.kinds.clear();
    }
}

/// What the table says of a call.
enum Found<'py> {
    /// Its result.
    Value(Bound<'py, PyAny>),
    /// Nothing, although it could: the backend it goes to.
    Nothing(Bound<'py, MemoryBackend>),
}

impl Memory {
    /// Where the result is, and its key, where `say` has a say.
    fn keyed<'py>(&self, py: Python<'py>, say: Say) -> Option<(Place, Bound<'py, PyAny>)> {
        match self {
            Self::Keyed(place, key, whose) if *whose == say => Some((*place, key.bind(py).clone())),
            _ => None,
        }
    }
}

impl MemoizedHits {
    /// Reads the arguments of a call; `false` where they cannot be told apart, or keys are made
    /// otherwise since the table was filled.
    #[inline]
    fn read<'py>(
        &self,
        arguments: &mut Arguments<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<bool> {
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch() {
            return Ok(false);
        }
        arguments.read(&self.kinds, &self.considered, args, kwargs)
    }

    /// What `read` makes of what is known of a call; `read` is called under the table's lock.
    #[inline]
    fn find<R>(
        &self,
        arguments: &Arguments<'_>,
        backend: u64,
        read: impl FnOnce(&Memory) -> Option<R>,
    ) -> Option<R> {
        self.table
            .find(arguments.hash, backend, |known| arguments.is(known), read)
            .flatten()
    }

    /// Looks a call up; `arguments` are filled with its own. `None`: the call is not for the table.
    #[inline]
    fn look_up<'py>(
        &self,
        arguments: &mut Arguments<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Found<'py>>> {
        let Some(backend) = self.way.backend(args.py(), extensions)? else {
            return Ok(None);
        };
        if !self.read(arguments, args, kwargs)? {
            return Ok(None);
        }
        let native = backend.get();
        let place = self.find(arguments, native.serial(), |memory| match memory {
            Memory::Result(place) => Some(*place),
            _ => None,
        });
        let value = match place {
            Some(place) => native.hit(args.py(), place.guards().as_slice(), place.value)?,
            None => None,
        };
        Ok(Some(match value {
            Some(value) => Found::Value(value),
            None => Found::Nothing(backend),
        }))
    }

    /// Answers a call of a cache whose `get` is the application's own: by that, where the call's key
    /// is known, and nobody else has a say.
    fn ask<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let ordinary = self.ordinary.bind(py);
        if !self.none_is_miss || self.way.has_outage() {
            return ordinary.call1((args, kwargs));
        }
        let Some(key) = unless_raised(py, self.key(args, kwargs, extensions))? else {
            return ordinary.call1((args, kwargs));
        };
        let cache = self.way.cache().bind(py);
        let got = cache.call_method1(intern!(py, "get"), (&key,)).map(Some);
        match unless_raised(py, got)? {
            Some(value) if !value.is_none() => Ok(value),
            // It was asked once, and is not asked again.
            Some(_) => ordinary.call1((args, kwargs, key)),
            None => ordinary.call1((args, kwargs)),
        }
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
        let Some(lesson) = self.lessons.of(native.serial()) else {
            return Ok(None);
        };
        let cache = self.way.cache().bind(backend.py());
        if !self.writes.are_untouched(cache, backend)? {
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

    /// Keeps the version that the ordinary path found on a backend.
    fn learn(&self, backend: u64, versions: &Bound<'_, PyDict>, guard: Handle) -> PyResult<()> {
        if let Some((name, version)) = versions.iter().next() {
            self.lessons.learn(Lesson {
                backend,
                name: name.cast_into::<PyString>()?.unbind(),
                version: version.cast_into::<PyString>()?.unbind(),
                guard,
            });
        }
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
            self.lessons.forget();
        }
    }
}
