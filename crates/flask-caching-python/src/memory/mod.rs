//! `MemoryBackend`: the in-process store as a cache backend; the native half of `SimpleCache`.
//!
//! Its methods are the backend's methods, with no layer of Python between. Invariants:
//!
//! - The store is locked only while this thread holds the GIL, and never for longer than it takes to
//!   count a reference: no Python code runs, no Python object is made or dropped under the lock. So
//!   the lock is never waited for, and never held by another thread at a `fork()`.
//! - Values go in by [`value::Stored::new`] and come out by [`value::Stored::load`], both with no
//!   lock held.

mod backend;
mod direct;
mod immutable;
mod instances;
mod key;
mod near;
mod number;
mod operations;
mod plain;
mod sealed;
mod settings;
mod value;
mod weight;

pub(crate) use backend::MemoryBackend;
pub(crate) use immutable::is_scalar;
pub(crate) use key::text_bytes;
pub(crate) use near::{BegunCopies, NearCopies, answers_of_copies, note_answer};
pub(crate) use sealed::Sealed;
pub(crate) use value::Stored;
