//! Copies nearby: the in-process store in front of servers that tell of every change.
//!
//! It is the store of `SimpleCache`, found by the same table of calls. What is in it was read from a
//! server, and is there while nothing is heard of its original; nothing is ever written to it but
//! copies. See [`flask_caching_engine::layer::near`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flask_caching_engine::Lifetime;
use flask_caching_engine::backend::memory::MemoryStore;
use flask_caching_engine::backend::redis::Listener;
use flask_caching_engine::clock;
use flask_caching_engine::layer::near::{Begun, Near};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use smallvec::SmallVec;

use super::backend::MemoryBackend;
use super::key::{is_written_as_itself, text_bytes};
use super::sealed::Sealed;
use super::stored::Stored;
use crate::values::metadata::SealedValue;
use crate::values::missing::missing;

/// Whether any cache of this process has copies.
static IN_USE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ANSWERS: Cell<u64> = const { Cell::new(0) };
}

/// How often copies have answered this thread, so that whoever asks a backend can tell whether they did
/// this time.
#[inline]
pub(crate) fn answers_of_copies() -> u64 {
    if NearCopies::are_in_use() {
        ANSWERS.get()
    } else {
        0
    }
}

/// Notes that a copy has answered.
pub(crate) fn note_answer() {
    ANSWERS.set(ANSWERS.get() + 1);
}

/// What makes a store one of copies.
pub(super) struct Copies {
    near: Arc<Near>,
    listener: Arc<Listener>,
    /// What was invalidated last when the store was emptied.
    emptied_at: AtomicU64,
}

/// Copies that were begun: their originals are about to be read.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct BegunCopies(Begun);

impl MemoryBackend {
    /// Makes a store of copies of this one, which is new: up to `threshold`, and `max_bytes` bytes (0: no
    /// bound). `read` makes values of bytes that pickle alone does not.
    fn open_copies(
        &self,
        near: Arc<Near>,
        listener: Arc<Listener>,
        (threshold, max_bytes): (usize, usize),
        read: Py<PyAny>,
    ) {
        let store = MemoryStore::of_copies(threshold, max_bytes, near.marks());
        self.set_store(store);
        self.settings.set_reader(read);
        self.tokens.take_only_texts();
        let copies = Copies {
            near,
            listener,
            emptied_at: AtomicU64::new(0),
        };
        self.copies.get_or_init(|| copies);
    }

    /// What is known of the originals, where this is a store of copies.
    pub(crate) fn near(&self) -> Option<&Arc<Near>> {
        self.copies.get().map(|copies| &copies.near)
    }

    /// What hears of changes of the originals, where this is a store of copies.
    pub(crate) fn listener(&self) -> Option<&Arc<Listener>> {
        self.copies.get().map(|copies| &copies.listener)
    }

    /// Whether it is a store of copies.
    pub(crate) fn is_of_copies(&self) -> bool {
        self.copies.get().is_some()
    }

    /// Whether it may be read: it is no store of copies, or every change of their originals would have
    /// been heard of.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.copies
            .get()
            .is_none_or(|copies| copies.near.is_current())
    }

    /// A value as it is kept; `None` where it is leased, or depends on a tag that has another version by now, or is
    /// not known here.
    fn as_copy(
        &self,
        value: &Bound<'_, PyAny>,
        data: &Bound<'_, PyBytes>,
    ) -> PyResult<Option<Stored>> {
        let py = value.py();
        let freeze = |value: &Bound<'_, PyAny>| {
            let frozen = Stored::natively(value, &self.settings)?;
            PyResult::Ok(frozen.unwrap_or_else(|| Stored::Serialized(data.clone().unbind())))
        };
        let Ok(sealed) = value.cast::<SealedValue>() else {
            return freeze(value).map(Some);
        };
        let metadata = &sealed.get().metadata.get().0;
        if metadata.lease.is_some() {
            // Somebody computes another one.
            return Ok(None);
        }
        let mut tags = SmallVec::new();
        for (name, version) in &metadata.tags {
            match self.find_text(&PyString::new(py, name))? {
                Some((text, handle)) if text.to_str()? == version => tags.push(handle),
                _ => return Ok(None),
            }
        }
        let left = metadata
            .fresh_until
            .map(|until| until.saturating_sub(clock::wall()));
        Ok(Some(Stored::Sealed(Arc::new(Sealed {
            stored: freeze(sealed.get().value.bind(py))?,
            fresh_until: left.map(|left| clock::monotonic().after(left)),
            tags,
        }))))
    }

    /// Drops what was copied before everything was invalidated, once: it only takes up room.
    fn empty_if_invalidated(&self, copies: &Copies) {
        let invalidated = copies.near.marks().last_invalidated();
        if copies.emptied_at.swap(invalidated, Ordering::Relaxed) != invalidated {
            self.store().clear();
            self.calls.clear();
        }
    }
}

