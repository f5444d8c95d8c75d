//! `_engine.Compressor`: compressed values, as Python sees them.

use flask_caching_engine::envelope::compression::{self, Codec, MARK};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Compresses values.
///
/// :param codec: "zstd" or "lz4".
/// :param minimum: shorter values are left as they are, in bytes.
/// :raises `ValueError`: there is no such codec.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct Compressor {
    codec: Codec,
    minimum: usize,
}

#[pymethods]
impl Compressor {
    #[new]
    fn new(codec: &str, minimum: usize) -> PyResult<Self> {
        let codec = Codec::from_name(codec)
            .ok_or_else(|| PyValueError::new_err(format!("there is no codec {codec:?}")))?;
        Ok(Self { codec, minimum })
    }

    /// What to store for `data`: compressed, where it gets smaller by it.
    fn compress<'py>(&self, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = data.as_bytes();
        if bytes.len() < self.minimum {
            return escape(data);
        }
        let (codec, minimum) = (self.codec, self.minimum);
        let stored = data
            .py()
            .detach(|| compression::compress(codec, minimum, bytes));
        to_py(data, &stored)
    }
}

/// What every compressed value, and every marked one, starts with.
pub(crate) fn mark(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, MARK)
}

/// What to store for `data` as it is: a value that begins like a compressed one is marked as none.
#[pyfunction]
pub(crate) fn escape<'py>(data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
    to_py(data, &compression::escape(data.as_bytes()))
}

/// The value that was stored as `stored`, compressed or not.
///
/// :raises `ValueError`: why it is refused: it is damaged, too large, or of a later version.
#[pyfunction]
pub(crate) fn decompress<'py>(stored: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = stored.as_bytes();
    if !bytes.starts_with(MARK) {
        return Ok(stored.clone());
    }
    match stored.py().detach(|| compression::decompress(bytes)) {
        Ok(data) => to_py(stored, &data),
        Err(refusal) => Err(PyValueError::new_err(refusal.to_string())),
    }
}

/// How many bytes a value has at most that takes `packed` bytes compressed, in whatever way.
#[pyfunction]
pub(crate) fn longest_decompressed(packed: usize) -> usize {
    compression::longest(packed)
}

/// `made` of `from`, which is not copied where it is the same.
fn to_py<'py>(from: &Bound<'py, PyBytes>, made: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if std::ptr::eq(made, from.as_bytes()) {
        return Ok(from.clone());
    }
    // Where there is no memory for it, that is an error, and no panic.
    PyBytes::new_with(from.py(), made.len(), |bytes| {
        bytes.copy_from_slice(made);
        Ok(())
    })
}
