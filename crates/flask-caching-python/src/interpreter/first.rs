//! Which interpreter of the process this is.
#![expect(
    unsafe_code,
    reason = "pyo3 has no safe way to tell one interpreter from another"
)]

use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

/// Whether this is the interpreter that imported the module first. Its types, and the exceptions it
/// raises, are that one's: pyo3 keeps them once a process.
#[pyfunction]
pub(crate) fn is_first_interpreter(_py: Python<'_>) -> bool {
    static FIRST: OnceLock<i64> = OnceLock::new();
    // SAFETY: this thread is attached to an interpreter, as `_py` shows.
    let this = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    *FIRST.get_or_init(|| this) == this
}
