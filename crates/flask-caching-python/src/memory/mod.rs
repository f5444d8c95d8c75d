//! `MemoryBackend`: the in-process store as a cache backend; the native half of `SimpleCache`.
//!
//! Its methods are the backend's methods, with no layer of Python between. Invariants:
//!
//! - The store is locked only while this thread holds the GIL, and never for longer than it takes to
//!   count a reference: no Python code runs, no Python object is made or dropped under the lock. So
//!   the lock is never waited for, and never held by another thread at a `fork()`.
//! - Values go in by [`stored::Stored::new`] and come out by [`stored::Stored::load`], both with no
//!   lock held.

mod backend;
mod direct;
mod key;
mod near;
mod number;
mod operations;
mod sealed;
mod settings;
mod stored;

pub(crate) use backend::MemoryBackend;
pub(crate) use key::text_bytes;
pub(crate) use near::{BegunCopies, NearCopies, answers_of_copies, note_answer};
pub(crate) use sealed::Sealed;
pub(crate) use stored::Stored;
pub(crate) use stored::immutable::is_scalar;
