//! Who may wait for what runs in a context: the threads, greenlets and tasks that have computed something
//! in it, or in one that it is a copy of.
//!
//! A task is made with a copy of the context, and threads are handed copies; whoever computes may wait for
//! them, which nobody else can know. That one who is named here waits for nobody costs a computation beside
//! another one, and nothing else.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyTuple};

use crate::flights;

/// A chain of tasks, each of which makes the next one, would have ever more.
const MOST: usize = 32;

/// The methods `get` and `set` of a `contextvars.ContextVar`, of a tuple of numbers.
static LEADERS: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();

fn methods(py: Python<'_>) -> PyResult<&[Py<PyAny>; 2]> {
    LEADERS.get_or_try_init(py, || {
        let kind = py.import("contextvars")?.getattr("ContextVar")?;
        let none = [("default", PyTuple::empty(py))].into_py_dict(py)?;
        let variable = kind.call(("flask_caching_leaders",), Some(&none))?;
        let [get, set] = ["get", "set"].map(|name| variable.getattr(name).map(Bound::unbind));
        Ok([get?, set?])
    })
}

fn known(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let [get, _] = methods(py)?;
    Ok(get.bind(py).call0()?.cast_into()?)
}

/// The numbers of those who may wait for what runs here.
pub(crate) fn leaders(py: Python<'_>) -> PyResult<Vec<usize>> {
    known(py)?.extract()
}

/// Notes that `leader` computes something here; without it, the present thread or greenlet.
pub(crate) fn note_leader(py: Python<'_>, leader: Option<usize>) -> PyResult<()> {
    let leader = match leader {
        Some(leader) => leader,
        None => flights::present(py)?,
    };
    let known = known(py)?;
    if let Some(last) = known.len().checked_sub(1)
        && known.get_borrowed_item(last)?.extract::<usize>()? == leader
    {
        return Ok(());
    }
    let mut numbers: Vec<usize> = known.extract()?;
    numbers.retain(|number| *number != leader);
    let first = (numbers.len() + 1).saturating_sub(MOST);
    numbers.push(leader);
    let numbers = PyTuple::new(py, &numbers[first..])?;
    let [_, set] = methods(py)?;
    set.call1(py, (numbers,)).map(drop)
}
