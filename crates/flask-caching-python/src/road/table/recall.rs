//! What was answered before: a call is found in the table of the store, and entered into it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::memory::MemoryBackend;
use crate::road::flags::WATCHED;
use crate::road::parts::{Call, Kind, Parts};
use crate::road::port::{GET, GET_MANY};
use crate::road::road::{Road, new_number};
use crate::road::table::{Found, Key, Row};
use crate::road::turn::{Open, Turn};
use flask_caching_engine::telemetry::counts::Event;

/// A value that was found before, and its key where somebody wants to hear of it.
pub(in crate::road) type Recalled<'py> = (Bound<'py, PyAny>, Option<Py<PyAny>>);

impl Road {
    /// Looks a call up among those that were answered before, and returns its answer, if that is one,
    /// or its turn. Otherwise it is noted what the call will be found by.
    pub(in crate::road) fn recall_into<'py>(
        &self,
        open: &mut Open,
        call: &Call<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let mut parts = Parts::default();
        if open.port.shared(py).is_some() {
            let kind = &self.parts.get().kind;
            if matches!(kind, Kind::Request(_) | Kind::Fragment(_))
                && self.attributes.is_original(py)?
                && kind.read(call, &mut parts)?
            {
                open.row = Some(self.row(parts));
            }
            return Ok(None);
        }
        if open.port.table(py, GET_MANY).is_none()
            || !self.attributes.is_original(py)?
            || !self.parts.get().kind.learn(call, &mut parts)?
        {
            return Ok(None);
        }
        let reads = open.port.table(py, GET | GET_MANY).map(Bound::get);
        if !open.is_refresh
            && let Some(memory) = reads
            && let Some((value, key)) = self.recall(py, memory, &parts)?
            && (key.is_some() || !self.flags.get().any(WATCHED))
        {
            match self.is_stale(&value, call)? {
                Some(false) => {
                    if open.port.copies(py).is_some() {
                        self.counts.count(Event::Near);
                    }
                    if let Some(key) = key {
                        open.key = key;
                    }
                    self.emit(Event::Hit, open, call)?;
                    return self.deliver(value).map(Some);
                }
                Some(true) => {}
                None => return Turn::bypass(py).map(Some),
            }
            open.is_refresh = true;
        }
        open.row = Some(self.row(parts));
        Ok(None)
    }

    /// What `memory` has of a call that was answered before; and its key, where somebody wants to hear of
    /// it.
    #[inline]
    pub(in crate::road) fn recall<'py>(
        &self,
        py: Python<'py>,
        memory: &MemoryBackend,
        parts: &Parts,
    ) -> PyResult<Option<Recalled<'py>>> {
        let moment = memory.moment();
        let found = memory.calls.find(py, self.number(), parts, |found| {
            let stored = moment.peek(py, &found.guards, found.value)?;
            Some((stored, found.key.as_ref().map(|key| key.clone_ref(py))))
        });
        let Some((stored, key)) = found.flatten() else {
            return Ok(None);
        };
        Ok(memory.thaw(py, stored)?.map(|value| (value, key)))
    }

    /// Enters a call that was answered or stored into the table.
    pub(in crate::road) fn remember(&self, py: Python<'_>, open: &mut Open) -> PyResult<()> {
        let Some(row) = open.row.take() else {
            return Ok(());
        };
        if let Some(store) = open.port.shared(py) {
            // That of a fragment is a string of a class of its own.
            // A key with versions in it would outlive them.
            let key = open.key.bind(py).cast::<PyString>().ok();
            let key = key.filter(|_| open.versions.is_empty());
            if let Some(key) = key.and_then(|key| key.to_str().ok()) {
                let key = Key(PyString::new(py, key).unbind());
                store.get().keys.insert(py, row, key, |_| true);
            }
            return Ok(());
        }
        if open.port.copies(py).is_some() {
            open.find_copies(py)?;
        }
        let Some(memory) = open.port.table(py, GET_MANY) else {
            return Ok(());
        };
        let key = open.key.bind(py);
        let handle = match open.handle {
            Some(handle) => Some(handle),
            // The call has another one's result: what that depends on stands beside it.
            None => memory.get().place(key)?.map(|(handle, tags)| {
                open.conditions.tags = tags;
                handle
            }),
        };
        if let (Some(value), Some(guards)) = (handle, open.guards()) {
            let is_awaited = !self.flags.get().is_usual();
            let key = is_awaited.then(|| key.clone().unbind());
            memory.get().remember(py, row, Found { guards, value, key });
        }
        Ok(())
    }

    /// What tells its rows from those of other roads, and from its own while keys were made otherwise.
    #[inline]
    pub(in crate::road) fn number(&self) -> u64 {
        let epoch = self.flags.get().epoch();
        if self.epoch.load(Ordering::Relaxed) != epoch {
            self.number.store(new_number(), Ordering::Relaxed);
            self.epoch.store(epoch, Ordering::Relaxed);
        }
        self.number.load(Ordering::Relaxed)
    }

    /// What a call of these `parts` is found by.
    pub(in crate::road) fn row(&self, parts: Parts) -> Row {
        Row {
            road: self.number(),
            current: Arc::downgrade(&self.number),
            hash: parts.hash,
            parts: parts.into_list(),
        }
    }
}

impl Open {
    /// Notes where the copies nearby are of the value and of what it depends on.
    fn find_copies(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(copies) = self.port.copies(py).cloned() else {
            return Ok(());
        };
        for version in &mut self.versions {
            let found = copies.get().find_text(version.name.bind(py))?;
            // It may have changed since the key was made of it.
            version.guard = match (found, &version.text) {
                (Some((found, guard)), Some(text)) if found.as_any().eq(text)? => Some(guard),
                _ => None,
            };
        }
        let (handle, tags) = copies.get().place(self.key.bind(py))?.unzip();
        self.handle = handle;
        self.conditions.tags = tags.unwrap_or_default();
        Ok(())
    }
}
