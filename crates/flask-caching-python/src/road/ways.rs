//! What is behind the doors of the road: the whole way of a call, for who may wait and for who may not.

use pyo3::intern;
use pyo3::prelude::*;

use super::look_up::{Described, LookedUp};
use super::parts::Call;
use super::quick::Quick;
use super::road::Road;
use super::turn::{Open, Turn};

/// Where a call begins.
pub(super) enum Start<'a, 'py> {
    /// Where the quick way has ended.
    After(Quick<'py>),
    /// At its description: what is stored is not wanted. `of`: the key of an old value that was answered,
    /// which nobody waits for then.
    Refresh { of: Option<&'a Bound<'py, PyAny>> },
}

impl Road {
    /// Goes the whole way; for a task, up to where a server or another call would be waited for.
    pub(super) fn go<'py>(
        &self,
        call: &Call<'_, 'py>,
        start: Start<'_, 'py>,
        is_task: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = call.args.py();
        let (quick, is_refresh, background) = match start {
            Start::After(quick) => (quick, false, None),
            Start::Refresh { of } => (Quick::Unknown, true, of),
        };
        let mut open = match self.describe(call, quick, is_refresh)? {
            Described::Answer(answer) => return Ok(answer),
            Described::Open(open) if is_task => return self.read_unless_waiting(open, call),
            Described::Open(open) => open,
        };
        self.read_open(py, &mut open);
        if let Some(key) = background {
            if !open.key.bind(py).eq(key)? {
                return Turn::bypass(py);
            }
            open.conditions.is_background = true;
        }
        loop {
            let behind = match self.arrive_at(open, call, None)? {
                LookedUp::There(there) => return Ok(there),
                LookedUp::Behind(behind) => behind,
                LookedUp::Leasing(leasing) => {
                    open = self.take_lease(py, leasing)?;
                    if open.leasing.looks_again() {
                        self.read_open(py, &mut open);
                    }
                    continue;
                }
            };
            open = self.wait(py, behind)?;
            if self.resume_open(py, &mut open)? {
                self.read_open(py, &mut open);
            }
        }
    }

    pub(super) fn read_unless_waiting<'py>(
        &self,
        mut open: Box<Open>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if open.port.waits {
            return Turn::of(call.args.py(), open);
        }
        self.read_open(call.args.py(), &mut open);
        self.arrive_for_task(open, call)
    }

    pub(super) fn arrive_for_task<'py>(
        &self,
        open: Box<Open>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = call.args.py();
        let task = self.ask(intern!(py, "task"), ())?.extract()?;
        match self.arrive_at(open, call, Some(task))? {
            LookedUp::There(there) => Ok(there),
            LookedUp::Behind(over) if over.following.waiting.is_none() => {
                self.read_unless_waiting(over, call)
            }
            LookedUp::Behind(open) | LookedUp::Leasing(open) => Turn::of(py, open),
        }
    }
}
