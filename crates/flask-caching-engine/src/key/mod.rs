//! How cache keys are made.

mod memoize;
mod version;

pub use memoize::memoize_prefix;
pub use version::new_version;
