//! What is behind the doors of the road: the whole way of a call, for who may wait and for who may not.

use pyo3::prelude::*;

use super::look_up::Progress;
use super::parts::Call;
use super::quick::Quick;
use super::road::Road;
use super::turn::{Next, Open, Turn};

impl Road {
    /// Goes the whole way from where the quick one has ended; for a task, up to where a server or another call
    /// would be waited for.
    pub(super) fn go<'py>(
        &self,
        call: &Call<'_, 'py>,
        quick: Quick<'py>,
        is_task: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.describe(call, quick, false)? {
            Progress::There(there) => Ok(there),
            Progress::On(mut open) => {
                open.following.is_task = is_task;
                self.go_on(open, call)
            }
        }
    }

    /// Goes the whole way of a call whose stored result is not wanted. `key`: of an old value that was
    /// answered, so that nobody waits for the new one.
    pub(super) fn go_anew<'py>(
        &self,
        call: &Call<'_, 'py>,
        is_task: bool,
        key: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = call.args.py();
        let mut open = match self.describe(call, Quick::Unknown, true)? {
            Progress::There(there) => return Ok(there),
            Progress::On(open) => open,
        };
        open.following.is_task = is_task;
        if let Some(key) = key {
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
