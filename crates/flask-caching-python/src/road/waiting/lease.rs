//! Leases: single flight among processes. How one is taken, waited for, stored under and ended says
//! `calls/waiting/leasing.py`; here is when.
//!
//! A lease is taken by the call that leads the flight of its process, in the place where the value is to
//! be, and ends with the computation. Whoever finds another's looks for the value again after a while, as
//! a call that has just come: it may be an answer then, have another key, or nobody may compute it.

use std::mem;
use std::time::Duration;

use flask_caching_engine::envelope::metadata::LeaseKind;
use flask_caching_engine::lease::{self, Found, Patience};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::road::road::Road;
use crate::road::turn::{Open, Outcome, Step, Turn};
use crate::values::metadata::Metadata;
use flask_caching_engine::telemetry::counts::Event;

/// How often a call is looked for again without a pause: what is found may be no answer time and again.
const MOST_HURRIED: u32 = 5;

/// What a lease says that has ended: the result was its caller's alone.
pub(in crate::road) const REFUSED: &str = "refused";
/// There is none, and an older value stands.
pub(in crate::road) const FAILED: &str = "failed";

/// What a call has to do with leases.
#[derive(Default)]
pub(in crate::road) struct Leasing {
    stage: Stage,
    /// What the entry that was read says of a lease, and for how long.
    seen: Option<(LeaseKind, Duration)>,
    over: Over,
    patience: Option<Patience>,
    has_waited: bool,
    /// How often it was looked for again at once.
    hurried: u32,
}

#[derive(Default)]
enum Stage {
    /// Nobody has asked whether it takes one.
    #[default]
    Unasked,
    /// It is to take one, or to wait for who has it.
    Wanted,
    /// It has waited, and is to be looked for again; its key was this.
    Again(Py<PyAny>),
    /// It has one: `flask_caching.calls.waiting.leasing.Held`.
    Held(Py<PyAny>),
    /// It computes without.
    Without,
    /// It computes without, as the backend has failed: what is deleted meanwhile, nobody can tell.
    Unfenced,
    /// It does not compute: another process refreshes the entry, or has done so.
    Declined,
}

/// What is under the key although the call computes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Over {
    #[default]
    Nothing,
    /// A value that the policy will not have.
    Rejected,
    /// One that is not fresh any more.
    Stale,
}

impl Leasing {
    /// Notes what the metadata of the entry says.
    pub(in crate::road) fn see(&mut self, metadata: &Metadata) {
        self.seen = metadata.lease_left();
    }

    /// Whether somebody else was seen to compute it.
    pub(in crate::road) fn is_elsewhere(&self) -> bool {
        matches!(self.seen, Some((LeaseKind::InPlace | LeaseKind::Over, _)))
    }

    /// For how long nobody is to compute it anew, as somebody else could not.
    pub(in crate::road) fn failed_for(&self) -> Option<Duration> {
        let (kind, left) = self.seen?;
        (kind == LeaseKind::FailedOver).then_some(left)
    }

    /// Whether the call has waited, and is to be looked for again.
    pub(in crate::road) fn looks_again(&self) -> bool {
        matches!(self.stage, Stage::Again(_))
    }

    /// Whether it is to take a lease.
    pub(in crate::road) fn is_wanted(&self) -> bool {
        matches!(self.stage, Stage::Wanted)
    }

    /// Whether another process computes in its place.
    pub(in crate::road) fn is_declined(&self) -> bool {
        matches!(self.stage, Stage::Declined)
    }

    /// Nothing is known of the entry any more: it is looked for again.
    pub(in crate::road) fn forget_seen(&mut self) {
        (self.seen, self.over) = (None, Over::Nothing);
    }

    /// A value was found that is no answer; `is_stale`: it is only too old.
    pub(in crate::road) fn note_value(&mut self, is_stale: bool) {
        self.over = if is_stale {
            Over::Stale
        } else {
            Over::Rejected
        };
    }

