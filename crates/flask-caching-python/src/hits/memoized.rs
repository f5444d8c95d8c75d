//! Hits of a memoized function.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::arguments::{Arguments, Known};
use super::kinds::Kinds;
use super::place::{Guard, Way};
use super::table::{Place, Table, of_settings};
use crate::memory::MemoryBackend;
use crate::missing::missing;

/// The proxies that a hit of a memoized function goes past: its versions, and its value.
const PROXIES: [&str; 2] = ["get", "get_many"];

/// What is known of a call.
enum Memory {
    /// Where its result is.
    Result(Place),
    /// Where its result is, and under which key: signals are sent when it is found.
    Signalled(Place, Py<PyAny>),
    /// The part of its key that the arguments make.
    Prefix(Py<PyAny>),
}

/// The table of one memoized function; see the [module](super).
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct MemoizedHits {
    way: Way,
    kinds: Kinds,
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
    /// call that is not in the table.
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        ordinary: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            way: Way::new(cache, guard, originals, &PROXIES)?,
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
        match self.find(args, kwargs, context) {
            Ok(Some(value)) => Ok(value),
            Err(error) if !error.is_instance_of::<pyo3::exceptions::PyException>(py) => Err(error),
            // What failed here fails again the ordinary way, which knows what to do about it.
            Ok(None) | Err(_) => self.ordinary.bind(py).call1((args, kwargs)),
        }
    }

    /// The result of a call, `MISSING` where it is not in the table.
    fn get<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        match self.find(args, kwargs, context) {
            Ok(Some(value)) => Ok(value),
            Err(error) if !error.is_instance_of::<pyo3::exceptions::PyException>(py) => Err(error),
            Ok(None) | Err(_) => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// The key and the result of a call that was remembered with `signalled`; None where it is not in
    /// the table.
    fn get_signalled<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let py = args.py();
        let found = self.look_up(args, kwargs, context, |memory| match memory {
            Memory::Signalled(place, key) => Some((*place, key.clone_ref(py))),
            _ => None,
        })?;
        Ok(found.and_then(|(backend, (place, key))| {
            let value = backend
                .get()
                .hit(py, place.guards().as_slice(), place.value)?;
            Some((key.into_bound(py), value))
        }))
    }

    /// Remembers that a call was answered from `backend` under `key`, which was made with
    /// `versions` (a dict of keys and versions). Nothing is remembered where either has changed
    /// meanwhile, or where the arguments cannot be told apart here. `signalled`: hits are not to be
    /// answered without a word about the key.
    fn remember(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
        backend: &Bound<'_, MemoryBackend>,
        key: &Bound<'_, PyAny>,
        versions: &Bound<'_, PyDict>,
        signalled: bool,
    ) -> PyResult<()> {
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
        let place = Place::new(&guards, value);
        let memory = if signalled {
            Memory::Signalled(place, key.clone().unbind())
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

impl MemoizedHits {
    #[inline]
    fn find<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.look_up(args, kwargs, context, |memory| match memory {
            Memory::Result(place) => Some(*place),
            _ => None,
        })?;
        Ok(found.and_then(|(backend, place)| {
            backend
                .get()
                .hit(args.py(), place.guards().as_slice(), place.value)
        }))
    }

    /// The backend a call goes to, and what `read` makes of what is known of the call there.
    #[inline]
    fn look_up<'py, R>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        context: &Bound<'py, PyAny>,
        read: impl FnOnce(&Memory) -> Option<R>,
    ) -> PyResult<Option<(Bound<'py, MemoryBackend>, R)>> {
        let Some(backend) = self.way.backend(args.py(), context)? else {
            return Ok(None);
        };
        if self.epoch.load(Ordering::Relaxed) != self.way.epoch() {
            return Ok(None);
        }
        let Some(arguments) = Arguments::read(&self.kinds, args, kwargs)? else {
            return Ok(None);
        };
        let found = self.table.find(
            arguments.hash,
            backend.get().serial(),
            |known| arguments.is(known),
            read,
        );
        Ok(found.flatten().map(|found| (backend, found)))
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
        }
    }
}
