//! The quick way on the store that processes share. A memoized call of plain arguments: its key is made,
//! and version and value are read in one transaction, natively. A request or a fragment that was answered
//! before: its key is in a table.

use pyo3::prelude::*;

use super::Quick;
use crate::error::unless_raised;
use crate::road::parts::{Call, Kind, Parts};
use crate::road::road::Road;
use crate::stores::shared::{self, SharedByteStore};
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
        data.map_or(Ok(None), |data| shared::value_of(py, &data))
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
        key.map_or(Ok(None), |key| store.find(&key))
    }
}