    /// It has its lease, or goes on without.
    pub(in crate::road) fn settle(&mut self) {
        if self.is_wanted() {
            self.stage = Stage::Unfenced;
        }
    }

    /// Whether it computes although it could not take the lease that it wanted.
    pub(in crate::road) fn is_unfenced(&self) -> bool {
        matches!(self.stage, Stage::Unfenced)
    }

    pub(in crate::road) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.stage {
            Stage::Held(held) | Stage::Again(held) => visit.call(held),
            _ => Ok(()),
        }
    }
}

impl Road {
    /// Lets a call take a lease, where it is to, and nobody has asked yet.
    pub(in crate::road) fn ask_for_lease(&self, py: Python<'_>, open: &mut Open) -> PyResult<()> {
        if !matches!(open.leasing.stage, Stage::Unasked) {
            return Ok(());
        }
        open.leasing.stage = Stage::Without;
        let (Some(state), false) = (&open.state, open.port.is_memory()) else {
            return Ok(());
        };
        let is_wanted = match (self.options.lease, self.options.single_flight) {
            (Some(lease), _) => lease,
            (None, Some(false)) => false,
            (None, _) => state.getattr(py, intern!(py, "lease"))?.is_truthy(py)?,
        };
        if is_wanted {
            open.leasing.stage = Stage::Wanted;
        }
        Ok(())
    }

    /// Takes the lease of a call, or waits a while for who has it.
    pub(in crate::road) fn take_lease(
        &self,
        py: Python<'_>,
        open: Box<Open>,
    ) -> PyResult<Box<Open>> {
        let mut open = self.ask_to_wait(intern!(py, "hold"), open)?;
        open.leasing.settle();
        Ok(open)
    }

    /// A call that has waited for another process was looked for again: its flight goes on where it is
    /// still that of its key, and nothing was deleted.
    pub(in crate::road) fn go_on_after_waiting(&self, py: Python<'_>, open: &mut Open) {
        if !open.leasing.looks_again() {
            return;
        }
        if open.leasing.patience.is_some() && !mem::replace(&mut open.leasing.has_waited, true) {
            self.counts.count(Event::Waited);
        }
        if let Stage::Again(key) = mem::take(&mut open.leasing.stage) {
            let is_same = open.key.bind(py).eq(key).unwrap_or(false);
            let is_over = |flight: &_| flask_caching_engine::flight::Flight::is_superseded(flight);
            if !is_same || open.flight.as_ref().is_some_and(is_over) {
                open.flight = None;
            }
        }
    }
}

impl Open {
    /// What the call computes under: an object of Python's, or None.
    pub(in crate::road) fn lease(&self) -> Option<&Py<PyAny>> {
        match &self.leasing.stage {
            Stage::Held(held) => Some(held),
            _ => None,
        }
    }

    /// Lets other processes go on. `says`: what they are to know of it.
    pub(in crate::road) fn end_lease(
        &mut self,
        py: Python<'_>,
        says: Option<&str>,
    ) -> PyResult<()> {
        if !matches!(self.leasing.stage, Stage::Held(_)) {
            return Ok(());
        }
        if let Stage::Held(held) = mem::take(&mut self.leasing.stage) {
            self.leasing.stage = Stage::Without;
            held.call_method1(py, intern!(py, "over"), (says,))?;
        }
        Ok(())
    }

    /// Whether the result of the call is its caller's alone.
    pub(in crate::road) fn is_refused(&self) -> bool {
        !matches!(
            self.step,
            Step::Written(Ok(Outcome::Stored(_) | Outcome::Superseded | Outcome::Keyless) | Err(_))
        )
    }
}

