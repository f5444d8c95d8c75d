//! Values as stores hold them: what is told of their bytes, and done to them.

pub(crate) mod compression;
pub(crate) mod metadata;
pub(crate) mod missing;
pub(crate) mod pickled;
pub(crate) mod plain_data;
pub(crate) mod scalars;
pub(crate) mod signing;
