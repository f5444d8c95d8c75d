//! What is behind the doors of the road: the whole way of a call, for who may wait and for who may not.

use pyo3::prelude::*;

use super::look_up::Progress;
use super::parts::Call;
use super::quick::Quick;
use super::road::Road;
use super::turn::{Next, Open, Turn};

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
            Progress::There(there) => return Ok(there),
            Progress::On(open) => open,
        };
        open.following.is_task = is_task;
        if let Some(key) = background {
            self.read_open(py, &mut open);
            if !open.key.bind(py).eq(key)? {
                return Turn::bypass(py);
            }
            open.conditions.is_background = true;
        }
        self.go_on(open, call)
    }

    /// Goes on with a call to its answer or its turn, or up to where a task would be kept waiting.
    pub(super) fn go_on<'py>(
        &self,
        mut open: Box<Open>,
        call: &Call<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = call.args.py();
        loop {
            match open.next() {
                Some(next) if open.following.is_task && (open.port.waits || next != Next::Read) => {
                    return Turn::of(py, open);
                }
                Some(Next::Read) => self.read_open(py, &mut open),
                Some(Next::Hold) => open = self.take_lease(py, open)?,
                Some(Next::Follow) => {
                    open = self.wait(py, open)?;
                    self.take_over(py, &mut open)?;
                }
                None => match self.arrive_at(open, call)? {
                    Progress::There(there) => return Ok(there),
                    Progress::On(further) => open = further,
                },
            }
        }
    }
}
