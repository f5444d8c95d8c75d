//! The whole way of a call up to its turn: what it is, what the backend has, whether that is an answer.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use smallvec::SmallVec;

use super::arguments::Arguments;
use super::flags::{OUTAGE, SIGNALS};
use super::parts::Call;
use super::port::Port;
use super::replaced::{GET, GET_MANY};
use super::road::Road;
use super::table::{Found, Row};
use super::turn::{Doing, Key, Open, Reading, Step, Turn, Version};
use crate::error::CacheKeyError;
use crate::flights;
use crate::missing::missing;

/// How far a call gets without its backend.
pub(super) enum Approach<'py> {
    /// To its answer, or to the turn of a call that is not cached.
    Answer(Bound<'py, PyAny>),
    /// To what is to be looked for.
    Open(Open),
}

/// What the table knows of a call, and what was found by it.
enum Recalled<'py> {
    /// The value, and its key where somebody wants to hear of it.
    Value(Bound<'py, PyAny>, Option<Py<PyAny>>),
    /// A key that an application's own `get` had nothing under.
    Nothing(Py<PyAny>),
    Unknown,
}

impl Road {
    /// Finds out what a call is. `made_key`: its key, where the application has made it already.
    pub(super) fn describe<'py>(
        &self,
        call: &Call<'_, 'py>,
        made_key: Option<Bound<'py, PyAny>>,
        mut is_refresh: bool,
    ) -> PyResult<Approach<'py>> {
        let py = call.args.py();
        let policy = self.policy.bind(py);
        let place = policy.call_method0(intern!(py, "place"))?;
        if place.is_none() {
            return Turn::bypass(py).map(Approach::Answer);
        }
        let (state, backend): (Bound<'_, PyAny>, Bound<'_, PyAny>) = place.extract()?;
        let replaced = self.looked_at.replaced(self.cache.bind(py), &backend)?;
        let port = Port::to(&state, &backend, replaced, !self.options.cache_none)?;
        let mut row = None;
        let mut found = None;
        if made_key.is_none() {
            let mut parts = Arguments::default();
            if port.memory(py, GET_MANY).is_some()
                && self.attributes.is_original(py)?
                && self.parts.get().kind.learn(call, &mut parts)?
            {
                if !is_refresh {
                    match self.recall(&state, &port, &parts)? {
                        Recalled::Value(value, key) => {
                            if !self.is_stale(&value, call)? {
                                self.note_hit(&state, key.as_ref(), call)?;
                                return self.deliver(value).map(Approach::Answer);
                            }
                            is_refresh = true;
                        }
                        Recalled::Nothing(key) => found = Some((key, missing(py)?)),
                        Recalled::Unknown => {}
                    }
                }
                row = Some(Row {
                    road: self.number(),
                    hash: parts.hash,
                    parts: parts.to_known()?,
                });
            }
        }
        let mut open = Open {
            backend: backend.unbind(),
            port,
            description: None,
            key: Key::Text(String::new()),
            versions: SmallVec::new(),
            made_until: None,
            row,
            found,
            handle: None,
            is_refresh,
            is_read_only: false,
            flight: None,
            step: Step::Waiting,
            state: Some(state.clone().unbind()),
        };
        if let Some(key) = made_key {
            open.key = Key::Object(key.unbind());
        } else {
            let arguments = (&state, call.args, call.kwargs);
            let description = policy.call_method1(intern!(py, "describe"), arguments)?;
            if description.is_none() {
                return Turn::bypass(py).map(Approach::Answer);
            }
            let names = description.getattr(intern!(py, "versions"))?;
            open.versions = names
                .cast_into::<PyTuple>()?
                .iter()
                .map(|name| Version::named(&name))
                .collect::<PyResult<_>>()?;
            open.key = Key::Object(description.getattr(intern!(py, "key"))?.unbind());
            open.is_read_only = description
                .getattr(intern!(py, "is_read_only"))?
                .is_truthy()?;
            open.description = Some(description.unbind());
        }
        if let Err(error) = open.key.object(py).hash() {
            let error = if error.is_instance_of::<PyTypeError>(py) {
                not_a_key(&open.key.object(py))
            } else {
                error
            };
            self.failed(py, &mut open, error, Doing::Reading)?;
            return Turn::bypass(py).map(Approach::Answer);
        }
        Ok(Approach::Open(open))
    }

    /// What the in-process store has of a call that was answered before.
    fn recall<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        port: &Port,
        parts: &Arguments<'py>,
    ) -> PyResult<Recalled<'py>> {
        let py = state.py();
        let Some(memory) = port.memory(py, GET_MANY).map(Bound::get) else {
            return Ok(Recalled::Unknown);
        };
        let reads = port.memory(py, GET).is_some();
        let found = memory.calls.find(self.number(), parts, |found| {
            let key = found.key.as_ref().map(|key| key.clone_ref(py));
            let stored = if reads {
                memory.peek(py, &found.guards, found.value)
            } else {
                None
            };
            (key, stored, found.guards.clone())
        });
        let Some((key, stored, guards)) = found else {
            return Ok(Recalled::Unknown);
        };
        if key.is_none() && (!reads || self.flags.get().any(SIGNALS)) {
            return Ok(Recalled::Unknown);
        }
        if reads {
            let value = match stored {
                Some(stored) => memory.thaw(py, stored)?,
                None => None,
            };
            return Ok(value.map_or(Recalled::Unknown, |value| Recalled::Value(value, key)));
        }
        let (Some(key), Some(foreign)) = (key, port.foreign(py)) else {
            return Ok(Recalled::Unknown);
        };
        if !memory.are_there(&guards) {
            return Ok(Recalled::Unknown);
        }
        match foreign.call_method1(intern!(py, "read"), (&key,)) {
            Ok(value) if value.is(missing(py)?) => Ok(Recalled::Nothing(key)),
            Ok(value) => {
                if self.flags.get().any(OUTAGE) {
                    self.worked(state, &memory_as_any(port, py), Doing::Reading)?;
                }
                Ok(Recalled::Value(value, Some(key)))
            }
            Err(error) if error.is_instance_of::<PyException>(py) => Ok(Recalled::Unknown),
            Err(error) => Err(error),
        }
    }
}