/// Copies nearby of the entries of a cache, as Python sees them.
#[pyclass(frozen, extends = MemoryBackend, module = "flask_caching._engine")]
pub(crate) struct NearCopies;

impl NearCopies {
    /// Whether this process has any.
    #[inline]
    pub(crate) fn are_in_use() -> bool {
        IN_USE.load(Ordering::Relaxed)
    }

    /// See [`MemoryBackend::open_copies`].
    pub(crate) fn open(
        py: Python<'_>,
        near: Arc<Near>,
        listener: Arc<Listener>,
        most: (usize, usize),
        read: Py<PyAny>,
    ) -> PyResult<Bound<'_, Self>> {
        IN_USE.store(true, Ordering::Relaxed);
        let backend = MemoryBackend::unopened(py);
        backend.open_copies(near, listener, most, read);
        Bound::new(py, PyClassInitializer::from(backend).add_subclass(Self))
    }
}

#[pymethods]
impl NearCopies {
    /// The copy under `key`; `MISSING` where there is none that may be read.
    fn find<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, copies) = (slf.py(), slf.as_super().get());
        let found = if copies.is_current() {
            copies.lookup(py, key)?
        } else {
            None
        };
        match found {
            Some(value) => {
                note_answer();
                Ok(value)
            }
            None => Ok(missing(py)?.into_bound(py)),
        }
    }

    /// Begins the copies of `count` entries, which are read next; None where none can be kept.
    fn begin(slf: &Bound<'_, Self>, count: u32) -> Option<BegunCopies> {
        let copies = slf.as_super().get().copies.get()?;
        copies.listener.begin();
        copies.near.begin(count).map(BegunCopies)
    }

    /// Keeps a copy.
    ///
    /// :param begun: what `begin` returned.
    /// :param place: which of these it is, from 0.
    /// :param key: the key, without the prefix.
    /// :param value: what was read, a `SealedValue` where the entry has metadata.
    /// :param data: bytes that the value is made of anew each time, where it cannot be copied as it is.
    /// :param weight: the number of bytes that are stored, and the seconds the entry had left: `inf`
    ///     for ever; 0: it cannot be kept.
    fn keep(
        slf: &Bound<'_, Self>,
        begun: &BegunCopies,
        place: u32,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        data: &Bound<'_, PyBytes>,
        weight: (usize, f64),
    ) -> PyResult<()> {
        let backend = slf.as_super().get();
        let (Some(copies), Ok(key)) = (backend.copies.get(), key.cast::<PyString>()) else {
            return Ok(());
        };
        if !is_written_as_itself(key)? {
            return Ok(());
        }
        let (size, left) = weight;
        let left = Lifetime::from_seconds(left).filter(|_| left > 0.0);
        let left = left.unwrap_or(Lifetime::Expired);
        let Some(until) = copies.near.expiry(begun.0, left) else {
            return Ok(());
        };
        backend.empty_if_invalidated(copies);
        if let Some(stored) = backend.as_copy(value, data)? {
            let stamp = begun.0.stamp(place);
            let key = text_bytes(key)?;
            backend.store().keep(&key, stored, size, until, stamp);
        }
        Ok(())
    }

    /// Reads no copy again that there is at present.
    fn forget(slf: &Bound<'_, Self>) {
        if let Some(near) = slf.as_super().get().near() {
            near.invalidate_all();
        }
    }

    /// Whether copies may be read at present, and why not, where that is known.
    fn state(slf: &Bound<'_, Self>) -> (bool, Option<String>) {
        let backend = slf.as_super().get();
        let trouble = backend.copies.get().and_then(|it| it.listener.trouble());
        (backend.is_current(), trouble)
    }
}
