//! Plain data: what a value is made of when it can be copied without pickling it.
//!
//! An *atom* is immutable through and through (exact `str`, `bytes`, `int`, `float`, `bool`, `None`, the
//! like of `Decimal` and `date`, and tuples and frozensets of atoms): it is handed out by reference. *Plain* data is exact lists,
//! dicts, sets and tuples of plain data, in which no mutable container appears twice: a copy made
//! part by part is what a pickled copy would be. Everything else is left to pickle, which keeps the
//! identity of parts that appear twice and refuses what is too deep.
//!
//! The frozen form is private to the cache and never changed after it is made. It holds references
//! to atoms only, so it is never part of a reference cycle.

use foldhash::{HashSet, HashSetExt};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use super::immutable::is_scalar;

/// Deeper values than this are left to pickle.
const DEEPEST: u8 = 64;

/// Room for this many addresses at once, at most.
const MOST_RESERVED: usize = 1024;

/// A frozen value.
pub(super) enum Plain {
    /// Handed out by reference.
    Atom(Py<PyAny>),
    /// A list of atoms, kept as a tuple: the garbage collector does not track those.
    AtomList(Py<PyTuple>),
    List(Box<[Plain]>),
    Tuple(Box<[Plain]>),
    /// A set, kept as a frozenset.
    Set(Py<PyFrozenSet>),
    /// A dict whose values are atoms; those that are not are in `nested`, and None in `atoms`.
    Dict {
        atoms: Py<PyDict>,
        nested: Box<[(Py<PyAny>, Plain)]>,
    },
}

impl Plain {
    /// The frozen form of `value`; `None` where it is not plain data.
    pub(super) fn freeze(value: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if is_scalar(value)? {
            return Ok(Some(Self::Atom(value.clone().unbind())));
        }
        Freezer::default().freeze(value, 0)
    }

    /// A value equal to the one that was frozen, whose mutable parts are all new.
    pub(super) fn thaw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Atom(atom) => atom.bind(py).clone(),
            Self::AtomList(items) => items.bind(py).to_list().into_any(),
            Self::List(items) => PyList::new(py, thaw_all(py, items)?)?.into_any(),
            Self::Tuple(items) => PyTuple::new(py, thaw_all(py, items)?)?.into_any(),
            Self::Set(items) => py.get_type::<PySet>().call1((items,))?,
            Self::Dict { atoms, nested } => {
                let copy = atoms.bind(py).copy()?;
                for (key, value) in nested {
                    copy.set_item(key, value.thaw(py)?)?;
                }
                copy.into_any()
            }
        })
    }
}

fn thaw_all<'py>(py: Python<'py>, items: &[Plain]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    items.iter().map(|item| item.thaw(py)).collect()
}

/// One walk over a value.
#[derive(Default)]
struct Freezer {
    /// Addresses of the mutable containers met so far: one that is met again is aliased, or
    /// contains itself.
    mutable: Addresses,
    /// Addresses of immutable containers known to be atoms, so that a tuple that appears in many
    /// places is walked once.
    atoms: Addresses,
}

/// A set of addresses that allocates nothing until it is used.
#[derive(Default)]
struct Addresses(Option<HashSet<usize>>);

impl Addresses {
    /// Adds the address of `object`; whether it is new.
    fn insert(&mut self, object: &Bound<'_, PyAny>) -> bool {
        self.0
            .get_or_insert_with(HashSet::new)
            .insert(object.as_ptr().addr())
    }

    /// Makes room for a number of addresses, so that adding them does not do so again and again.
    fn reserve(&mut self, number: usize) {
        self.0
            .get_or_insert_with(HashSet::new)
            .reserve(number.min(MOST_RESERVED));
    }

    fn contains(&self, object: &Bound<'_, PyAny>) -> bool {
        self.0
            .as_ref()
            .is_some_and(|set| set.contains(&object.as_ptr().addr()))
    }
}

impl Freezer {
    fn freeze(&mut self, value: &Bound<'_, PyAny>, depth: u8) -> PyResult<Option<Plain>> {
        if self.is_atom(value, depth)? {
            return Ok(Some(Plain::Atom(value.clone().unbind())));
        }
        if depth == DEEPEST {
            return Ok(None);
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return self.freeze_list(list, depth);
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return self.freeze_dict(dict, depth);
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return Ok(self.freeze_all(tuple.iter(), depth)?.map(Plain::Tuple));
        }
        if let Ok(set) = value.cast_exact::<PySet>() {
            if !self.mutable.insert(value) {
                return Ok(None);
            }
            // The copy first: the walk over it cannot be disturbed.
            let copy = value
                .py()
                .get_type::<PyFrozenSet>()
                .call1((set,))?
                .cast_into::<PyFrozenSet>()?;
            return Ok(if self.is_atom(copy.as_any(), depth + 1)? {
                Some(Plain::Set(copy.unbind()))
            } else {
                None
            });
        }
        Ok(None)
    }

    fn freeze_list(&mut self, list: &Bound<'_, PyList>, depth: u8) -> PyResult<Option<Plain>> {
        if !self.mutable.insert(list.as_any()) {
            return Ok(None);
        }
        let items = list.to_tuple();
        let mut all_atoms = true;
        for item in &items {
            if !self.is_atom(&item, depth + 1)? {
                all_atoms = false;
                break;
            }
        }
        if all_atoms {
            return Ok(Some(Plain::AtomList(items.unbind())));
        }
        self.mutable.reserve(items.len());
        Ok(self.freeze_all(items.iter(), depth)?.map(Plain::List))
    }

    fn freeze_dict(&mut self, dict: &Bound<'_, PyDict>, depth: u8) -> PyResult<Option<Plain>> {
        if !self.mutable.insert(dict.as_any()) {
            return Ok(None);
        }
        let atoms = dict.copy()?;
        let mut nested = Vec::new();
        for (key, value) in &atoms {
            if !self.is_atom(&key, depth + 1)? {
                return Ok(None);
            }
            if self.is_atom(&value, depth + 1)? {
                continue;
            }
            match self.freeze(&value, depth + 1)? {
                Some(frozen) => nested.push((key.unbind(), frozen)),
                None => return Ok(None),
            }
        }
        for (key, _) in &nested {
            atoms.set_item(key, dict.py().None())?;
        }
        Ok(Some(Plain::Dict {
            atoms: atoms.unbind(),
            nested: nested.into(),
        }))
    }

    fn freeze_all<'py>(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: u8,
    ) -> PyResult<Option<Box<[Plain]>>> {
        items
            .map(|item| self.freeze(&item, depth + 1))
            .collect::<PyResult<Option<_>>>()
    }

    fn is_atom(&mut self, value: &Bound<'_, PyAny>, depth: u8) -> PyResult<bool> {
        if is_scalar(value)? {
            return Ok(true);
        }
        if depth >= DEEPEST {
            return Ok(false);
        }
        let is_atom = if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.atoms.contains(value) || self.are_atoms(tuple.iter(), depth)?
        } else if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
            self.atoms.contains(value) || self.are_atoms(set.iter(), depth)?
        } else {
            return Ok(false);
        };
        if is_atom {
            self.atoms.insert(value);
        }
        Ok(is_atom)
    }

    fn are_atoms<'py>(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: u8,
    ) -> PyResult<bool> {
        for item in items {
            if !self.is_atom(&item, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
