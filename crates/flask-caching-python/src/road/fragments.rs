//! The roads of template fragments: one a label, so that each is counted on its own.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::parts::Call;
use super::road::Road;

/// Where the label of a tag stands.
const LABEL: usize = 5;

/// Finds fragments by their tags.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct FragmentFinder {
    /// The roads by their labels.
    roads: Py<PyDict>,
}

#[pymethods]
impl FragmentFinder {
    #[new]
    fn new(roads: Py<PyDict>) -> Self {
        Self { roads }
    }

    /// The fragment of a tag where it is quickly found, otherwise None.
    fn peek<'py>(
        &self,
        tag: &Bound<'py, PyTuple>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (roads, kwargs) = (self.roads.bind(tag.py()), PyDict::new(tag.py()));
        let Some(road) = roads.get_item(tag.get_borrowed_item(LABEL)?)? else {
            return Ok(None);
        };
        let call = Call::of(tag, &kwargs).asked_in(extensions, None);
        road.cast::<Road>()?.get().quickly(&call)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.roads)
    }
}
