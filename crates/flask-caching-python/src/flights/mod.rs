//! The computations under way in this process, on whatever backend.

pub(crate) mod leaders;
pub(crate) mod lease;
pub(crate) mod refreshes;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use flask_caching_engine::backend::redis::close_inherited;
use flask_caching_engine::flight::{Flight, Flights, Joined, Overtaken, this_thread};
use flask_caching_engine::layer::near;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use crate::memory::{MemoryBackend, text_bytes};

static FLIGHTS: LazyLock<Arc<Flights>> = LazyLock::new(|| Arc::new(Flights::new()));

/// Lets the other greenlets of a thread go on for a moment, where there are some.
static PAUSE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Returns the greenlet that runs, where there are greenlets.
static CURRENT_GREENLET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// No string's UTF-8 begins with it.
const NO_TEXT: u8 = 0xFF;

/// Begins a computation of what belongs under `key` of `owner`, see [`scope`]. `guards`: the keys of
/// the versions that are part of it, where storing it could bring one of them back.
pub(crate) fn begin<'k>(
    owner: &Bound<'_, PyAny>,
    key: &[u8],
    guards: impl IntoIterator<Item = &'k [u8]>,
) -> Flight {
    FLIGHTS.begin(scope(owner), key, guards)
}

/// As [`begin`], unless the same is being computed already, by who has `seen` the same versions beside
/// the key, and may be followed.
///
/// # Errors
/// Those of greenlets.
pub(crate) fn join<'k>(
    owner: &Bound<'_, PyAny>,
    key: &[u8],
    guards: impl IntoIterator<Item = &'k [u8]>,
    seen: &[u8],
) -> PyResult<Joined> {
    let leader = present(owner.py())?;
    Ok(FLIGHTS.join_seeing(scope(owner), key, guards, leader, seen))
}

/// How many results have landed in this process; for [`has_landed_since`].
pub(crate) fn landings() -> u64 {
    FLIGHTS.landings()
}

/// Whether a result under `key` of `owner` may have landed after the first `landings`.
pub(crate) fn has_landed_since(owner: &Bound<'_, PyAny>, key: &[u8], landings: u64) -> bool {
    FLIGHTS.has_landed_since(scope(owner), key, landings)
}

/// What tells the present thread, or greenlet, from others.
#[inline]
pub(crate) fn present(py: Python<'_>) -> PyResult<usize> {
    match CURRENT_GREENLET.get(py) {
        None => Ok(this_thread()),
        Some(current) => Ok(current.bind(py).call0()?.as_ptr().addr()),
    }
}

/// Whether the threads of this process may run greenlets, so that none of them may be blocked.
pub(crate) fn has_greenlets(py: Python<'_>) -> bool {
    CURRENT_GREENLET.get(py).is_some()
}

/// Supersedes the computations of what belongs under `keys`, which are about to be deleted from the
/// backend of this [`scope`].
///
/// # Errors
/// What a greenlet that waits is told, such as a timeout of its own.
#[inline]
pub(crate) fn supersede<'a, 'py: 'a>(
    py: Python<'py>,
    scope: u64,
    keys: impl IntoIterator<Item = Borrowed<'a, 'py, PyAny>>,
) -> PyResult<()> {
    if FLIGHTS.is_empty() {
        return Ok(());
    }
    for key in keys {
        // What cannot be hashed is no key: nothing is computed under it, and the backend says so.
        if let Ok(bytes) = key_bytes(&key) {
            wait(py, FLIGHTS.supersede(scope, [&*bytes]))?;
        }
    }
    Ok(())
}

/// Supersedes all computations of the backend of this [`scope`], which is about to be emptied.
///
/// # Errors
/// As [`supersede`].
pub(crate) fn supersede_all(py: Python<'_>, scope: u64) -> PyResult<()> {
    wait(py, FLIGHTS.supersede_all(scope))
}

/// Supersedes the computations of the same that began before `flight`.
///
/// # Errors
/// As [`supersede`].
pub(crate) fn supersede_earlier(py: Python<'_>, flight: &Flight) -> PyResult<()> {
    wait(py, flight.supersede_earlier())
}

/// What tells the owner of flights from others while it lives: a backend, or the cache that makes its
/// backends anew for each call.
#[inline]
pub(crate) fn scope(owner: &Bound<'_, PyAny>) -> u64 {
    match owner.cast::<MemoryBackend>() {
        Ok(memory) => memory.get().scope(),
        // Objects have even addresses.
        Err(_) => owner.as_ptr().addr() as u64,
    }
}

/// A key as flights know it: a string's bytes, of anything else the hash.
///
/// # Errors
/// `TypeError` where `key` is not hashable.
#[inline]
pub(crate) fn key_bytes<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = key.cast::<PyString>() {
        return text_bytes(text);
    }
    let mut bytes = vec![NO_TEXT];
    bytes.extend(key.hash()?.to_ne_bytes());
    Ok(Cow::Owned(bytes))
}

fn wait(py: Python<'_>, overtaken: Overtaken) -> PyResult<()> {
    if let Some(pause) = PAUSE.get(py) {
        overtaken.let_write(|| pause.bind(py).call0().map(drop))?;
    }
    if !overtaken.is_empty() {
        py.detach(|| overtaken.wait());
    }
    Ok(())
}

/// Writes may go on in several greenlets of one thread from now on; `pause()` lets the others go on
/// for a moment.
#[pyfunction]
pub(crate) fn share_threads(pause: Bound<'_, PyAny>) {
    let py = pause.py();
    PAUSE.get_or_init(py, || pause.unbind());
}

/// There are greenlets from now on: `current()` returns the one that runs.
#[pyfunction]
pub(crate) fn tell_greenlets_apart(current: Bound<'_, PyAny>) {
    let py = current.py();
    CURRENT_GREENLET.get_or_init(py, || current.unbind());
}

/// Lets no computation that began before store its result under one of `keys` of `owner`; with
/// None, under any key.
#[pyfunction]
pub(crate) fn supersede_flights(
    owner: &Bound<'_, PyAny>,
    keys: Option<&Bound<'_, PyTuple>>,
) -> PyResult<()> {
    let py = owner.py();
    if let Some(keys) = keys {
        supersede(py, scope(owner), keys.iter_borrowed())
    } else {
        supersede_all(py, scope(owner))
    }
}

/// Calls `action()`, which replaces or deletes what is under `keys` of `owner`, and returns what it
/// returns. Neither what began before nor what begins meanwhile, and may have read what is being
/// replaced, is stored.
#[pyfunction]
pub(crate) fn hold_flights<'py>(
    owner: &Bound<'py, PyAny>,
    keys: &Bound<'py, PyTuple>,
    action: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let keys: Vec<_> = keys.iter().collect();
    let bytes = keys.iter().map(key_bytes).collect::<PyResult<Vec<_>>>()?;
    let (hold, overtaken) = FLIGHTS.hold(scope(owner), bytes.iter().map(|key| &**key));
    wait(owner.py(), overtaken)?;
    let result = action.call0();
    drop(hold);
    result
}

/// How many computations are under way.
#[pyfunction]
pub(crate) fn flights_under_way() -> usize {
    FLIGHTS.len()
}

/// Forgets the computations of the process that this one was forked from, and what that hears of changes
/// by.
#[pyfunction]
pub(crate) fn forget_flights() {
    FLIGHTS.forget();
    near::forget_in_child();
    close_inherited();
}
