//! What becomes of calls: one stream, and those who listen to it. Statistics count, signals are sent,
//! the log of outages is kept; a policy may want to hear of them.

use flask_caching_engine::clock;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

use super::flags::{OUTAGE, WATCHED};
use super::parts::Call;
use super::road::Road;
use super::turn::{Access, Open, Turn};
use flask_caching_engine::telemetry::counts::Event;

impl Road {
    /// Tells everybody what looking a call up came to.
    pub(super) fn emit(&self, event: Event, open: &Open, call: &Call<'_, '_>) -> PyResult<()> {
        self.counts.count(event);
        let py = call.args.py();
        if self.flags.get().any(WATCHED) {
            let key = Some(&open.key).filter(|_| !open.following.is_keyless);
            let arguments = (event.name(), &open.state, key, call.args, call.kwargs);
            self.ask(intern!(py, "signal"), arguments)?;
        }
        if self.options.listens {
            self.ask(intern!(py, "hear"), (event.name(),))?;
        }
        Ok(())
    }

    /// Does `work` of the cache; the policy hears how many seconds it took, where somebody watches.
    #[inline]
    pub(super) fn timed<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<T> {
        if !self.flags.get().any(WATCHED) {
            return work();
        }
        let start = clock::exact();
        let outcome = work();
        let spent = clock::exact().since(start).as_secs_f64();
        self.ask(intern!(py, "note_spent"), (spent,))?;
        outcome
    }

    /// Tells everybody that the cache failed a call.
    ///
    /// # Errors
    /// In debug mode, and where it is no `Exception`: what failed it.
    pub(super) fn emit_failed(
        &self,
        py: Python<'_>,
        open: &Open,
        error: PyErr,
        access: Access,
    ) -> PyResult<()> {
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        self.counts.count(Event::Error);
        if let Some(state) = self.state_of(py, open)? {
            let policy = self.policy.bind(py);
            let name = policy.getattr(intern!(py, "name"))?;
            let arguments = (&open.backend, error, access.name(), name);
            state.call_method1(intern!(py, "failed"), arguments)?;
        }
        Ok(())
    }

    /// Tells statistics why a result is not stored.
    pub(super) fn note_refusal(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        let policy = self.policy.bind(py);
        let name = policy.getattr(intern!(py, "name"))?.str()?;
        let module = policy.getattr(intern!(py, "module"))?.str()?;
        self.counts.note_refusal(reason);
        self.flags.get().last_refusals.note(
            &name.to_string_lossy(),
            &module.to_string_lossy(),
            reason,
        );
        Ok(())
    }

    /// The function of a turn has returned: it was computed.
    pub(super) fn emit_computed(&self, turn: &Turn) {
        self.counts.computed(turn.started());
    }

    /// Tells the log of outages that the cache works, if it waits for that.
    pub(super) fn emit_worked(&self, py: Python<'_>, open: &Open, access: Access) -> PyResult<()> {
        if self.flags.get().any(OUTAGE)
            && let Some(state) = self.state_of(py, open)?
        {
            state.call_method1(intern!(py, "worked"), (&open.backend, access.name()))?;
        }
        Ok(())
    }

    /// The state of the application that a call belongs to.
    pub(super) fn state_of<'py>(
        &self,
        py: Python<'py>,
        open: &Open,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(state) = &open.state {
            return Ok(Some(state.bind(py).clone()));
        }
        let place = self.ask(intern!(py, "place"), ())?;
        if place.is_none() {
            return Ok(None);
        }
        place.get_item(0).map(Some)
    }
}
