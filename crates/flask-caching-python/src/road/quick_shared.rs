//! The quick way on the store that processes share: a memoized call of plain arguments. Its key is
//! made, and version and value are read in one transaction, natively.

use flask_caching_engine::metadata::MAGIC;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::{intern, types::PyBytes};

use super::counts::Event;
use super::parts::{Call, Kind, Parts};
use super::quick::backend_of;
use super::replaced::{GET, GET_MANY};
use super::road::Road;
use crate::scalars;
use crate::shared::SharedByteStore;

impl Road {
    /// The answer of a call that the shared store has; `None`: the whole way finds out.
    pub(super) fn find_shared<'py>(
        &self,
        call: &Call<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = call.args.py();
        let Kind::Arguments {
            recipe: Some(recipe),
            ..
        } = &self.parts.get().kind
        else {
            return Ok(None);
        };
        let Some(store) = self.shared_store(call)? else {
            return Ok(None);
        };
        let store = store.get();
        let mut parts = Parts::default();
        if !call.kwargs.is_empty()
            || !self.makes_plain_keys(py, store.scope())?
            || !self.parts.get().kind.learn(call, &mut parts)?
        {
            return Ok(None);
        }
        let Some(prefix) = recipe.prefix(py, &parts, call.args.len())? else {
            return Ok(None);
        };
        let name = recipe.version_name.bind(py).to_str()?;
        let Some(data) = store.find_versioned(py, prefix, name) else {
            return Ok(None);
        };
        let Some(value) = value_of(py, &data)? else {
            return Ok(None);
        };
        self.counts.count(Event::Hit);
        self.deliver(value).map(Some)
    }

    /// The shared store of the active application, where nothing that reads is replaced.
    fn shared_store<'py>(
        &self,
        call: &Call<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, SharedByteStore>>> {
        let py = call.args.py();
        let cache = self.cache.bind(py);
        let Some(extensions) = call.extensions else {
            return Ok(None);
        };
        let Some(backend) = backend_of(cache, extensions)? else {
            return Ok(None);
        };
        let store = backend.getattr_opt(intern!(py, "_quick"))?;
        let Some(Ok(store)) = store.map(Bound::cast_into::<SharedByteStore>) else {
            return Ok(None);
        };
        let replaced = self.looked_at.replaced(cache, &backend)?;
        Ok((replaced & (GET | GET_MANY) == 0).then_some(store))
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
