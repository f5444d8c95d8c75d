//! The roads of template fragments: one a label, so that each is counted on its own.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

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

    /// The fragment of a tag where it is quickly found, otherwise None; as `Road.peek`.
    fn peek<'py>(
        &self,
        tag: &Bound<'py, PyTuple>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let roads = self.roads.bind(tag.py());
        match roads.get_item(tag.get_borrowed_item(LABEL)?)? {
            Some(road) => road.cast::<Road>()?.get().peek(tag, extensions),
            None => Ok(None),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.roads)
    }
}