/// A turn that is to take a lease, as Python sees it.
#[pyclass(frozen, get_all, module = "flask_caching._engine")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(crate) struct Claimant {
    turn: Py<Turn>,
    /// The application's state.
    state: Option<Py<PyAny>>,
    backend: Py<PyAny>,
    key: Py<PyAny>,
    /// The way to the value.
    port: Py<PyAny>,
    /// Whether the entry that was read says that somebody computes it.
    is_elsewhere: bool,
    /// Whether a value was read, which is no answer.
    is_over_value: bool,
    /// Whether that is none because it is not fresh any more.
    is_over_stale: bool,
    /// Whether its caller would wait for another process.
    may_wait: bool,
}

#[pymethods]
impl Claimant {
    #[new]
    fn new(turn: &Bound<'_, Turn>) -> PyResult<Self> {
        let py = turn.py();
        let claimant = turn.get().with(|open| {
            let Leasing { over, .. } = &open.leasing;
            Ok(Self {
                turn: turn.clone().unbind(),
                state: open.state.as_ref().map(|state| state.clone_ref(py)),
                backend: open.backend.clone_ref(py),
                key: open.key.clone_ref(py),
                port: open.port.foreign(py)?.clone().unbind(),
                is_elsewhere: open.leasing.is_elsewhere(),
                is_over_value: *over != Over::Nothing,
                is_over_stale: *over == Over::Stale || open.conditions.is_background,
                may_wait: !open.is_refresh,
            })
        });
        claimant.ok_or_else(is_over)?
    }

    /// What it does about its lease, in the place of which it has `found` this.
    fn step(&self, found: Option<&str>) -> PyResult<&'static str> {
        let found = match found {
            None => Found::Nothing,
            Some("held") => Found::Held,
            Some(REFUSED) => Found::Refused,
            Some(FAILED) => Found::Failed,
            Some("answer") => Found::Answer,
            Some("value") => Found::Value,
            Some(_) => return Err(PyValueError::new_err("nothing of that kind is found")),
        };
        let claimant = self.turn.get().with(|open| lease::Claimant {
            is_forced: open.is_refresh && !open.conditions.is_background,
            is_background: open.conditions.is_background,
            may_look_again: open.leasing.hurried < MOST_HURRIED,
        });
        Ok(match claimant.ok_or_else(is_over)?.step(found) {
            lease::Step::Take => "take",
            lease::Step::Seize => "seize",
            lease::Step::TakeOver => "take over",
            lease::Step::Wait => "wait",
            lease::Step::Watch => "watch",
            lease::Step::LookAgain => "look again",
            lease::Step::Decline => "decline",
        })
    }

    /// The seconds to wait before the next question, see `Patience`; None: it has waited long enough.
    fn next_pause(&self, longest: f64) -> Option<f64> {
        let pause = self.turn.get().change(|open| {
            if open.following.is_circular {
                return None;
            }
            let until = open.following.wait_for(longest);
            let patience = &mut open.leasing.patience;
            let patience = patience.get_or_insert_with(|| Patience::until(Some(until)));
            patience.next_pause()
        });
        pause.flatten().map(|pause| pause.as_secs_f64())
    }

    /// Lets the call compute under `held`.
    fn hold(&self, held: Py<PyAny>) {
        self.enter(Stage::Held(held));
    }

    /// Has the call looked for again, without having waited where it is to `hurry`.
    #[pyo3(signature = (hurry = false))]
    fn look_again(&self, py: Python<'_>, hurry: bool) {
        self.turn.get().change(|open| {
            open.leasing.hurried += u32::from(hurry);
            open.leasing.stage = Stage::Again(open.key.clone_ref(py));
            open.rewind(py);
        });
    }

    /// Lets the call compute as if nobody had asked for a lease.
    fn go_without(&self) {
        self.enter(Stage::Without);
    }

    /// Leaves it to another process.
    fn decline(&self) {
        self.enter(Stage::Declined);
    }
}

impl Claimant {
    fn enter(&self, stage: Stage) {
        self.turn.get().change(|open| open.leasing.stage = stage);
    }
}

fn is_over() -> PyErr {
    PyRuntimeError::new_err("the call is over")
}
