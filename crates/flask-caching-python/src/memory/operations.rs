//! What the methods of the backend are made of: from keys and values to the store, and back.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flask_caching_engine::Lifetime;
use flask_caching_engine::backend::memory::{Handle, LARGEST_PART};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use smallvec::SmallVec;

use super::backend::MemoryBackend;
use super::key::NO_KEY;
use super::number;
use super::stored::{Failure, Stored};
use crate::error::unless_raised;
use crate::logging;

/// What belongs to each of many keys, which are few as a rule.
type Few<T> = SmallVec<[T; 16]>;

impl MemoryBackend {
    #[inline]
    pub(super) fn lookup<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.find(py, key)? {
            None => Ok(None),
            Some((stored, handle)) => self.load(key, stored, handle),
        }
    }

    /// The values of `keys` as of one moment, in their order; `missing` for each miss.
    pub(super) fn lookup_all<'py>(
        &self,
        keys: &Bound<'py, PyTuple>,
        missing: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let values = self.lookup_all_where(keys, missing, |_| true)?;
        Ok(values.unwrap_or_else(|| PyList::empty(keys.py())))
    }

    /// As [`lookup_all`](Self::lookup_all); `None` where one of the keys is not `here`.
    pub(super) fn lookup_all_where<'py>(
        &self,
        keys: &Bound<'py, PyTuple>,
        missing: &Bound<'py, PyAny>,
        here: impl Fn(&[u8]) -> bool,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = keys.py();
        let keys: Few<_> = keys.iter().collect();
        let mut wanted = Few::with_capacity(keys.len());
        for key in &keys {
            let bytes = self.tokens.known(key)?.unwrap_or(Cow::Borrowed(NO_KEY));
            if !here(&bytes) {
                return Ok(None);
            }
            wanted.push(bytes);
        }
        let mut found = Few::with_capacity(keys.len());
        self.store().reader().read_each(&wanted, |entry| {
            found.push(entry.map(|(stored, handle)| (stored.clone_ref(py), handle)));
        });
        if found
            .iter()
            .flatten()
            .any(|(stored, _)| matches!(stored, Stored::Sealed(_)))
        {
            let moment = self.moment();
            for entry in &mut found {
                // Dropped when the lock is released.
                *entry = entry
                    .take()
                    .filter(|(stored, _)| stored.is_current(&moment));
            }
        }
        let mut failure = None;
        let values = found.into_iter().zip(&keys).map(|(found, key)| {
            let value = found.map_or(Ok(None), |(stored, handle)| self.load(key, stored, handle));
            value
                .unwrap_or_else(|error| {
                    failure = Some(error);
                    None
                })
                .unwrap_or_else(|| missing.clone())
        });
        let values = PyList::new(py, values)?;
        failure.map_or(Ok(Some(values)), Err)
    }

    /// The stored value of `key`, where that is current, and a handle to it.
    #[inline]
    pub(super) fn find(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(Stored, Handle)>> {
        let found = self.find_any(py, key)?;
        Ok(match found {
            Some((stored @ Stored::Sealed(_), handle)) => stored
                .is_current(&self.moment())
                .then_some((stored, handle)),
            other => other,
        })
    }

    /// The stored value of `key`, current or not, and a handle to it.
    #[inline]
    pub(super) fn find_any(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(Stored, Handle)>> {
        let Some(key) = self.tokens.known(key)? else {
            return Ok(None);
        };
        Ok(self
            .store()
            .read_with_handle(&key, |stored, handle| (stored.clone_ref(py), handle)))
    }

    /// The caller's own value of what was found; an entry that cannot be read is removed.
    #[inline]
    pub(super) fn load<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        stored: Stored,
        handle: Handle,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        match stored.load(py, &self.settings) {
            Ok(value) => Ok(Some(value)),
            Err(failure) => self.discard(key, handle, failure).map(|()| None),
        }
    }

    /// Removes an entry that could not be read, and logs why.
    #[cold]
    pub(super) fn discard(
        &self,
        key: &Bound<'_, PyAny>,
        handle: Handle,
        failure: Failure,
    ) -> PyResult<()> {
        let py = key.py();
        match failure {
            Failure::Interrupt(error) => Err(error),
            Failure::Value(error) => {
                if let Some(key) = self.tokens.known(key)? {
                    self.store().delete_handle(&key, handle);
                }
                let message = format!(
                    "The entry under cache key {} cannot be used and is removed: {}",
                    describe(key)?,
                    cause(py, &error)?
                );
                logging::warn(py, &message)
            }
        }
    }

    /// The stored form of `value`; `None`, and a warning, where it cannot be stored.
    #[inline]
    pub(super) fn freeze(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Stored>> {
        match Stored::new(value, &self.settings) {
            Ok(stored) => Ok(Some(stored)),
            Err(Failure::Interrupt(error)) => Err(error),
            Err(Failure::Value(error)) => {
                let py = key.py();
                let message = format!(
                    "The value for cache key {} is not stored: {}",
                    describe(key)?,
                    shown(py, error.value(py).str())?
                );
                logging::warn(py, &message)?;
                Ok(None)
            }
        }
    }

    /// The stored form of `value`.
    ///
    /// # Errors
    /// The value's or the serializer's, where it cannot be stored; the key has no value then.
    pub(crate) fn encode(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Stored> {
        match Stored::new(value, &self.settings) {
            Ok(stored) => Ok(stored),
            Err(Failure::Value(error) | Failure::Interrupt(error)) => {
                self.store_frozen(key, None, Lifetime::Expired)?;
                Err(error)
            }
        }
    }

    /// The stored form of plain data, which can always be stored; `None` for anything else.
    pub(crate) fn encode_plain(&self, value: &Bound<'_, PyAny>) -> PyResult<Option<Stored>> {
        // Of an object others may have to say whether it is stored: some responses are not.
        Ok(Stored::natively(value, &self.settings)?.filter(|stored| !stored.is_object()))
    }

    /// Stores what was made of a value; `None`, of one that cannot be stored, removes the entry, as
    /// what the key had is no answer any more.
    #[inline]
    pub(super) fn store_frozen(
        &self,
        key: &Bound<'_, PyAny>,
        stored: Option<Stored>,
        lifetime: Lifetime,
    ) -> PyResult<bool> {
        let Some(stored) = stored else {
            if let Some(key) = self.tokens.known(key)? {
                self.store().delete(&key);
            }
            return Ok(false);
        };
        self.put(key, stored, lifetime)
            .map(|(is_stored, _)| is_stored)
    }

    /// Stores what was made of a value. Returns whether it was not refused, and a handle to it, unless
    /// its lifetime is over at once.
    #[inline]
    pub(crate) fn put(
        &self,
        key: &Bound<'_, PyAny>,
        stored: Stored,
        lifetime: Lifetime,
    ) -> PyResult<(bool, Option<Handle>)> {
        let store = self.store();
        let bytes = self.tokens.writable(key, store)?;
        // For the message about one that is too large; it is weighed once otherwise.
        let kept = store.max_bytes().map(|_| stored.clone_ref(key.py()));
        let handle = store.set(&bytes, stored, lifetime);
        let is_refused = match (&handle, &kept) {
            (None, Some(kept)) => !self.fits(key, kept)?,
            _ => false,
        };
        Ok((!is_refused, handle))
    }

    /// Whether an entry is small enough to be stored; the first that is not is warned of.
    pub(super) fn fits(&self, key: &Bound<'_, PyAny>, stored: &Stored) -> PyResult<bool> {
        let store = self.store();
        let Some(most) = store.max_bytes() else {
            return Ok(true);
        };
        let key_bytes = self.tokens.known(key)?.unwrap_or_default();
        let Some(weight) = store.excess(&key_bytes, stored) else {
            return Ok(true);
        };
        if !self.said_too_large.swap(true, Ordering::Relaxed) {
            let message = format!(
                "The value for cache key {} is not stored: it takes {weight} bytes, and an entry may \
                 take {}, one part in {LARGEST_PART} of CACHE_MAX_BYTES. This is said once.",
                describe(key)?,
                most / LARGEST_PART,
            );
            logging::warn(key.py(), &message)?;
        }
        Ok(false)
    }

    /// Replaces the number under `key` by what `compute` makes of it and `delta`. The sum is computed
    /// with no lock held, and tried again where another thread was faster.
    pub(super) fn change<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        delta: Option<&Bound<'py, PyAny>>,
        compute: number::Operation<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let delta = delta.cloned().unwrap_or_else(|| number::one(py));
        let store = self.store();
        loop {
            let found = match self.find(py, key)? {
                Some((stored, handle)) => {
                    let sealed = match &stored {
                        Stored::Sealed(sealed) => Some(Arc::clone(sealed)),
                        _ => None,
                    };
                    let value = self.load(key, stored, handle)?;
                    value.map(|value| (value, handle, sealed))
                }
                None => None,
            };
            let sum = compute(key, found.as_ref().map(|(value, ..)| value), &delta)?;
            let Some(stored) = self.freeze(key, &sum)? else {
                return Ok(None);
            };
            let done = if let Some((_, handle, sealed)) = found {
                store.replace(
                    handle,
                    match sealed {
                        Some(sealed) => sealed.with(stored),
                        None => stored,
                    },
                )
            } else if !self.fits(key, &stored)? {
                return Ok(None);
            } else {
                self.make_way(key)?;
                let lifetime = self.settings.default_lifetime();
                store.add(&self.tokens.writable(key, store)?, stored, lifetime)
            };
            if done {
                return Ok(Some(sum));
            }
        }
    }
}

/// A key as a message shows it.
fn describe(key: &Bound<'_, PyAny>) -> PyResult<String> {
    shown(key.py(), key.repr())
}

/// An exception as one line.
fn cause(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let name = shown(py, error.get_type(py).name())?;
    Ok(format!("{name}: {}", shown(py, error.value(py).str())?))
}

/// A text as a message shows it, whether or not it could be made.
///
/// # Errors
/// `KeyboardInterrupt` and its like.
fn shown(py: Python<'_>, text: PyResult<Bound<'_, PyString>>) -> PyResult<String> {
    let text = unless_raised(py, text.map(Some))?;
    Ok(text.map_or_else(
        || "<unprintable>".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    ))
}
