//! The version tag of a class: whether it is still what it was, without looking at its attributes.
#![allow(
    unsafe_code,
    reason = "the one field of a class that no function of the stable ABI reads"
)]
//!
//! CPython gives a class a tag when an attribute is first looked up in it, never gives that tag to
//! another class or another state of this one, and takes it away (0) when the class or one of its
//! bases is changed (`tp_version_tag`, Objects/typeobject.c). The field has kept its place since
//! Python 2.6, but nobody guarantees that place: so [`check`] watches one class through its life
//! first, and where what it sees is not that, no class has a tag, and whoever asks looks closer.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

/// Where the tag is, in bytes from the beginning of a class object of 64-bit CPython.
const OFFSET: usize = 384;

static IS_TRUSTED: AtomicBool = AtomicBool::new(false);

/// The tag of an object's class; `None` where it has none at present, or tags cannot be read.
#[inline]
pub(crate) fn of(object: &Bound<'_, PyAny>) -> Option<u32> {
    trusted(object.get_type_ptr().cast())
}

/// The tag of a class; `None` as [`of`].
#[inline]
pub(crate) fn of_class(class: &Bound<'_, PyType>) -> Option<u32> {
    trusted(class.as_ptr().cast())
}

/// The tag of a class that stays alive; `None` as [`of`].
#[inline]
fn trusted(class: *mut u8) -> Option<u32> {
    if !IS_TRUSTED.load(Ordering::Relaxed) {
        return None;
    }
    Some(read(class)).filter(|tag| *tag != 0)
}

/// The caller guarantees that `class` is a class that stays alive.
#[inline]
fn read(class: *mut u8) -> u32 {
    // SAFETY: a class object is larger than `OFFSET + 4` on every CPython of 64 bits (`PyTypeObject`
    // alone is 408 bytes there), and it is only read.
    unsafe { class.add(OFFSET).cast::<u32>().read_unaligned() }
}

/// Finds out whether tags can be read on this interpreter.
pub(crate) fn check(py: Python<'_>) -> PyResult<()> {
    let can_be = cfg!(target_pointer_width = "64");
    IS_TRUSTED.store(can_be && behave(py)?, Ordering::Relaxed);
    Ok(())
}

/// Whether the tags of a class, of its subclass and of another class are seen to change when they
/// must, and only then.
fn behave(py: Python<'_>) -> PyResult<bool> {
    let base = class(PyTuple::empty(py))?;
    let derived = class(PyTuple::new(py, [&base])?)?;
    let other = class(PyTuple::empty(py))?;
    let classes = [&base, &derived, &other];
    let tag = |class: &Bound<'_, PyType>| read(class.as_ptr().cast());
    let tags = || -> PyResult<[u32; 3]> {
        for class in classes {
            class.hasattr("sought")?;
        }
        Ok(classes.map(tag))
    };
    let first = tags()?;
    let again = tags()?;
    base.setattr("sought", 1)?;
    let changed = classes.map(tag);
    let then = tags()?;
    base.delattr("sought")?;
    let last = tags()?;
    let differ = |one: u32, other: u32| one != other && one != 0 && other != 0;
    Ok(first == again
        && differ(first[0], first[1])
        && differ(first[0], first[2])
        && changed == [0, 0, first[2]]
        && (0..2).all(|at| differ(first[at], then[at]) && differ(then[at], last[at]))
        && last[2] == first[2])
}

fn class(bases: Bound<'_, PyTuple>) -> PyResult<Bound<'_, PyType>> {
    let py = bases.py();
    let class = py
        .get_type::<PyType>()
        .call1(("Watched", bases, PyDict::new(py)))?;
    Ok(class.cast_into::<PyType>()?)
}
