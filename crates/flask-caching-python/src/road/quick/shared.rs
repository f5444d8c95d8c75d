//! The quick way on the store that processes share. A memoized call of plain arguments: its key is made,
//! and version and value are read in one transaction, natively. A request or a fragment that was answered
//! before: its key is in a table.

use flask_caching_engine::envelope::metadata::MAGIC;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{intern, types::PyBytes};

use super::Quick;
use crate::error::unless_raised;
use crate::memory::is_scalar;
use crate::road::parts::{Call, Kind, Parts};
use crate::road::road::Road;
use crate::stores::shared::{Loaded, SharedByteStore};
use crate::values::scalars;
use flask_caching_engine::telemetry::counts::Event;

impl Road {
    /// Goes the quick way on the shared store.
    pub(in crate::road) fn begin_on_shared<'py>(
        &self,
        call: &Call<'_, 'py>,
        store: &SharedByteStore,
    ) -> PyResult<Quick<'py>> {
        let py = call.args.py();
        let found = match &self.parts.get().kind {
            Kind::Arguments(_) => self.find_memoized(call, store),
            Kind::Request(_) | Kind::Fragment(_) => self.find_by_row(call, store),
            _ => Ok(None),
        };
        match unless_raised(py, found)? {
            Some(value) => {
                self.counts.count(Event::Hit);
                self.deliver(value).map(Quick::Answer)
            }
            None => Ok(Quick::Unknown),
        }
    }

    /// The answer of a memoized call.
    fn find_memoized<'py>(
        &self,
        call: &Call<'_, 'py>,
        store: &SharedByteStore,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let Some((recipe, prefix)) = self.plain_prefix(call, store.scope())? else {
            return Ok(None);
        };
        let name = recipe.version_name.bind(py).to_str()?;
        let data = store.find_versioned(py, prefix, name);
        data.map_or(Ok(None), |data| value_of(py, &data))
    }

    /// The answer of a request, or the text of a fragment.
    fn find_by_row<'py>(
        &self,
        call: &Call<'_, 'py>,
        store: &SharedByteStore,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let mut parts = Parts::default();
        if !self.attributes.is_original(py)? || !self.parts.get().kind.read(call, &mut parts)? {
            return Ok(None);
        }
        let key = store
            .keys
            .find(py, self.number(), &parts, |key| key.0.bind(py).clone());
        key.map_or(Ok(None), |key| find(store, &key))
    }
}

/// What is under `key`; `None`: nothing, or something unusual.
pub(crate) fn find<'py>(
    store: &SharedByteStore,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(key) = key.cast::<PyString>() else {
        return Ok(None);
    };
    match store.read(key)? {
        Some(Loaded::Value(value)) => Ok((!value.is_none()).then_some(value)),
        Some(Loaded::Bytes(stored, seen)) => {
            let value = value_of(key.py(), &stored.data)?;
            if let Some(value) = &value
                && is_scalar(value)?
            {
                store.keep(key, value, seen, stored.data.len());
            }
            Ok(value)
        }
        None => Ok(None),
    }
}

/// The value that the bytes of an entry hold; `None`: there is something unusual about it, or it is a None,
/// which may be no answer.
fn value_of<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    if data.ends_with(MAGIC) {
        // It has metadata.
        return Ok(None);
    }
    if let Some(scalar) = scalars::read(py, data) {
        return Ok((!scalar.is_none()).then_some(scalar));
    }
    let Some(pickle @ [0x80, ..]) = data.strip_prefix(b"!") else {
        return Ok(None);
    };
    let loads = py
        .import(intern!(py, "pickle"))?
        .getattr(intern!(py, "loads"))?;
    match loads.call1((PyBytes::new(py, pickle),)) {
        Ok(value) => Ok((!value.is_none()).then_some(value)),
        // The whole way says what is wrong with it.
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}
