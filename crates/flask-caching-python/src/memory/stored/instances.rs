//! Objects of classes that pickle copies without running a line of them: it makes a new object and
//! fills its `__dict__`. And members of enumerations, of which it makes no second one.

use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::error::unless_raised;

/// What a class can define to have a say in how its objects are pickled and made anew.
const HOOKS: [&str; 10] = [
    "__class__",
    "__getattr__",
    "__getattribute__",
    "__getnewargs__",
    "__getnewargs_ex__",
    "__getstate__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__setstate__",
];

/// The protocol whose rules of reduction are asked; those of 2 and later are the same.
const PROTOCOL: u8 = 4;

/// A class that pickle writes as its name.
pub(in crate::memory) struct Named {
    class: Py<PyType>,
    module: Py<PyAny>,
    /// The names that lead from the module to the class.
    path: Box<[Py<PyString>]>,
}

impl Named {
    /// `None`: the class is not found by its name, or somebody registered another way to pickle its
    /// objects.
    fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Self>> {
        static DISPATCH_TABLE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
        let py = class.py();
        let dispatched = DISPATCH_TABLE.import(py, "copyreg", "dispatch_table")?;
        if dispatched.contains(class)? || dispatched.contains(class.get_type())? {
            return Ok(None);
        }
        let path = class.qualname()?;
        let path = path.to_str()?.split('.');
        let named = Self {
            class: class.clone().unbind(),
            module: class.getattr(intern!(py, "__module__"))?.unbind(),
            path: path
                .map(|name| PyString::intern(py, name).unbind())
                .collect(),
        };
        Ok(named.is_found(py)?.then_some(named))
    }

    /// Whether the name still leads to the class.
    fn is_found(&self, py: Python<'_>) -> PyResult<bool> {
        static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
        let modules = MODULES.import(py, "sys", "modules")?;
        let Some(mut found) = modules.get_item(&self.module)? else {
            return Ok(false);
        };
        for name in &self.path {
            match found.getattr_opt(name)? {
                Some(next) => found = next,
                None => return Ok(false),
            }
        }
        Ok(found.is(&self.class))
    }

    /// # Errors
    /// The class was renamed or replaced since: pickle, too, would find no or another one.
    pub(in crate::memory) fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_found(py)? {
            return Ok(());
        }
        Err(PyAttributeError::new_err(format!(
            "{} is not what it was when the value was stored",
            self.class.bind(py).fully_qualified_name()?
        )))
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.class.is(&other.class)
    }
}

/// How objects of one class are made.
pub(in crate::memory) struct Blueprint {
    /// The class alone, as `object.__new__` is given it.
    arguments: Py<PyTuple>,
    /// Sets `__dict__` where the class has a `__setattr__` of its own (a frozen dataclass).
    set_dict: Option<Py<PyAny>>,
}

impl Blueprint {
    /// The blueprint of the class of `object`; `None` where its objects are left to pickle.
    pub(in crate::memory) fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<(Self, Named)>> {
        unless_raised(object.py(), Self::try_of(object))
    }

    fn try_of(object: &Bound<'_, PyAny>) -> PyResult<Option<(Self, Named)>> {
        let class = object.get_type();
        let Some(set_dict) = set_dict_of(&class)? else {
            return Ok(None);
        };
        let Some(named) = Named::of(&class)? else {
            return Ok(None);
        };
        if !is_reduced_to_its_dict(object)? {
            return Ok(None);
        }
        let blueprint = Self {
            arguments: PyTuple::new(class.py(), [&class])?.unbind(),
            set_dict: has_own(&class, "__setattr__")?.then(|| set_dict.unbind()),
        };
        Ok(Some((blueprint, named)))
    }

    /// A new object with the attributes `dict`, which becomes the object's own.
    pub(in crate::memory) fn build<'py>(
        &self,
        dict: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = dict.py();
        let new = NEW.get_or_try_init(py, || {
            let new = py.get_type::<PyAny>().getattr("__new__")?;
            Ok::<_, PyErr>(new.unbind())
        })?;
        let object = new.bind(py).call1(self.arguments.bind(py))?;
        match &self.set_dict {
            None => object.setattr(intern!(py, "__dict__"), dict)?,
            Some(set_dict) => drop(set_dict.bind(py).call1((&object, dict))?),
        }
        Ok(object)
    }
}

