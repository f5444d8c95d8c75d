//! Plain data: what a value is made of when it can be copied without pickling it.
//!
//! An *atom* is immutable through and through (exact `str`, `bytes`, `int`, `float`, `bool`, `None`, the
//! like of `Decimal` and `date`, members of enumerations, and tuples and frozensets of atoms): it is
//! handed out by reference. *Plain* data is exact lists, dicts, sets and tuples of plain data, and
//! objects that are their class and a `__dict__` of plain data, in which nothing mutable appears twice:
//! a copy made part by part is what a pickled copy would be. Everything else is left to pickle, which
//! keeps the identity of parts that appear twice and refuses what is too deep.
//!
//! The frozen form is private to the cache and never changed after it is made. It holds references
//! to atoms and to classes that modules keep, so it is never part of a reference cycle.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use super::immutable::is_scalar;
use super::instances::{Blueprint, Named, enumeration_of, is_named};

/// Deeper values than this are left to pickle.
const DEEPEST: u8 = 64;

/// Room for this many addresses at once, at most.
const MOST_RESERVED: usize = 1024;

/// A frozen value.
pub(crate) struct Frozen {
    value: Plain,
    /// The classes of its objects that are not Python's own.
    classes: Vec<Named>,
}

impl Frozen {
    /// The frozen form of `value`; `None` where it is not plain data.
    pub(in crate::memory) fn new(value: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if is_scalar(value)? {
            return Ok(Some(Self {
                value: Plain::Atom(value.clone().unbind()),
                classes: Vec::new(),
            }));
        }
        let mut freezer = Freezer::default();
        let frozen = freezer.freeze(value, 0)?;
        Ok(frozen.map(|value| Self {
            value,
            classes: freezer.classes,
        }))
    }

    pub(in crate::memory) fn value(&self) -> &Plain {
        &self.value
    }

    /// Whether the value is an object of a class that is not Python's own.
    pub(in crate::memory) fn is_object(&self) -> bool {
        matches!(self.value, Plain::Object(..))
    }

    /// The value itself, where it can be handed out by reference for good.
    pub(in crate::memory) fn into_atom(self) -> Result<Py<PyAny>, Self> {
        match self {
            Self {
                value: Plain::Atom(atom),
                classes,
            } if classes.is_empty() => Ok(atom),
            frozen => Err(frozen),
        }
    }

    /// A value equal to the one that was frozen, whose mutable parts are all new.
    ///
    /// # Errors
    /// A class is no longer found by its name.
    pub(in crate::memory) fn thaw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        for class in &self.classes {
            class.check(py)?;
        }
        self.value.thaw(py)
    }
}

pub(in crate::memory) enum Plain {
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
    /// An object, of whose attributes it is made.
    Object(Arc<Blueprint>, Box<Plain>),
}

impl Plain {
    fn thaw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
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
            Self::Object(blueprint, attributes) => blueprint.build(attributes.thaw(py)?)?,
        })
    }
}

fn thaw_all<'py>(py: Python<'py>, items: &[Plain]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    items.iter().map(|item| item.thaw(py)).collect()
}

/// One walk over a value.
#[derive(Default)]
struct Freezer {
    /// Addresses of the mutable containers and objects met so far: one that is met again is aliased,
    /// or contains itself.
    mutable: Addresses,
    /// Addresses of immutable containers known to be atoms, so that a tuple that appears in many
    /// places is walked once.
    atoms: Addresses,
    /// By the address of a class, how its objects are made.
    blueprints: Option<HashMap<usize, Option<Arc<Blueprint>>>>,
    classes: Vec<Named>,
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
        self.freeze_object(value, depth)
    }

    fn freeze_object(&mut self, object: &Bound<'_, PyAny>, depth: u8) -> PyResult<Option<Plain>> {
        let Some(blueprint) = self.blueprint(object)? else {
            return Ok(None);
        };
        if !self.mutable.insert(object) {
            return Ok(None);
        }
        let attributes = object.getattr(intern!(object.py(), "__dict__"))?;
        let Ok(attributes) = attributes.cast_exact::<PyDict>() else {
            return Ok(None);
        };
        if !self.mutable.insert(attributes.as_any()) {
            return Ok(None);
        }
        // The iterator of a dict that another thread may change would panic.
        let attributes = attributes.copy()?;
        if !is_named(&attributes) {
            return Ok(None);
        }
        let frozen = self.freeze_items(attributes, depth + 1)?;
        Ok(frozen.map(|attributes| Plain::Object(blueprint, Box::new(attributes))))
    }

    fn blueprint(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Blueprint>>> {
        let class = object.get_type_ptr().addr();
        let known = self.blueprints.get_or_insert_with(HashMap::new);
        if let Some(blueprint) = known.get(&class) {
            return Ok(blueprint.clone());
        }
        let blueprint = Blueprint::of(object)?.map(|(blueprint, class)| {
            self.classes.push(class);
            Arc::new(blueprint)
        });
        known.insert(class, blueprint.clone());
        Ok(blueprint)
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
        self.freeze_items(dict.copy()?, depth)
    }

    /// Freezes a dict that nobody else has: a copy.
    fn freeze_items(&mut self, atoms: Bound<'_, PyDict>, depth: u8) -> PyResult<Option<Plain>> {
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
            atoms.set_item(key, atoms.py().None())?;
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
            self.atoms.contains(value) || self.is_enumeration_member(value)?
        };
        if is_atom {
            self.atoms.insert(value);
        }
        Ok(is_atom)
    }

    fn is_enumeration_member(&mut self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(class) = enumeration_of(value)? else {
            return Ok(false);
        };
        if !self.classes.contains(&class) {
            self.classes.push(class);
        }
        Ok(true)
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
