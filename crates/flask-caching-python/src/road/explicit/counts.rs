//! What is asked of a cache explicitly: counted, and told to whoever listens.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use flask_caching_engine::clock::{self, Instant};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::memory::answers_of_copies;
use flask_caching_engine::telemetry::counts::increase;

/// Keys that were found, not found, written and deleted, calls of `clear`, and of the first those that
/// copies nearby had.
#[derive(Default)]
pub(crate) struct ExplicitCounts {
    counts: [AtomicU64; 6],
    /// Called with how many keys were found, how many not, and the seconds that took.
    listener: OnceLock<Py<PyAny>>,
}

/// How a question began.
pub(crate) struct Started {
    /// When, where somebody listens.
    at: Option<Instant>,
    /// How often copies nearby had answered.
    answers: u64,
}

/// Where an event is counted in [`ExplicitCounts`].
#[derive(Clone, Copy)]
pub(crate) enum ExplicitEvent {
    Hits,
    Misses,
    Writes,
    Deletions,
    Clears,
    NearHits,
}

impl ExplicitCounts {
    #[inline]
    pub(crate) fn count(&self, what: ExplicitEvent, by: usize) {
        increase(&self.counts[what as usize], by as u64);
    }

    pub(crate) fn counts(&self) -> [u64; 6] {
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }

    /// Counts begin anew.
    pub(crate) fn reset(&self) {
        for count in &self.counts {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// `listener` hears of what was asked for from now on. The first call counts.
    pub(crate) fn listen(&self, listener: Py<PyAny>) {
        let _ = self.listener.set(listener);
    }

    /// How a question begins.
    #[inline]
    pub(crate) fn start(&self) -> Started {
        Started {
            at: self.listener.get().map(|_| clock::exact()),
            answers: answers_of_copies(),
        }
    }

    /// Counts what was found and what was missing of what was asked for since `start`.
    #[inline]
    pub(crate) fn note_found(
        &self,
        py: Python<'_>,
        start: Started,
        (found, missing): (usize, usize),
    ) -> PyResult<()> {
        if found > 0 {
            self.count(ExplicitEvent::Hits, found);
        }
        if missing > 0 {
            self.count(ExplicitEvent::Misses, missing);
        }
        let near = usize::try_from(answers_of_copies() - start.answers).unwrap_or(0);
        if near > 0 {
            // Those of tags are among the answers.
            self.count(ExplicitEvent::NearHits, near.min(found));
        }
        if let (Some(start), Some(listener)) = (start.at, self.listener.get()) {
            let spent = clock::exact().since(start).as_secs_f64();
            listener.call1(py, (found, missing, spent))?;
        }
        Ok(())
    }
}

/// How many of the values that a method for many keys has answered, a list or a dict, are there, and
/// how many are missing.
pub(crate) fn found_and_missing(values: &Bound<'_, PyAny>) -> (usize, usize) {
    let values = match values.cast::<PyDict>() {
        Ok(by_key) => by_key.values(),
        Err(_) => match values.cast::<PyList>() {
            Ok(list) => list.clone(),
            Err(_) => return (0, 0),
        },
    };
    let found = values.iter().filter(|value| !value.is_none()).count();
    (found, values.len() - found)
}
