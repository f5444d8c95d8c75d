//! How objects that are no plain data are told apart.
//!
//! Python decides it, in `flask_caching.keys.identity.told_apart_by`, once for the objects of each class;
//! and once for each class that is itself an argument, which is another matter than its objects.
//! Until it has, such a call takes the ordinary path.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType, PyWeakrefMethods, PyWeakrefReference};

use super::arguments::{Considered, Probe, exact, printed};
use super::data::{is_plain, is_told_by_repr};
use crate::error::unless_raised;

/// A function is called with few kinds of objects; one that is called with more is not sped up.
const MOST_KINDS: usize = 16;

/// What tells the objects of a class apart.
enum Told {
    /// Its repr, unless that shows an address.
    ByRepr,
    /// Its repr, while these attributes, which are all that it prints, are told apart by theirs.
    ByMembers(Py<PyTuple>),
    /// What its method `__caching_id__` returns.
    ByCachingId,
    ByIdentity,
    /// More than can be seen here.
    Otherwise,
}

/// What is known of the objects of a class, or of a class as an argument.
struct Kind {
    which: Which,
    /// While it is alive, its address is no other's.
    class: Py<PyWeakrefReference>,
    told: Arc<Told>,
}

/// The address of a class; and whether the class itself is meant, not its objects.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Which(usize, bool);

/// The kinds of objects that a function was called with. No class lives longer for it.
pub(super) struct Kinds(Mutex<Vec<Kind>>);

impl Kinds {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// How `argument` is looked up; `None` where its kind is not known.
    #[inline]
    pub(super) fn probe<'py>(&self, argument: &Bound<'py, PyAny>) -> PyResult<Option<Probe<'py>>> {
        let Some(told) = self.told(argument) else {
            return Ok(None);
        };
        match &*told {
            Told::ByIdentity => Ok(Some(Probe::Object(argument.clone()))),
            Told::ByRepr => Ok(printed(argument, argument.repr()?)),
            Told::ByMembers(names) => {
                for name in names.bind(argument.py()).iter_borrowed() {
                    let name = name.cast::<PyString>()?;
                    if !is_told_by_repr(&argument.getattr(&*name)?)? {
                        return Ok(None);
                    }
                }
                Ok(exact(argument, argument.repr()?))
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

    /// Asks about the kinds of the arguments that are not known yet. One that cannot be asked about,
    /// as its `__repr__` raises, stays unknown.
    ///
    /// # Errors
    /// `KeyboardInterrupt` and its like.
    pub(super) fn learn(
        &self,
        considered: &Considered,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = args.py();
        let (by_position, by_name) = considered.of(args, kwargs);
        for argument in by_position {
            unless_raised(py, self.learn_of(&argument).map(Some))?;
        }
        for (_, argument) in by_name {
            unless_raised(py, self.learn_of(&argument).map(Some))?;
        }
        Ok(())
    }

    fn learn_of(&self, argument: &Bound<'_, PyAny>) -> PyResult<()> {
        static TOLD_APART_BY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = argument.py();
        if is_plain(argument)? || is_told_by_repr(argument)? || self.told(argument).is_some() {
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
                // The table refers to such an object weakly; what cannot be, is for the ordinary path.
                Some("identity") if PyWeakrefReference::new(argument).is_ok() => Told::ByIdentity,
                _ => Told::Otherwise,
            }
        };
        let (which, class) = kind_of(argument);
        self.insert(
            py,
            Kind {
                which,
                class: PyWeakrefReference::new(&class)?.unbind(),
                told: Arc::new(told),
            },
        );
        Ok(())
    }

    /// Keeps a kind, in place of those whose classes are gone.
    fn insert(&self, py: Python<'_>, kind: Kind) {
        // A class that was not gone a moment ago may be dropped with its last reference.
        let known: Vec<_> = self.lock().drain(..).collect();
        let (mut kept, gone): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|known| known.which != kind.which && known.is_alive(py));
        if kept.len() < MOST_KINDS {
            kept.push(kind);
        }
        let unused = std::mem::replace(&mut *self.lock(), kept);
        drop((gone, unused));
    }

    /// For the garbage collector: nothing that could be part of a cycle.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as its owner visits others"
    )]
    pub(super) fn traverse(&self, _visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }

    /// Forgets every kind.
    pub(super) fn clear(&self) {
        let emptied = std::mem::take(&mut *self.lock());
        drop(emptied);
    }

    #[inline]
    fn told(&self, argument: &Bound<'_, PyAny>) -> Option<Arc<Told>> {
        let (which, class) = kind_of(argument);
        self.lock()
            .iter()
            // What is upgraded is the argument's class: not dropped with its last reference here.
            .find(|known| {
                known.which == which
                    && known
                        .class
                        .bind(argument.py())
                        .upgrade()
                        .is_some_and(|alive| alive.is(&class))
            })
            .map(|known| Arc::clone(&known.told))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    fn is_alive(&self, py: Python<'_>) -> bool {
        self.class.bind(py).upgrade().is_some()
    }
}

/// The kind of `argument`, and the class that decides about it: its own, or, where it is a class,
/// itself.
#[inline]
fn kind_of<'py>(argument: &Bound<'py, PyAny>) -> (Which, Bound<'py, PyType>) {
    if let Ok(class) = argument.cast::<PyType>() {
        (Which(class.as_ptr().addr(), true), class.clone())
    } else {
        let class = argument.get_type();
        (Which(class.as_ptr().addr(), false), class)
    }
}
