//! What is asked of a cache explicitly: counted, and told to whoever listens.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use flask_caching_engine::clock::{self, Instant};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use flask_caching_engine::counts::increase;

/// Keys that were found, not found, written and deleted, and calls of `clear`.
#[derive(Default)]
pub(crate) struct Asked {
    counts: [AtomicU64; 5],
    /// Called with how many keys were found, how many not, and the seconds that took.
    listener: OnceLock<Py<PyAny>>,
}

/// Where an event is counted in [`Asked`].
#[derive(Clone, Copy)]
pub(crate) enum Asking {
    Hits,
    Misses,
    Writes,
    Deletions,
    Clears,
}

impl Asked {
    #[inline]
    pub(crate) fn count(&self, what: Asking, by: usize) {
        increase(&self.counts[what as usize], by as u64);
    }

    pub(crate) fn counts(&self) -> [u64; 5] {
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

    /// When a question begins, where somebody listens.
    #[inline]
    pub(crate) fn start(&self) -> Option<Instant> {
        self.listener.get().map(|_| clock::exact())
    }

    /// Counts what was found and what was missing of what was asked for since `start`.
    #[inline]
    pub(crate) fn note_found(
        &self,
        py: Python<'_>,
        start: Option<Instant>,
        (found, missing): (usize, usize),
    ) -> PyResult<()> {
        if found > 0 {
            self.count(Asking::Hits, found);
        }
        if missing > 0 {
            self.count(Asking::Misses, missing);
        }
        if let (Some(start), Some(listener)) = (start, self.listener.get()) {
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
