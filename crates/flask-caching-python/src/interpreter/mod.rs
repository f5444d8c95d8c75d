//! What only the interpreter itself can tell: which one of the process it is, whether a class was changed, and
//! what is left of the C stack.

pub(crate) mod class_version;
pub(crate) mod first;
pub(crate) mod stack;
