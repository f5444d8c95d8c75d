//! What the calls of one function are told apart by.

mod arguments;
mod data;
mod kinds;
mod part;
mod recipe;
mod request;

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};
use smallvec::SmallVec;

pub(super) use self::part::Part;
pub(super) use self::recipe::Recipe;
pub(super) use self::request::Request;

use self::arguments::Arguments;
use self::kinds::Kinds;
use self::request::{RequestParts, read_fragment};
use super::page::read_page;
use crate::error::unless_raised;
use crate::pages::{PageForm, PageRule};

/// A call as the decorated function hands it over.
pub(super) struct Call<'a, 'py> {
    pub(super) args: &'a Bound<'py, PyTuple>,
    pub(super) kwargs: &'a Bound<'py, PyDict>,
    /// The `extensions` of the active application; None: of the one the cache was last set up for. To
    /// be asked for only on the quick way.
    pub(super) extensions: Option<&'a Bound<'py, PyAny>>,
    pub(super) request: Option<Request<'a, 'py>>,
}

impl<'a, 'py> Call<'a, 'py> {
    /// A call of these arguments that goes the whole way.
    pub(super) fn of(args: &'a Bound<'py, PyTuple>, kwargs: &'a Bound<'py, PyDict>) -> Self {
        Self {
            args,
            kwargs,
            extensions: None,
            request: None,
        }
    }

    /// This call, with what the quick way needs to answer it: the application's extensions, and the request.
    pub(super) fn asked_in(
        self,
        extensions: &'a Bound<'py, PyAny>,
        request: Option<Request<'a, 'py>>,
    ) -> Self {
        Self {
            extensions: Some(extensions),
            request,
            ..self
        }
    }
}

/// Calls of more parts than this cost an allocation.
const USUAL: usize = 6;

/// All parts of a call, in their order. It is large, and filled where it is used.
#[derive(Default)]
pub(super) struct Parts {
    list: SmallVec<[Part; USUAL]>,
    pub(super) hash: u64,
}

/// Takes the parts of a call, one after the other.
pub(super) struct Reader<'a, 'py> {
    py: Python<'py>,
    hasher: foldhash::fast::FoldHasher<'static>,
    parts: &'a mut Parts,
}

impl Parts {
    #[inline]
    pub(super) fn reader<'py>(&mut self, py: Python<'py>) -> Reader<'_, 'py> {
        Reader {
            py,
            hasher: FixedState::default().build_hasher(),
            parts: self,
        }
    }

    /// The parts; before an argument that is given by name, the name.
    pub(super) fn list(&self) -> &[Part] {
        &self.list
    }

    /// The parts as the table keeps them.
    pub(super) fn into_list(self) -> Box<[Part]> {
        self.list.into_boxed_slice()
    }
}

impl Reader<'_, '_> {
    #[inline]
    pub(super) fn take(&mut self, part: Part) -> PyResult<()> {
        part.hash_into(self.py, &mut self.hasher)?;
        self.parts.list.push(part);
        Ok(())
    }

    /// All parts were taken.
    #[inline]
    pub(super) fn finish(self) {
        self.parts.hash = self.hasher.finish();
    }
}

/// What calls are told apart by, as the face says it.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct CallParts {
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Their arguments.
    Arguments(Arguments),
    /// The active request.
    Request(RequestParts),
    /// The active request, as a page.
    Page(Py<PageRule>, Py<PageForm>),
    /// A tag of a template; what stands for the timeout of one that has none.
    Fragment(String),
    /// The key that a function of the application makes of the arguments.
    Key(Py<PyAny>),
    /// Nothing that can be seen without making the key.
    Unknown,
}

#[pymethods]
impl CallParts {
    /// Calls are told apart by their arguments.
    ///
    /// - `left_out_places`, `left_out_names`: the arguments that are left out of keys.
    /// - `changeable`: the defaults that may be another value by the next call.
    /// - `recipe`: how keys are made of plain arguments by position, where no option has a say.
    #[staticmethod]
    #[pyo3(signature = (left_out_places, left_out_names, changeable, recipe = None))]
    fn arguments(
        left_out_places: Vec<usize>,
        left_out_names: Vec<Py<PyString>>,
        changeable: Vec<Py<PyAny>>,
        recipe: Option<Recipe>,
    ) -> Self {
        Self {
            kind: Kind::Arguments(Arguments {
                left_out_places,
                left_out_names,
                changeable,
                kinds: Kinds::default(),
                recipe,
            }),
        }
    }

