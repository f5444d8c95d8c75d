//! How cache keys are made.

mod memoize;

pub use memoize::memoize_prefix;
