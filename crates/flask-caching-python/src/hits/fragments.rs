//! Hits of template fragments.

use std::hash::{BuildHasher, Hash, Hasher};

use flask_caching_engine::backend::memory::Handle;
use foldhash::fast::FixedState;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use smallvec::SmallVec;

use super::arguments::same_text;
use super::place::{Guard, Way};
use super::table::Table;
use crate::error::unless_raised;
use crate::memory::MemoryBackend;

/// The proxy that a hit of a fragment goes past.
const PROXIES: [&str; 1] = ["get"];

/// The texts that a fragment is found by; as a rule its mark, its name and a key or two.
struct Texts<'py>(SmallVec<[Bound<'py, PyString>; 4]>);

/// The table of the fragments of one `Cache`; see the [module](super).
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct FragmentHits {
    way: Way,
    /// Stands for the timeout of a tag that has none.
    no_timeout: String,
    table: Table<Box<[Py<PyString>]>, Handle>,
}

#[pymethods]
impl FragmentHits {
    /// The table of the fragments of `cache`. `originals`: the class whose proxies nobody has
    /// replaced. `no_timeout`: what stands for the timeout of a tag that has none.
    #[new]
    fn new(
        cache: &Bound<'_, PyAny>,
        guard: Py<Guard>,
        originals: &Bound<'_, PyType>,
        no_timeout: String,
    ) -> PyResult<Self> {
        Ok(Self {
            way: Way::new(cache, guard, originals, &PROXIES)?,
            no_timeout,
            table: Table::new(),
        })
    }

    /// The fragment of a tag, None where it is not in the table. `tag`: its timeout, its name, a list of
    /// its keys, and what tells it apart where it has no name. `extensions`: those of the active
    /// application, or None.
    fn get<'py>(
        &self,
        tag: &Bound<'py, PyTuple>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        unless_raised(extensions.py(), self.find(tag, extensions))
    }

    /// Remembers that a tag was answered from `backend` under `key`.
    fn remember(
        &self,
        tag: &Bound<'_, PyTuple>,
        backend: &Bound<'_, MemoryBackend>,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let Some(texts) = self.read(tag)? else {
            return Ok(());
        };
        let native = backend.get();
        if let Some((value, false)) = native.handle(key)? {
            let known = texts.0.iter().map(|text| text.clone().unbind()).collect();
            self.table
                .insert(texts.hash()?, native.serial(), known, value, |known| {
                    texts.are(known)
                });
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.way.traverse(&visit)
    }

    fn __clear__(&self) {
        self.table.clear();
    }
}

impl FragmentHits {
    #[inline]
    fn find<'py>(
        &self,
        tag: &Bound<'py, PyTuple>,
        extensions: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = extensions.py();
        let Some(backend) = self.way.backend(py, extensions)? else {
            return Ok(None);
        };
        let Some(texts) = self.read(tag)? else {
            return Ok(None);
        };
        let native = backend.get();
        let handle = self.table.find(
            texts.hash()?,
            native.serial(),
            |known| texts.are(known),
            |handle| *handle,
        );
        handle.map_or(Ok(None), |handle| native.hit(py, &[], handle))
    }

    /// The texts a tag is found by; `None` where its timeout may forbid a short cut, as that of a tag
    /// that deletes does, or its name or one of its keys may have another text next time.
    #[inline]
    fn read<'py>(&self, tag: &Bound<'py, PyTuple>) -> PyResult<Option<Texts<'py>>> {
        let timeout = tag.get_borrowed_item(0)?;
        let is_usual = match timeout.cast_exact::<PyString>() {
            Ok(timeout) => timeout == self.no_timeout.as_str(),
            Err(_) => {
                is_number(&timeout)
                    || timeout.is_none()
                    || timeout.is_exact_instance_of::<PyDelta>()
            }
        };
        if !is_usual {
            return Ok(None);
        }
        let (name, keys, mark) = (tag.get_item(1)?, tag.get_item(2)?, tag.get_item(3)?);
        let mut texts = SmallVec::new();
        for part in [mark, name].into_iter().chain(keys.cast::<PyList>()?) {
            match part.cast_into_exact::<PyString>() {
                Ok(text) => texts.push(text),
                Err(error) => {
                    let part = error.into_inner();
                    if !(is_number(&part) || part.is_none()) {
                        return Ok(None);
                    }
                    // An integer may have more digits than Python prints.
                    let Some(text) = unless_raised(part.py(), part.str().map(Some))? else {
                        return Ok(None);
                    };
                    texts.push(text);
                }
            }
        }
        Ok(Some(Texts(texts)))
    }
}

impl Texts<'_> {
    #[inline]
    fn hash(&self) -> PyResult<u64> {
        let mut hasher = FixedState::default().build_hasher();
        for text in &self.0 {
            text.hash()?.hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    #[inline]
    fn are(&self, known: &[Py<PyString>]) -> bool {
        self.0.len() == known.len()
            && self
                .0
                .iter()
                .zip(known)
                .all(|(one, other)| same_text(one, other))
    }
}

#[inline]
fn is_number(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
}