    /// Calls are told apart by the active request's path, its query string, or neither.
    #[staticmethod]
    fn request(path: bool, query: bool) -> Self {
        Self {
            kind: Kind::Request(RequestParts { path, query }),
        }
    }

    /// Calls are requests that are answered by pages of this `rule`, which are made as `form` says.
    #[staticmethod]
    fn page(rule: Py<PageRule>, form: Py<PageForm>) -> Self {
        Self {
            kind: Kind::Page(rule, form),
        }
    }

    /// Calls are tags of templates; `no_timeout` stands for the timeout of one that has none.
    #[staticmethod]
    fn fragment(no_timeout: String) -> Self {
        Self {
            kind: Kind::Fragment(no_timeout),
        }
    }

    /// Calls are told apart by the keys that `make_key` returns, given their arguments.
    #[staticmethod]
    fn key(make_key: Py<PyAny>) -> Self {
        Self {
            kind: Kind::Key(make_key),
        }
    }

    /// Calls are told apart by their keys alone.
    #[staticmethod]
    fn unknown() -> Self {
        Self {
            kind: Kind::Unknown,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.kind {
            Kind::Arguments(arguments) => arguments.traverse(&visit),
            Kind::Key(make_key) => visit.call(make_key),
            Kind::Page(rule, _) => visit.call(rule),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Kind::Arguments(arguments) = &self.kind {
            arguments.kinds.clear();
        }
    }
}

impl Kind {
    /// How a key is made natively of arguments.
    pub(super) fn recipe(&self) -> Option<&Recipe> {
        match self {
            Self::Arguments(arguments) => arguments.recipe.as_ref(),
            _ => None,
        }
    }

    /// Reads what a call is found by; `false` where it cannot be told apart here.
    #[inline]
    pub(super) fn read(&self, call: &Call<'_, '_>, parts: &mut Parts) -> PyResult<bool> {
        match self {
            Self::Arguments(arguments) => arguments.read(call, parts),
            Self::Request(request) => request.read(call.args.py(), call.request.as_ref(), parts),
            Self::Page(rule, _) => read_page(rule.bind(call.args.py()).get(), call, parts),
            Self::Fragment(no_timeout) => read_fragment(call.args, no_timeout, parts),
            Self::Key(..) | Self::Unknown => Ok(false),
        }
    }

    /// As [`read`](Self::read), after what has to be known of the arguments' classes was asked for. An argument that
    /// raises an exception cannot be told apart: whoever makes the key meets it, too.
    pub(super) fn learn(&self, call: &Call<'_, '_>, parts: &mut Parts) -> PyResult<bool> {
        if let Self::Arguments(arguments) = self {
            arguments.learn(call)?;
        }
        let read = self.read(call, parts).map(Some);
        Ok(unless_raised(call.args.py(), read)?.unwrap_or(false))
    }
}

/// The attribute `make_cache_key` of a decorated function, which an application may replace.
pub(super) struct KeyAttribute {
    /// The function's attributes.
    attributes: Py<PyDict>,
    original: Option<Py<PyAny>>,
}

impl KeyAttribute {
    /// That of a function with `attributes`, in which nobody has replaced it yet.
    pub(super) fn new(attributes: &Bound<'_, PyDict>) -> PyResult<Self> {
        let original = attributes.get_item(intern!(attributes.py(), "make_cache_key"))?;
        Ok(Self {
            attributes: attributes.clone().unbind(),
            original: original.map(Bound::unbind),
        })
    }

    #[inline]
    pub(super) fn is_original(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(original) = &self.original else {
            return Ok(true);
        };
        let current = self
            .attributes
            .bind(py)
            .get_item(intern!(py, "make_cache_key"))?;
        Ok(current.is_some_and(|current| current.is(original)))
    }

    /// The function's timeout as it stands there.
    pub(super) fn timeout<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.attributes
            .bind(py)
            .get_item(intern!(py, "cache_timeout"))
    }

    /// The function's timeout where it is a number of seconds or None; `None` where it takes a closer look.
    #[inline]
    pub(super) fn plain_timeout<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.timeout(py)?.filter(|timeout| {
            timeout.is_none()
                || timeout.is_exact_instance_of::<PyInt>()
                || timeout.is_exact_instance_of::<PyFloat>()
        }))
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.attributes)?;
        visit.call(self.original.as_ref())
    }
}
