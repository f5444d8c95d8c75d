//! The quick way: a call that was answered before, or is made of plain data, on the in-process store,
//! where nothing is unusual.

mod shared;

use std::sync::atomic::Ordering;

use flask_caching_engine::flight::Joined;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use smallvec::SmallVec;

use super::page::native_page_key;
use super::parts::{Call, Kind, Parts};
use super::port::{GET, GET_MANY, Methods, Native, Port, WRITES};
use super::road::Road;
use super::table::Found;
use super::turn::{Open, Step, Turn, Version};
use crate::error::unless_raised;
use crate::flights;
use crate::flights::leaders::note_leader;
use crate::memory::MemoryBackend;
use crate::pages::{GuardName, PageGuards};
use flask_caching_engine::telemetry::counts::Event;

/// How far the quick way leads.
pub(super) enum Quick<'py> {
    /// To the call's answer, or its turn.
    Answer(Bound<'py, PyAny>),
    /// To its key, which the application has made.
    Key(Bound<'py, PyAny>),
    /// To a key that the application's own `get` has nothing under.
    Absent(Bound<'py, PyAny>),
    Unknown,
}

/// A key that was made natively.
pub(super) struct NativeKey<'py> {
    pub(super) key: Bound<'py, PyAny>,
    /// The versions in it.
    pub(super) versions: SmallVec<[Version; 1]>,
    /// What a page depends on in place of versions.
    pub(super) guards: Option<Box<PageGuards>>,
}

impl Road {
    /// Goes the quick way.
    #[inline]
    pub(super) fn begin_quickly<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Quick<'py>> {
        let py = call.args.py();
        let flags = self.flags.get();
        if self.options.checks_hits || self.options.listens {
            return Ok(Quick::Unknown);
        }
        if !flags.is_usual() {
            return if flags.is_only_value_replaced() {
                self.ask_own_get(call)
            } else {
                Ok(Quick::Unknown)
            };
        }
        let reads = match self.parts.get().kind {
            Kind::Arguments(_) => GET | GET_MANY,
            _ => GET,
        };
        let Some(backend) = unless_raised(py, self.backend_of(call))? else {
            return Ok(Quick::Unknown);
        };
        let Some(native) = unless_raised(py, self.native(&backend, reads))? else {
            return Ok(Quick::Unknown);
        };
        if self.options.has_conditions && matches!(native, Native::Shared(_)) {
            return Ok(Quick::Unknown);
        }
        if let Kind::Key(make_key) = &self.parts.get().kind {
            return self.find_by_key(call, &native, make_key.bind(py));
        }
        match native {
            Native::Memory(memory) => self.begin_on_memory(call, memory),
            Native::Copies(copies) => self.begin_on_memory(call, &copies),
            Native::Shared(store) => self.begin_on_shared(call, store.get()),
        }
    }

    /// Goes the quick way on the in-process store, or on copies.
    #[inline]
    fn begin_on_memory<'py>(
        &self,
        call: &Call<'_, 'py>,
        memory: &Bound<'py, MemoryBackend>,
    ) -> PyResult<Quick<'py>> {
        let mut parts = Parts::default();
        let read = self.parts.get().kind.read(call, &mut parts);
        let looked = read.and_then(|is_read| {
            if is_read {
                self.recall(memory.py(), memory.get(), &parts).map(Some)
            } else {
                Ok(None)
            }
        });
        match unless_raised(memory.py(), looked)? {
            Some(Some((value, _))) => {
                self.count_hit(memory.get().is_of_copies());
                self.deliver(value).map(Quick::Answer)
            }
            Some(None) => self.begin_natively(call, parts, memory),
            // The call cannot be told apart in the table.
            None => Ok(Quick::Unknown),
        }
    }

    /// The backend of the active application.
    #[inline]
    fn backend_of<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let cache = self.cache.bind(call.args.py());
        call.extensions
            .map_or(Ok(None), |extensions| backend_of(cache, extensions))
    }

    /// What answers natively for `backend`, where none of `reads` is replaced, nor a view's key.
    #[inline]
    fn native<'a, 'py>(
        &self,
        backend: &'a Bound<'py, PyAny>,
        reads: Methods,
    ) -> PyResult<Option<Native<'a, 'py>>> {
        let py = backend.py();
        let cache = self.cache.bind(py).as_any();
        let native = Native::of(backend, Some(cache), &self.looked_at, reads)?;
        if native.is_some() && self.options.is_view && !self.attributes.is_original(py)? {
            return Ok(None);
        }
        Ok(native)
    }

    #[inline]
    fn count_hit(&self, is_near: bool) {
        self.counts.count(Event::Hit);
        if is_near {
            self.counts.count(Event::Near);
        }
    }

    /// The result under a key that the application makes.
    fn find_by_key<'py>(
        &self,
        call: &Call<'_, 'py>,
        native: &Native<'_, 'py>,
        make_key: &Bound<'py, PyAny>,
    ) -> PyResult<Quick<'py>> {
        let py = call.args.py();
        let key = match make_key.call(call.args, Some(call.kwargs)) {
            Ok(key) if key.is_none() => {
                return self.ask(intern!(py, "note_no_key"), ()).map(Quick::Key);
            }
            Ok(key) => key,
            Err(error) => return self.stand_aside(py, error).map(Quick::Key),
        };
        match unless_raised(py, native.get(&key))? {
            Some(value) if !value.is_none() => {
                self.count_hit(matches!(native, Native::Copies(_)));
                self.deliver(value).map(Quick::Answer)
            }
            _ if self.options.has_conditions => Ok(Quick::Unknown),
            _ => Ok(Quick::Key(key)),
        }
    }

    /// Lets a call run uncached whose key the application could not make: its key is None.
    #[cold]
    fn stand_aside<'py>(&self, py: Python<'py>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let arguments = (intern!(py, "key"), error);
        self.ask(intern!(py, "stand_aside"), arguments)
    }

    /// The key of a call, and the versions in it; `None` where the policy has to make it, or something is
    /// replaced that writes.
    fn native_key<'py>(
        &self,
        call: &Call<'_, 'py>,
        parts: &Parts,
        backend: &Bound<'py, MemoryBackend>,
    ) -> PyResult<Option<NativeKey<'py>>> {
        let py = call.args.py();
        let (memory, cache) = (backend.get(), self.cache.bind(py).as_any());
        let kind = &self.parts.get().kind;
        let recipe = kind.recipe().filter(|_| call.kwargs.is_empty());
        // Nobody writes to copies.
        let replaces_writes = || {
            let replaced = self.looked_at.by_classes(Some(cache), backend)?;
            PyResult::Ok(!memory.is_of_copies() && replaced & WRITES != 0)
        };
        if recipe.is_none() && !matches!(kind, Kind::Page(..))
            || replaces_writes()?
            || !self.makes_plain_keys(py, memory.scope())?
        {
            return Ok(None);
        }
        match (kind, recipe) {
            (Kind::Page(rule, _), _) => native_page_key(rule.get(), call, memory),
            (_, Some(recipe)) => recipe.native_key(parts, call.args, memory),
            _ => Ok(None),
        }
    }

    /// Begins a call of plain arguments, or a page's, that the table does not know: its key is made here.
    /// It is remembered when it is asked for again: many a call is made once.
    fn begin_natively<'py>(
        &self,
        call: &Call<'_, 'py>,
        parts: Parts,
        backend: &Bound<'py, MemoryBackend>,
    ) -> PyResult<Quick<'py>> {
        let py = call.args.py();
        let memory = backend.get();
        if self.options.has_conditions {
            return Ok(Quick::Unknown);
        }
        let Some(native) = self.native_key(call, &parts, backend)? else {
            return Ok(Quick::Unknown);
        };
        let NativeKey {
            key,
            versions,
            guards,
        } = native;
        if let Some(entry) = memory.find_entry(&key)? {
            // A page may say itself that it is an answer while it is not fresh.
            if entry.value.is_none() || entry.stale_for.is_some() {
                return Ok(Quick::Unknown);
            }
            let row = self.row(parts);
            let guards = versions.iter().filter_map(|version| version.guard);
            let found = Found {
                guards: guards.chain(entry.tags).collect(),
                value: entry.handle,
                key: None,
            };
            memory.remember(py, row, found);
            self.count_hit(memory.is_of_copies());
            return Ok(Quick::Answer(entry.value));
        }
        if memory.is_of_copies() {
            return Ok(Quick::Unknown);
        }
        // No version of this store is ever brought back: it guards nothing here.
        let names = guards.iter().flat_map(|guards| guards.iter());
        let names = names.map(GuardName::as_bytes);
        let Joined::Lead(flight) = flights::join(backend, &flights::key_bytes(&key)?, names, b"")?
        else {
            return Ok(Quick::Unknown);
        };
        note_leader(py, None)?;
        self.counts.count(Event::Miss);
        let mut open = Box::new(Open::new(backend, Port::to_memory(backend)));
        open.flight = Some(flight);
        open.key = key.unbind();
        open.versions = versions;
        open.conditions.guards = guards;
        open.conditions.is_page = self.options.is_page;
        open.step = Step::Computing;
        Turn::of(py, open).map(Quick::Answer)
    }

    /// Whether the settings of the application are such that keys are made as the recipe makes them.
    /// `settings`: a number that no others have.
    pub(super) fn makes_plain_keys(&self, py: Python<'_>, settings: u64) -> PyResult<bool> {
        let epoch = self.flags.get().epoch();
        let known = (
            self.plain_keys.0.load(Ordering::Relaxed),
            self.plain_keys.1.load(Ordering::Relaxed),
        );
        if known == (settings, epoch) {
            return Ok(true);
        }
        let plain = self.ask(intern!(py, "makes_plain_keys"), ())?.is_truthy()?;
        if plain {
            self.plain_keys.0.store(settings, Ordering::Relaxed);
            self.plain_keys.1.store(epoch, Ordering::Relaxed);
        }
        Ok(plain)
    }

    /// Asks a `get` that is the application's own, where the table knows the key.
    fn ask_own_get<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Quick<'py>> {
        let py = call.args.py();
        let key = unless_raised(py, self.known_key(call))?;
        let Some(key) = key.filter(|_| !self.options.cache_none) else {
            return Ok(Quick::Unknown);
        };
        let cache = self.cache.bind(py);
        let got = cache.call_method1(intern!(py, "get"), (&key,)).map(Some);
        match unless_raised(py, got)? {
            None => Ok(Quick::Unknown),
            Some(value) if value.is_none() => Ok(Quick::Absent(key)),
            Some(value) => {
                self.counts.count(Event::Hit);
                self.deliver(value).map(Quick::Answer)
            }
        }
    }

    /// The key of a call in the table, while the versions in it are still there.
    fn known_key<'py>(&self, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let mut parts = Parts::default();
        let Some(backend) = self.backend_of(call)? else {
            return Ok(None);
        };
        let native = self.native(&backend, GET_MANY)?;
        let Some(memory) = native.as_ref().and_then(Native::table) else {
            return Ok(None);
        };
        if !self.parts.get().kind.read(call, &mut parts)? {
            return Ok(None);
        }
        let moment = memory.moment();
        let key = memory.calls.find(py, self.number(), &parts, |found| {
            let key = found.key.as_ref().map(|key| key.clone_ref(py));
            key.filter(|_| moment.are_there(&found.guards))
        });
        Ok(key.flatten().map(|key| key.into_bound(py)))
    }
}

/// The backend of `cache` among `extensions`, those of the active application (None: of the one the
/// cache was last set up for), whatever its kind.
#[inline]
pub(super) fn backend_of<'py>(
    cache: &Bound<'py, PyAny>,
    extensions: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = cache.py();
    let name = intern!(py, "cache").as_any();
    let caches = if extensions.is_none() {
        item(&extensions_of(&cache.getattr(intern!(py, "app"))?)?, name)?
    } else {
        item(extensions, name)?
    };
    caches.map_or(Ok(None), |caches| item(&caches, cache))
}

/// An application's `extensions`.
#[inline]
pub(super) fn extensions_of<'py>(app: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    app.getattr(intern!(app.py(), "extensions"))
}

#[inline]
fn item<'py>(
    mapping: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match mapping.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key),
        Err(_) => Ok(None),
    }
}