/// The class of `object`, where pickle gives `object` itself back: a member of an enumeration, found
/// by its name or value.
pub(in crate::memory) fn enumeration_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Named>> {
    unless_raised(object.py(), try_enumeration_of(object))
}

fn try_enumeration_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Named>> {
    static ENUM_TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static GETATTR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let class = object.get_type();
    if !class
        .get_type()
        .is(ENUM_TYPE.import(py, "enum", "EnumType")?)
    {
        return Ok(None);
    }
    let Ok((find, arguments)) = reduce(object)?.extract::<(Bound<'_, PyAny>, Bound<'_, PyTuple>)>()
    else {
        return Ok(None);
    };
    if !find.is(&class) && !find.is(GETATTR.import(py, "builtins", "getattr")?) {
        return Ok(None);
    }
    if find.call1(arguments)?.is(object) {
        Named::of(&class)
    } else {
        Ok(None)
    }
}

/// What sets `__dict__` of an object of `class`; `None` where the class has hooks or slots.
fn set_dict_of<'py>(class: &Bound<'py, PyType>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static GETSET: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NAMES: PyOnceLock<[Py<PyString>; HOOKS.len()]> = PyOnceLock::new();
    let py = class.py();
    let hooks = NAMES.get_or_init(py, || HOOKS.map(|hook| PyString::intern(py, hook).unbind()));
    let mut descriptor = None;
    for base in class.mro() {
        if base.is(py.get_type::<PyAny>()) {
            break;
        }
        let members = base.getattr(intern!(py, "__dict__"))?;
        for hook in hooks {
            if members.contains(hook)? {
                return Ok(None);
            }
        }
        let slots = intern!(py, "__slots__");
        if members.contains(slots)? && members.get_item(slots)?.is_truthy()? {
            return Ok(None);
        }
        let dict = intern!(py, "__dict__");
        if descriptor.is_none() && members.contains(dict)? {
            descriptor = Some(members.get_item(dict)?);
        }
    }
    let getset = GETSET.import(py, "types", "GetSetDescriptorType")?;
    match descriptor {
        Some(descriptor) if descriptor.get_type().is(getset) => {
            descriptor.getattr(intern!(py, "__set__")).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether `class` has something else than `object` under `name`.
fn has_own(class: &Bound<'_, PyType>, name: &str) -> PyResult<bool> {
    let inherited = class.py().get_type::<PyAny>().getattr(name)?;
    Ok(!class.getattr(name)?.is(&inherited))
}

/// Whether pickle reduces `object` to its class and its `__dict__`.
fn is_reduced_to_its_dict(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static NEWOBJ: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    type Reduced<'py> = (
        Bound<'py, PyAny>,
        (Bound<'py, PyAny>,),
        Bound<'py, PyAny>,
        Option<Bound<'py, PyAny>>,
        Option<Bound<'py, PyAny>>,
    );
    let py = object.py();
    let Ok((rebuild, (class,), state, None, None)) = reduce(object)?.extract::<Reduced<'_>>()
    else {
        return Ok(false);
    };
    let dict = object.getattr(intern!(py, "__dict__"))?;
    Ok(rebuild.is(NEWOBJ.import(py, "copyreg", "__newobj__")?)
        && class.is(object.get_type())
        && (state.is_none() || state.is(dict)))
}

fn reduce<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    object.call_method1(intern!(object.py(), "__reduce_ex__"), (PROTOCOL,))
}

/// Whether the keys of `dict`, a copy of the attributes of an object, are names, and none overrides a
/// hook.
pub(in crate::memory) fn is_named(dict: &Bound<'_, PyDict>) -> bool {
    dict.iter().all(|(key, _)| {
        key.cast_exact::<PyString>()
            .is_ok_and(|name| name.to_str().is_ok_and(|name| !name.starts_with("__")))
    })
}
