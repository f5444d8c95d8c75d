//! Entries of the in-process store that are fresh for a part of their life, or depend on tags.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::Lifetime;
use flask_caching_engine::backend::memory::Handle;
use flask_caching_engine::clock::Instant;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use smallvec::SmallVec;

use super::backend::MemoryBackend;
use super::direct::Moment;
use super::stored::Stored;
use crate::timeout::Deadline;

/// A value, and what is known of its entry.
pub(crate) struct Sealed {
    pub(crate) stored: Stored,
    /// Until when it is fresh; `None`: always.
    pub(crate) fresh_until: Option<Instant>,
    /// Where the versions of its tags are: it stands while all of them are there.
    pub(crate) tags: SmallVec<[Handle; 2]>,
}

impl Sealed {
    /// For how long it has been stale at `now`; `None`: it is fresh.
    pub(crate) fn stale_for(&self, now: Instant) -> Option<Duration> {
        let until = self.fresh_until?;
        (until <= now).then(|| now.since(until))
    }

    /// For how many seconds from `now` it is fresh.
    pub(super) fn fresh_for(&self, now: Instant) -> f64 {
        self.fresh_until
            .map_or(f64::INFINITY, |until| until.since(now).as_secs_f64())
    }

    /// `stored` with the seal of this value: fresh as long, and with the same tags.
    pub(super) fn with(&self, stored: Stored) -> Stored {
        Stored::Sealed(Arc::new(Self {
            stored,
            fresh_until: self.fresh_until,
            tags: self.tags.clone(),
        }))
    }
}

impl Stored {
    /// Whether it is the value of its key for whoever asks: fresh, and none of its tags deleted.
    #[inline]
    pub(super) fn is_current(&self, moment: &Moment<'_>) -> bool {
        match self {
            Self::Sealed(sealed) => {
                sealed.stale_for(moment.now()).is_none() && moment.are_there(&sealed.tags)
            }
            _ => true,
        }
    }

    /// Where the versions of its tags are.
    pub(super) fn tags(&self) -> SmallVec<[Handle; 2]> {
        match self {
            Self::Sealed(sealed) => sealed.tags.clone(),
            _ => SmallVec::new(),
        }
    }

    /// Whether it is fresh; it may be asked under the store's lock.
    #[inline]
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        match self {
            Self::Sealed(sealed) => sealed.stale_for(now).is_none(),
            _ => true,
        }
    }
}

/// What is under a key, whether or not it is fresh.
pub(crate) struct Entry<'py> {
    pub(crate) value: Bound<'py, PyAny>,
    pub(crate) handle: Handle,
    /// For how long it has been stale; `None`: it is fresh.
    pub(crate) stale_for: Option<Duration>,
    pub(crate) tags: SmallVec<[Handle; 2]>,
}

impl MemoryBackend {
    /// The entry under `key`, unless one of its tags was deleted.
    pub(crate) fn find_entry<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Entry<'py>>> {
        let Some((stored, handle)) = self.find_any(key.py(), key)? else {
            return Ok(None);
        };
        let (mut stale_for, mut tags) = (None, SmallVec::new());
        if let Stored::Sealed(sealed) = &stored {
            let moment = self.moment();
            if !moment.are_there(&sealed.tags) {
                return Ok(None);
            }
            stale_for = sealed.stale_for(moment.now());
            tags.clone_from(&sealed.tags);
        }
        let value = self.load(key, stored, handle)?;
        Ok(value.map(|value| Entry {
            value,
            handle,
            stale_for,
            tags,
        }))
    }

    /// As `freeze`, with the tags whose versions are under `tags`.
    pub(super) fn freeze_with_tags(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        tags: &[Bound<'_, PyString>],
    ) -> PyResult<Option<Stored>> {
        match self.freeze(key, value)? {
            Some(stored) if !tags.is_empty() => self.with_tags(stored, tags, timeout),
            stored => Ok(stored),
        }
    }

    /// `stored` as an entry with the tags whose versions are under `names`; `None` where one of these
    /// cannot be kept, as it would be over at once.
    pub(super) fn with_tags(
        &self,
        stored: Stored,
        names: &[Bound<'_, PyString>],
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Stored>> {
        let mut tags = SmallVec::new();
        for name in names {
            match self.tag(name, timeout)? {
                Some(handle) => tags.push(handle),
                None => return Ok(None),
            }
        }
        Ok(Some(Stored::Sealed(Arc::new(Sealed {
            stored,
            fresh_until: None,
            tags,
        }))))
    }

    /// Where the version under `name` is, which is made where it is missing, and lives for `timeout`
    /// seconds from now at least; `None`: it would be over at once.
    pub(crate) fn tag(
        &self,
        name: &Bound<'_, PyString>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Handle>> {
        if let Some((_, handle)) = self.find_text(name)? {
            self.extend(name, timeout)?;
            return Ok(Some(handle));
        }
        let py = name.py();
        let version = PyString::intern(py, "a version").into_any().unbind();
        let lifetime = self.settings.lifetime(timeout)?;
        let store = self.store();
        let key = self.tokens.writable(name, store)?;
        // Nobody else has made one meanwhile: this thread has the GIL.
        Ok(store.set(&key, Stored::Atom(version), lifetime))
    }

    /// The keys of the versions of an entry's tags, of those that are still there.
    pub(super) fn tag_names(&self, tags: &[Handle]) -> Vec<String> {
        let keys = tags.iter().filter_map(|tag| self.store().key_of(*tag));
        keys.filter_map(|key| String::from_utf8(key).ok()).collect()
    }

    /// Stores a version under `name`, where there is none: where it is, and until when it lives; `None`
    /// where it cannot be kept.
    pub(crate) fn make_version(
        &self,
        name: &Bound<'_, PyString>,
        version: &Bound<'_, PyString>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<(Handle, Deadline)>> {
        let lifetime = self.settings.lifetime(timeout)?;
        let store = self.store();
        let key = self.tokens.writable(name, store)?;
        let stored = Stored::Atom(version.clone().into_any().unbind());
        let handle = store.set(&key, stored, lifetime);
        Ok(handle.map(|handle| (handle, Deadline::of(lifetime))))
    }

    /// How long an entry lives that is stored without a timeout.
    pub(crate) fn default_lifetime(&self) -> Lifetime {
        self.settings.default_lifetime()
    }

    /// Removes what is under `key` where it is not current any more, so that an `add` may store.
    pub(super) fn make_way(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some((stored, handle)) = self.find_any(key.py(), key)?
            && !stored.is_current(&self.moment())
            && let Some(key) = self.tokens.known(key)?
        {
            self.store().delete_handle(&key, handle);
        }
        Ok(())
    }
}

/// The keys of the versions of `tags`.
pub(super) fn tag_keys<'py>(
    tags: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<Bound<'py, PyString>>> {
    static TAG_KEYS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(tags) = tags else {
        return Ok(Vec::new());
    };
    TAG_KEYS
        .import(tags.py(), "flask_caching.keys.tags", "tag_keys")?
        .call1((tags,))?
        .extract()
}
