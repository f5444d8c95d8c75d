//! What threads share state by, in what is checked by models: the standard library's, and in a model
//! (feature `shuttle`, see `tests/models`) that of shuttle, which runs threads in another order each time.

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
pub(crate) use std::sync::{Arc, PoisonError};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(not(feature = "shuttle"))]
pub(crate) use foldhash::fast::RandomState;
/// A model that is run again does the same again.
#[cfg(feature = "shuttle")]
pub(crate) type RandomState = foldhash::fast::FixedState;

/// A number that no other living thread has.
#[cfg(not(feature = "shuttle"))]
pub fn this_thread() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// The threads of a model are one thread of the system.
#[cfg(feature = "shuttle")]
pub fn this_thread() -> usize {
    shuttle::thread::current().id().into()
}
