//! `_engine.Signer`: signed values, as Python sees them.

use flask_caching_engine::envelope::signing;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::to_py;

/// Signs values with HMAC-SHA256, bound to the key they are stored under.
///
/// :param keys: secret keys, the newest first: the first signs, all of them verify.
/// :raises `CacheConfigError`: there is no key, or an empty one.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Signer(signing::Signer);

#[pymethods]
impl Signer {
    #[new]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a list of Python's has nothing to borrow"
    )]
    fn new(keys: Vec<Vec<u8>>) -> PyResult<Self> {
        signing::Signer::new(&keys)
            .map(Self)
            .map_err(|error| to_py(&error))
    }

    /// `data` with its signature, bound to `key` and `flags`.
    fn sign<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        data: &[u8],
        flags: u32,
    ) -> Bound<'py, PyBytes> {
        let signed = py.detach(|| self.0.sign(key, flags, data));
        PyBytes::new(py, &signed)
    }

    /// The value inside `stored`.
    ///
    /// :raises `ValueError`: why it is refused: it is not signed, or was changed.
    fn verify<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        stored: &[u8],
        flags: u32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        match py.detach(|| self.0.verify(key, flags, stored)) {
            Ok(data) => Ok(PyBytes::new(py, data)),
            Err(refusal) => Err(pyo3::exceptions::PyValueError::new_err(refusal.to_string())),
        }
    }
}
