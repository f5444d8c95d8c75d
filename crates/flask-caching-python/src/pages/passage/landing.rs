//! The end of a miss.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::PagePassage;
use crate::pages::PageFront;
use crate::road::{Landed, Terms};

impl PagePassage {
    /// Stores the page of an answer about which nothing is unusual, and makes of it what is sent of the page.
    pub(super) fn land_or_raise(
        slf: &Bound<'_, Self>,
        answer: &Bound<'_, PyAny>,
    ) -> PyResult<Landed> {
        let py = slf.py();
        let (view, turn, taken, state, environ) = {
            let this = slf.borrow();
            let (Some(turn), Some(taken), Some(state)) = (&this.turn, &this.taken, &this.state)
            else {
                return Ok(Landed::Unknown);
            };
            let (turn, taken) = (turn.clone_ref(py), taken.clone_ref(py));
            let (view, state) = (this.view.clone_ref(py), state.clone_ref(py));
            (view, turn, taken, state, this.environ.clone_ref(py))
        };
        let (view, state) = (view.get(), state.bind(py));
        let Ok(environ) = environ.bind(py).cast::<PyDict>() else {
            return Ok(Landed::Unknown);
        };
        if view.asks_tags {
            return Ok(Landed::Unknown);
        }
        let road = view.road.get();
        let has_rules =
            road.has_conditions() || state.getattr(intern!(py, "has_conditions"))?.is_truthy()?;
        let rules = if has_rules {
            let policy = view.policy.bind(py);
            let rules = policy.call_method1(intern!(py, "given_rules"), (state,))?;
            rules.extract()?
        } else {
            (0.0, 0.0, 0.0)
        };
        let pages = state.getattr(intern!(py, "pages"))?;
        let says_status = pages.getattr(intern!(py, "says_status"))?.is_truthy()?;
        let forward = slf.borrow().forward.clone();
        let sending = view.sending_class.of(answer.get_type().as_any())?;
        let terms = Terms {
            rules,
            forward: says_status.then_some(&*forward),
            sending: Some(&sending).filter(|sending| !sending.is_none()),
            in_front: view.in_front,
        };
        let landed = road.land_page(turn.get(), taken.bind(py), answer, environ, &terms)?;
        if matches!(landed, Landed::Stored) {
            slf.borrow_mut().turn = None;
            if view.in_front
                && let Ok(front) = pages.getattr(intern!(py, "front"))?.cast::<PageFront>()
                && let Some(path) = environ.get_item(intern!(py, "PATH_INFO"))?
            {
                front.get().learn(path.cast()?, view.road.bind(py))?;
            }
        }
        Ok(landed)
    }
}
