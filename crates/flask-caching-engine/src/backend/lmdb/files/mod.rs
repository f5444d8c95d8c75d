//! The files of a store: where they are, who has them open, and whether they can be trusted.

pub(super) mod check;
pub(super) mod host;
pub(super) mod locks;
pub(super) mod opening;
pub(super) mod structure;
