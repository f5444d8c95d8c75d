//! What stands around the bytes of a value: its compression, its signature, and what is known of the entry beside it.

pub mod compression;
pub mod metadata;
pub mod signing;
