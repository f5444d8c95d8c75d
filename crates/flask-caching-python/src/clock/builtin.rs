//! Where a built-in function keeps the address of its implementation.
//!
//! time-machine moves time by exchanging that address in `time.time` and others: the function
//! stays the same object, and nobody is told. So the address itself is what has to be looked at.
#![expect(
    unsafe_code,
    reason = "the address is inside of objects of CPython, and Rust has no other way to it"
)]

use std::sync::atomic::AtomicUsize;

use pyo3::ffi;
use pyo3::prelude::*;

/// The beginning of `PyCFunctionObject`, which is this in every CPython.
#[repr(C)]
struct BuiltinFunction {
    head: ffi::PyObject,
    definition: *mut ffi::PyMethodDef,
}

/// The word that holds the address of what `function` does, and what is in it. `None`: it is not
/// built in.
pub(super) fn implementation(function: &Bound<'_, PyAny>) -> Option<(&'static AtomicUsize, usize)> {
    let object = function.as_ptr();
    // SAFETY: `object` is alive and the interpreter is attached; the second call is made of a
    // built-in function only.
    let known = unsafe {
        if ffi::PyCFunction_Check(object) == 0 {
            return None;
        }
        ffi::PyCFunction_GetFunction(object)? as usize
    };
    // SAFETY: a built-in function starts like this, and its definition outlives it: CPython demands
    // that of whoever makes one. That of a module in C is a static.
    let word = unsafe {
        let definition = (*object.cast::<BuiltinFunction>()).definition;
        AtomicUsize::from_ptr((&raw mut (*definition).ml_meth).cast())
    };
    // The same word that the interpreter itself found.
    (word.load(std::sync::atomic::Ordering::Relaxed) == known).then_some((word, known))
}
