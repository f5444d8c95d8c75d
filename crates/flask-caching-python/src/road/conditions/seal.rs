//! What the entry of a call is stored with: its lifetime, until when it is fresh, and its tags.

use std::sync::Arc;

use flask_caching_engine::Lifetime;
use flask_caching_engine::backend::memory::Handle;
use flask_caching_engine::clock::{self, Instant};
use flask_caching_engine::envelope::metadata;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use smallvec::SmallVec;

use crate::memory::{MemoryBackend, Sealed, Stored};
use crate::road::port::SET;
use crate::road::turn::{Open, Role};
use crate::timeout;
use crate::values::metadata::Metadata;

/// What an entry is stored with.
pub(crate) struct Seal<'py> {
    /// How long it is kept: seconds, or None for the default.
    pub(crate) timeout: Bound<'py, PyAny>,
    is_sealed: bool,
    fresh_until: Option<Instant>,
    pub(crate) tags: SmallVec<[Handle; 2]>,
    /// The seal as a store of bytes keeps it behind the value.
    pub(crate) metadata: Option<Py<Metadata>>,
}

impl Seal<'_> {
    /// A value as the in-process store keeps it.
    pub(crate) fn around(&self, stored: Stored) -> Stored {
        if !self.is_sealed {
            return stored;
        }
        Stored::Sealed(Arc::new(Sealed {
            stored,
            fresh_until: self.fresh_until,
            tags: self.tags.clone(),
        }))
    }
}

impl Open {
    /// Whether what is stored has metadata.
    pub(crate) fn is_sealed(&self) -> bool {
        !self.conditions.window().is_zero()
            || !self.conditions.own_tags.is_empty()
            || self.versions.iter().any(|it| it.role == Role::Tag)
    }

    /// What the result is to be stored with; `None` where a tag was deleted since the call began.
    pub(crate) fn seal<'py>(
        &self,
        py: Python<'py>,
        timeout: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Seal<'py>>> {
        let mut seal = Seal {
            timeout: timeout.clone(),
            is_sealed: self.is_sealed(),
            fresh_until: None,
            tags: SmallVec::new(),
            metadata: None,
        };
        if !seal.is_sealed && self.conditions.jitter <= 0.0 {
            return Ok(Some(seal));
        }
        let memory = self.port.memory(py, SET);
        let default = if let Some(memory) = memory {
            memory.get().default_lifetime()
        } else {
            let given = self
                .port
                .foreign(py)?
                .getattr(intern!(py, "default_timeout"))?;
            timeout::from_python(Some(&given))?.resolve(Lifetime::Forever)
        };
        let lifetime = timeout::from_python(Some(timeout))?.resolve(default);
        let lifetime = lifetime.jittered(self.conditions.jitter);
        let window = self.conditions.window();
        if let Lifetime::For(kept) = lifetime.and_then(window) {
            seal.timeout = kept.as_secs_f64().into_pyobject(py)?.into_any();
        }
        if !seal.is_sealed {
            return Ok(Some(seal));
        }
        let fresh = match lifetime {
            Lifetime::For(lifetime) if !window.is_zero() => Some(lifetime),
            _ => None,
        };
        if let Some(memory) = memory {
            seal.fresh_until = fresh.map(|lifetime| clock::monotonic().after(lifetime));
            let Some(tags) = self.tag_places(py, memory.get(), &seal.timeout)? else {
                return Ok(None);
            };
            seal.tags = tags;
        } else {
            let Some(tags) = self.tag_pairs(py, &seal.timeout)? else {
                return Ok(None);
            };
            let metadata = metadata::Metadata {
                fresh_until: fresh.map(|lifetime| clock::wall().saturating_add(lifetime)),
                tags,
                lease: None,
            };
            seal.metadata = Some(Py::new(py, Metadata(metadata))?);
        }
        Ok(Some(seal))
    }

    /// Where the versions of the tags are in the in-process store; `None` where one is gone.
    fn tag_places(
        &self,
        py: Python<'_>,
        memory: &MemoryBackend,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Option<SmallVec<[Handle; 2]>>> {
        let tags = self.versions.iter().filter(|it| it.role == Role::Tag);
        let own = self.conditions.own_tags.iter();
        tags.map(|version| Ok(version.guard))
            .chain(own.map(|name| memory.tag(name.bind(py), Some(timeout))))
            .collect()
    }

    /// The keys of the tags on a store of bytes, and their versions.
    fn tag_pairs(
        &self,
        py: Python<'_>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Vec<(String, String)>>> {
        let mut pairs = Vec::new();
        for version in self.versions.iter().filter(|it| it.role == Role::Tag) {
            let Some(text) = &version.text else {
                return Ok(None);
            };
            pairs.push((version.name.extract(py)?, text.extract(py)?));
        }
        if self.conditions.own_tags.is_empty() {
            return Ok(Some(pairs));
        }
        let epoch = self.versions.iter().find(|it| it.role == Role::Epoch);
        let epoch = epoch.map(|it| (&it.name, &it.text));
        let names = PyTuple::new(py, &self.conditions.own_tags)?;
        let made = self.ask(intern!(py, "tag_versions"), (names, timeout, epoch))?;
        let Some(own): Option<Vec<(String, String)>> = made.extract()? else {
            return Ok(None);
        };
        pairs.extend(own);
        Ok(Some(pairs))
    }
}
