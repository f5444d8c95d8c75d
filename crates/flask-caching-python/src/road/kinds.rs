//! How objects that are no plain data are told apart.
//!
//! Python decides it, in `flask_caching.keys.identity.told_apart_by`, once for each class (for a class
//! that is itself an argument: once for that class). Until it has, such a call takes the ordinary
//! path.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::arguments::{Considered, Probe, printed};
use super::data::{is_plain, is_told_by_repr};

/// A function is called with few kinds of objects; one that is called with more is not sped up.
const MOST_KINDS: usize = 16;

/// What tells the objects of a class apart.
enum Told {
    ByRepr,
    /// Its repr, while these attributes, which are all that it prints, are told apart by theirs.
    ByMembers(Py<PyTuple>),
    /// What its method `__caching_id__` returns.
    ByCachingId,
    ByIdentity,
    /// More than can be seen here.
    Otherwise,
}

/// The classes whose objects a function was called with.
pub(super) struct Kinds(Mutex<Vec<(Py<PyType>, Arc<Told>)>>);

impl Kinds {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// How `argument` is looked up; `None` where its class is not known.
    #[inline]
    pub(super) fn probe<'py>(&self, argument: &Bound<'py, PyAny>) -> PyResult<Option<Probe<'py>>> {
        let Some(told) = self.told(&key(argument)) else {
            return Ok(None);
        };
        match &*told {
            Told::ByIdentity => Ok(Some(Probe::Object(argument.clone()))),
            Told::ByRepr => Ok(printed(argument, argument.repr()?)),
            Told::ByMembers(names) => {
                for name in names.bind(argument.py()).iter_borrowed() {
                    let name = name.cast::<PyString>()?;
                    if !is_told_by_repr(&argument.getattr(&*name)?) {
                        return Ok(None);
                    }
                }
                Ok(printed(argument, argument.repr()?))
            }
            Told::ByCachingId => {
                let id = argument.call_method0(intern!(argument.py(), "__caching_id__"))?;
                match id.cast_into_exact::<PyString>() {
                    Ok(text) => Ok(Some(Probe::Printed(text, argument.get_type()))),
                    Err(_) => Ok(None),
                }
            }
            Told::Otherwise => Ok(None),
        }
    }

    /// Asks about the classes of the arguments that are not known yet.
    pub(super) fn learn(
        &self,
        considered: &Considered,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let (by_position, by_name) = considered.of(args, kwargs);
        for argument in by_position {
            self.learn_of(&argument)?;
        }
        for (_, argument) in by_name {
            self.learn_of(&argument)?;
        }
        Ok(())
    }

    fn learn_of(&self, argument: &Bound<'_, PyAny>) -> PyResult<()> {
        static TOLD_APART_BY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = argument.py();
        if is_plain(argument) || is_told_by_repr(argument) {
            return Ok(());
        }
        let kind = key(argument);
        if self.told(&kind).is_some() {
            return Ok(());
        }
        let told = TOLD_APART_BY
            .import(py, "flask_caching.keys.identity", "told_apart_by")?
            .call1((argument,))?;
        let told = if let Ok(names) = told.cast::<PyTuple>() {
            Told::ByMembers(names.clone().unbind())
        } else {
            match told.extract::<Option<String>>()?.as_deref() {
                Some("repr") => Told::ByRepr,
                Some("caching_id") => Told::ByCachingId,
                Some("identity") => Told::ByIdentity,
                _ => Told::Otherwise,
            }
        };
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() < MOST_KINDS {
            kinds.push((kind.unbind(), Arc::new(told)));
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
    fn told(&self, kind: &Bound<'_, PyType>) -> Option<Arc<Told>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|(known, _)| kind.is(known))
            .map(|(_, told)| Arc::clone(told))
    }
}

/// The class that decides about `argument`: its own, or, where it is a class, itself.
#[inline]
fn key<'py>(argument: &Bound<'py, PyAny>) -> Bound<'py, PyType> {
    match argument.cast::<PyType>() {
        Ok(class) => class.clone(),
        Err(_) => argument.get_type(),
    }
}
