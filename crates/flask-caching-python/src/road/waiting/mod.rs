//! Waiting for who computes the same: in this process ([`follow`]), and in others ([`lease`]).

mod follow;
mod lease;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::road::Road;
use super::turn::{Open, Turn};

pub(crate) use self::lease::Claimant;
pub(super) use self::lease::{FAILED, Leasing, REFUSED};

impl Road {
    /// Lets a `method` of the policy wait with a call.
    fn ask_to_wait(&self, method: &Bound<'_, PyString>, open: Box<Open>) -> PyResult<Box<Open>> {
        let turn = Turn::of(method.py(), open)?;
        let waited = self.ask(method, (&turn,));
        let open = turn.cast::<Turn>()?.get().take();
        waited?;
        open.ok_or_else(|| PyRuntimeError::new_err("a call ended while it waited"))
    }
}
