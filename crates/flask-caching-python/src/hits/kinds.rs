//! How objects that are no plain data are told apart.
//!
//! Python decides it, in `flask_caching._identity.told_apart_by`, once for each class (for a class
//! that is itself an argument: once for that class). Until it has, such a call takes the ordinary
//! path.

use std::sync::{Mutex, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::arguments::{Probe, is_plain};

/// A function is called with few kinds of objects; one that is called with more is not sped up.
const MOST_KINDS: usize = 16;

/// What tells the objects of a class apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    ByRepr,
    ByIdentity,
}

/// The classes whose objects a function was called with.
pub(super) struct Kinds(Mutex<Vec<(Py<PyType>, Told)>>);

impl Kinds {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// How `argument` is looked up; `None` where its class is not known.
    #[inline]
    pub(super) fn probe<'py>(&self, argument: &Bound<'py, PyAny>) -> PyResult<Option<Probe<'py>>> {
        match self.told(&key(argument)) {
            Some(Told::ByIdentity) => Ok(Some(Probe::Object(argument.clone()))),
            Some(Told::ByRepr) => {
                let text = argument.repr()?;
                // An address identifies nothing: the ordinary path has a token for such an object.
                let is_telling = text.is_exact_instance_of::<PyString>()
                    && text.to_str().is_ok_and(|shown| !has_address(shown));
                Ok(is_telling.then(|| Probe::Printed(text, argument.get_type())))
            }
            None => Ok(None),
        }
    }

    /// Asks about the classes of the arguments that are not known yet.
    pub(super) fn learn(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        static TOLD_APART_BY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = args.py();
        let by_name = kwargs.values();
        for argument in args.iter().chain(by_name.iter()) {
            if is_plain(&argument, 0) {
                continue;
            }
            let kind = key(&argument);
            if self.told(&kind).is_some() {
                continue;
            }
            let told: Option<String> = TOLD_APART_BY
                .import(py, "flask_caching._identity", "told_apart_by")?
                .call1((&argument,))?
                .extract()?;
            let told = match told.as_deref() {
                Some("repr") => Told::ByRepr,
                Some("identity") => Told::ByIdentity,
                _ => continue,
            };
            let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kinds.len() < MOST_KINDS {
                kinds.push((kind.unbind(), told));
            }
        }
        Ok(())
    }

    /// The classes, for the garbage collector; none while they are in use.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(kinds) => kinds.iter().try_for_each(|(kind, _)| visit.call(kind)),
            Err(_) => Ok(()),
        }
    }

    /// Forgets every class.
    pub(super) fn clear(&self) {
        let emptied = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(emptied);
    }

    #[inline]
    fn told(&self, kind: &Bound<'_, PyType>) -> Option<Told> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|(known, _)| kind.is(known))
            .map(|(_, told)| *told)
    }
}

/// Whether a repr may show an address. A search made for two bytes, in texts that are short as a rule.
#[inline]
fn has_address(shown: &str) -> bool {
    shown.as_bytes().windows(2).any(|pair| pair == b"0x")
}

/// The class that decides about `argument`: its own, or, where it is a class, itself.
#[inline]
fn key<'py>(argument: &Bound<'py, PyAny>) -> Bound<'py, PyType> {
    match argument.cast::<PyType>() {
        Ok(class) => class.clone(),
        Err(_) => argument.get_type(),
    }
}
