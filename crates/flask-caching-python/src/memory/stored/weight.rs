//! What a stored value takes of the memory: the sum of what `sys.getsizeof` says of its parts, each
//! counted once, in one walk over them. What other entries or the application share with it counts in
//! each: it is an estimate, from above.

use foldhash::{HashSet, HashSetExt};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAny, PyBytes, PyFrozenSet, PyTuple};

use super::Stored;
use super::immutable::is_scalar;
use super::plain::{Frozen, Plain};
use crate::pages::layout;

/// What is kept of an object that is not Python's own, or of one that does not say its size.
const REFERENCE: usize = 16;

/// What the store keeps beside a page, of what that depends on.
const GUARDS_OF_A_PAGE: usize = 4 * 64;

/// The bytes that `stored` takes. It runs no code of the application; the GIL is held already.
pub(in crate::memory) fn of(stored: &Stored) -> usize {
    Python::attach(|py| {
        let mut walk = Walk {
            py,
            seen: HashSet::new(),
        };
        let stored = match stored {
            Stored::Sealed(sealed) => &sealed.stored,
            other => other,
        };
        match stored {
            // What is sealed is none of these again.
            Stored::Sealed(_) => 0,
            Stored::Atom(atom) => {
                let atom = atom.bind(py);
                let is_page = layout::is_page(atom);
                walk.atom(atom) + if is_page { GUARDS_OF_A_PAGE } else { 0 }
            }
            Stored::Plain(frozen) => size_of::<Frozen>() + walk.plain(frozen.value()),
            Stored::Serialized(data) => walk.own(data.bind(py)),
        }
    })
}

struct Walk<'py> {
    py: Python<'py>,
    /// The addresses of what was counted.
    seen: HashSet<usize>,
}

impl Walk<'_> {
    fn plain(&mut self, value: &Plain) -> usize {
        size_of::<Plain>()
            + match value {
                Plain::Atom(atom) => self.atom(atom.bind(self.py)),
                Plain::AtomList(items) => self.atom(items.bind(self.py)),
                Plain::Set(items) => self.atom(items.bind(self.py)),
                Plain::List(items) | Plain::Tuple(items) => {
                    items.iter().map(|item| self.plain(item)).sum()
                }
                Plain::Dict { atoms, nested } => {
                    let atoms = atoms.bind(self.py);
                    let mut sum = own_size(atoms);
                    for (key, value) in atoms {
                        sum += self.atom(&key) + self.atom(&value);
                    }
                    sum + nested
                        .iter()
                        .map(|(_, value)| self.plain(value))
                        .sum::<usize>()
                }
                Plain::Object(_, attributes) => self.plain(attributes),
            }
    }

    fn atom(&mut self, atom: &Bound<'_, PyAny>) -> usize {
        if let Ok(tuple) = atom.cast_exact::<PyTuple>() {
            let own = self.own(atom);
            // Counted before: so are its parts.
            return if own == 0 {
                0
            } else {
                own + tuple.iter().map(|item| self.atom(&item)).sum::<usize>()
            };
        }
        if let Ok(set) = atom.cast_exact::<PyFrozenSet>() {
            let own = self.own(atom);
            return if own == 0 {
                0
            } else {
                own + set.iter().map(|item| self.atom(&item)).sum::<usize>()
            };
        }
        match is_scalar(atom) {
            Ok(true) => self.own(atom),
            // A member of an enumeration, which its class keeps.
            _ => REFERENCE,
        }
    }

    /// What an object takes without its parts; 0 where it was counted before.
    fn own(&mut self, object: &Bound<'_, PyAny>) -> usize {
        if let Ok(data) = object.cast_exact::<PyBytes>() {
            return data.as_bytes().len() + 2 * REFERENCE;
        }
        if self.seen.insert(object.as_ptr().addr()) {
            own_size(object)
        } else {
            0
        }
    }
}

fn own_size(object: &Bound<'_, PyAny>) -> usize {
    static GETSIZEOF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    GETSIZEOF
        .import(py, "sys", "getsizeof")
        .and_then(|getsizeof| getsizeof.call1((object,))?.extract())
        .unwrap_or(REFERENCE)
}
