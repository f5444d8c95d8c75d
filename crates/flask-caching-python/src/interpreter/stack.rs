//! What is left of the C stack: an endless recursion is a `RecursionError`, never a crash.
//!
//! Where code of the application that the road calls (a `__repr__`, `make_cache_key`, a receiver of
//! signals) calls a function that is cached, each level takes some of the C stack. Before version 3.14
//! CPython counts levels and does not look at the stack; a raised recursion limit, or a thread with a
//! small stack, lets it be overrun.
#![allow(
    unsafe_code,
    reason = "the C library is asked where the stack of this thread ends"
)]

use std::cell::Cell;

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;

/// What is left free at most, in bytes: for a level of ours, and for what it calls.
const MOST_LEFT_FREE: usize = 256 << 10;
/// And at most this part of the whole stack.
const PART_LEFT_FREE: usize = 6;

thread_local! {
    /// The address that the stack may grow down to; 0: not known yet.
    static LOWEST: Cell<usize> = const { Cell::new(0) };
    /// The stack as it was looked at, and the limit of the main thread's at that time.
    static BOUNDS: Cell<Option<(usize, usize, u64)>> = const { Cell::new(None) };
}

/// Sees to it that there is room for another level.
///
/// # Errors
/// `RecursionError`.
#[inline]
pub(crate) fn check() -> PyResult<()> {
    let mark = 0_u8;
    let here = std::ptr::from_ref(&mark).addr();
    let lowest = LOWEST.get();
    if lowest != 0 && here >= lowest {
        return Ok(());
    }
    look(here)
}

#[cold]
#[inline(never)]
fn look(here: usize) -> PyResult<()> {
    let Some((low, high)) = known_bounds() else {
        LOWEST.set(1);
        return Ok(());
    };
    let lowest = low + (high.saturating_sub(low) / PART_LEFT_FREE).min(MOST_LEFT_FREE);
    LOWEST.set(lowest);
    // A stack that is not the thread's own, as coroutines in C have, is not known.
    if here >= lowest || here < low {
        return Ok(());
    }
    Err(PyRecursionError::new_err(
        "maximum recursion depth exceeded: the stack of this thread is almost full",
    ))
}

/// As [`bounds`], which reads a file: asked for again only where the limit of the main thread's stack
/// has been raised since.
fn known_bounds() -> Option<(usize, usize)> {
    let limit = limit();
    if let Some((low, high, then)) = BOUNDS.get()
        && then == limit
    {
        return Some((low, high));
    }
    let (low, high) = bounds()?;
    BOUNDS.set(Some((low, high, limit)));
    Some((low, high))
}

/// How large the main thread's stack may become, in bytes.
#[cfg(target_os = "linux")]
fn limit() -> u64 {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limits are filled in, or left as they are.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limits) };
    limits.rlim_cur
}

#[cfg(not(target_os = "linux"))]
fn limit() -> u64 {
    0
}

/// The lowest address of this thread's stack, and the one above it; `None` where nobody knows.
#[cfg(target_os = "linux")]
fn bounds() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are read only after they were filled in, and freed once.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let failed = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if failed != 0 {
            return None;
        }
    }
    let low = low.addr();
    low.checked_add(size).map(|high| (low, high))
}

#[cfg(not(target_os = "linux"))]
fn bounds() -> Option<(usize, usize)> {
    None
}
