//! How objects that are no plain data are told apart.
//!
//! Python decides it, in `flask_caching.keys.identity.identified_by`, once for the objects of each class;
//! and once for each class that is itself an argument, which is another matter than its objects.
//! Until it has, such a call takes the ordinary path.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::data::{is_exact, is_plain, is_telling, is_told_by_repr};
use super::part::{Itself, Part};

/// A function is called with few kinds of objects; one that is called with more is not sped up.
const MOST_KINDS: usize = 16;

/// What tells the objects of a class apart.
enum IdentifiedBy {
    /// Their repr, unless that shows an address.
    Repr,
    /// Their repr, while these attributes, which are all that it prints, are told apart by theirs.
    Members(Py<PyTuple>),
    /// What their method `__caching_id__` returns.
    CachingId,
    /// That each is itself.
    Identity,
    /// More than can be seen here.
    More,
}

/// What is known of the objects of a class, or of a class as an argument.
struct KnownClass {
    class: Itself,
    /// Whether the class itself is meant, not its objects.
    is_class: bool,
    identified_by: Arc<IdentifiedBy>,
}

/// The kinds of objects that a function was called with. No class lives longer for it.
#[derive(Default)]
pub(crate) struct Kinds(Mutex<Vec<KnownClass>>);

impl Kinds {
    /// What `argument` is told apart by; `None` where its kind is not known.
    #[inline]
    pub(crate) fn part(&self, argument: &Bound<'_, PyAny>) -> PyResult<Option<Part>> {
        let py = argument.py();
        let Some((identified_by, class)) = self.known(argument) else {
            return Ok(None);
        };
        let text = match &*identified_by {
            IdentifiedBy::Identity => return Ok(Some(Part::Object(Itself::of(argument)?))),
            IdentifiedBy::More => return Ok(None),
            IdentifiedBy::Repr => Some(argument.repr()?).filter(|text| is_telling(text, argument)),
            IdentifiedBy::Members(names) => {
                for name in names.bind(py).iter_borrowed() {
                    let name = name.cast::<PyString>()?;
                    if !is_told_by_repr(&argument.getattr(&*name)?)? {
                        return Ok(None);
                    }
                }
                Some(argument.repr()?).filter(is_exact)
            }
            IdentifiedBy::CachingId => {
                let id = argument.call_method0(intern!(py, "__caching_id__"))?;
                id.cast_into_exact::<PyString>().ok()
            }
        };
        Ok(text.map(|text| Part::Printed(text.unbind(), class)))
    }

    /// Asks about the kind of an argument, unless that is known.
    pub(crate) fn learn(&self, argument: &Bound<'_, PyAny>) -> PyResult<()> {
        static TOLD_APART_BY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = argument.py();
        if is_plain(argument)? || is_told_by_repr(argument)? || self.known(argument).is_some() {
            return Ok(());
        }
        let told = TOLD_APART_BY
            .import(py, "flask_caching.keys.identity", "identified_by")?
            .call1((argument,))?;
        let identified_by = if let Ok(names) = told.cast::<PyTuple>() {
            IdentifiedBy::Members(names.clone().unbind())
        } else {
            match told.extract::<Option<String>>()?.as_deref() {
                Some("repr") => IdentifiedBy::Repr,
                Some("caching_id") => IdentifiedBy::CachingId,
                // The table refers to such an object weakly; what cannot be, is for whoever makes the key.
                Some("identity") if Itself::of(argument).is_ok() => IdentifiedBy::Identity,
                _ => IdentifiedBy::More,
            }
        };
        let (class, is_class) = kind_of(argument);
        let kind = KnownClass {
            class: Itself::of(&class)?,
            is_class,
            identified_by: Arc::new(identified_by),
        };
        self.insert(py, &class, kind);
        Ok(())
    }

    /// Keeps a kind, in place of those whose classes are gone.
    fn insert(&self, py: Python<'_>, class: &Bound<'_, PyType>, kind: KnownClass) {
        // A class that was not gone a moment ago may be dropped with its last reference.
        let known: Vec<_> = self.lock().drain(..).collect();
        let is_other =
            |known: &KnownClass| known.is_class != kind.is_class || !known.class.is_object(class);
        let (mut kept, gone): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|known| is_other(known) && known.class.is_alive(py));
        if kept.len() < MOST_KINDS {
            kept.push(kind);
        }
        let unused = std::mem::replace(&mut *self.lock(), kept);
        drop((gone, unused));
    }

    /// Forgets every kind.
    pub(crate) fn clear(&self) {
        let emptied = std::mem::take(&mut *self.lock());
        drop(emptied);
    }

    /// What is known of an argument's kind, and its class.
    #[inline]
    fn known(&self, argument: &Bound<'_, PyAny>) -> Option<(Arc<IdentifiedBy>, Itself)> {
        let (class, is_class) = kind_of(argument);
        self.lock()
            .iter()
            .find(|known| known.is_class == is_class && known.class.is_object(&class))
            .map(|known| {
                let identified_by = Arc::clone(&known.identified_by);
                (identified_by, known.class.clone_ref(argument.py()))
            })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KnownClass>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The class that decides about `argument`: its own, or, where it is a class, itself; and whether it is.
#[inline]
fn kind_of<'py>(argument: &Bound<'py, PyAny>) -> (Bound<'py, PyType>, bool) {
    match argument.cast::<PyType>() {
        Ok(class) => (class.clone(), true),
        Err(_) => (argument.get_type(), false),
    }
}
