//! What the policy of a road says about all its calls.

use pyo3::prelude::*;
use pyo3::types::PyType;

/// What the policy says about all calls.
#[derive(FromPyObject)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(super) struct Options {
    /// Whether a stored None is a value.
    pub(super) cache_none: bool,
    /// Whether the function is a view: an exception that is stored is raised, and a tuple is a response
    /// with its status.
    pub(super) is_view: bool,
    /// Whether the policy has a say about what was found.
    pub(super) checks_hits: bool,
    /// Whether it wants to hear what calls came to.
    pub(super) listens: bool,
    /// Whether it has a say about every result.
    pub(super) filters: bool,
    /// The class of results that bring their own timeout, in an attribute of that name.
    pub(super) timed_class: Option<Py<PyType>>,
    /// Whether it has tags, or rules of its own for values that are not fresh any more.
    pub(super) has_conditions: bool,
    /// Whether its results are pages, which say themselves how long they may be old.
    pub(super) is_page: bool,
    /// Whether one call computes and the others get its result; `None`: as the application has it.
    pub(super) single_flight: Option<bool>,
    /// Whether one call computes among all processes; `None`: as the application has it.
    pub(super) lease: Option<bool>,
}
