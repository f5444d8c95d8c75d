//! The versions that are part of a key: read, made where they are missing, and the value under the key.

use flask_caching_engine::key;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyString, PyTuple};

use super::parts::KeyAttribute;
use super::port::{GET, GET_MANY, VERSION_WRITES};
use super::turn::{Access, Open, Reading, Role, Version};
use crate::memory::answers_of_copies;
use crate::values::missing::is_missing;

/// A version that no entry was stored under yet.
#[pyfunction]
pub(crate) fn new_version() -> String {
    key::new_version()
}

/// The key that stands for all tags: as `flask_caching.keys.tags.EPOCH`.
const EPOCH: &str = "_tags";

/// `flask_caching.calls.options.Description`, which says what the fields are.
#[derive(FromPyObject)]
struct Description<'py> {
    key: Py<PyAny>,
    versions: Bound<'py, PyTuple>,
    timeout: Bound<'py, PyAny>,
    is_read_only: bool,
    tags: Bound<'py, PyTuple>,
}

impl Open {
    /// Takes over what the policy says of the call.
    pub(super) fn take_description(&mut self, description: &Bound<'_, PyAny>) -> PyResult<()> {
        let description: Description<'_> = description.extract()?;
        self.versions.clear();
        for name in description.versions.iter_borrowed() {
            self.versions.push(Version::named(&name, Role::Key)?);
        }
        for name in description.tags.iter_borrowed() {
            let is_epoch = name.cast::<PyString>()?.to_str()? == EPOCH;
            let role = if is_epoch { Role::Epoch } else { Role::Tag };
            self.versions.push(Version::named(&name, role)?);
        }
        self.key = description.key;
        self.is_read_only = description.is_read_only;
        let timeout = description.timeout;
        self.timeout = (!is_missing(&timeout)).then(|| timeout.unbind());
        Ok(())
    }

    /// Reads the versions, makes those that are missing, and with them the key.
    ///
    /// # Errors
    /// Of the backend: what it was to do.
    pub(super) fn read_versions(
        &mut self,
        py: Python<'_>,
        attributes: &KeyAttribute,
    ) -> Result<(), (PyErr, Access)> {
        if self.versions.is_empty() {
            return Ok(());
        }
        let reading = |error| (error, Access::Reading);
        let storing = |error| (error, Access::Storing);
        if let Some(memory) = self.port.memory(py, GET_MANY) {
            for version in &mut self.versions {
                let found = memory
                    .get()
                    .find_text(version.name.bind(py))
                    .map_err(reading)?;
                (version.text, version.guard) =
                    found.map(|(text, guard)| (text.unbind(), guard)).unzip();
            }
        } else {
            self.ask_for_versions(py).map_err(reading)?;
        }
        if self.versions.iter().any(|version| version.text.is_none()) {
            let timeout = attributes.timeout(py).map_err(storing)?;
            self.make_versions(py, timeout.as_ref()).map_err(storing)?;
        }
        self.complete_key(py).map_err(reading)
    }

    /// Asks the port for the versions; where each question waits for a server, for the value in the same
    /// breath, under the key it has if the versions are still the last ones seen.
    fn ask_for_versions(&mut self, py: Python<'_>) -> PyResult<()> {
        let of_key = self.names(py, |it| it.role == Role::Key)?;
        let of_tags = self.names(py, |it| it.role != Role::Key)?;
        let asked = self.ask(intern!(py, "read_versions"), (&self.key, of_key, of_tags))?;
        let (texts, guess, value): (Bound<'_, PyList>, Option<Py<PyAny>>, Py<PyAny>) =
            asked.extract()?;
        for (at, version) in self.versions.iter_mut().enumerate() {
            let text = texts.get_item(at)?;
            version.text = text.cast_into_exact::<PyString>().ok().map(Bound::unbind);
        }
        if let Some(guess) = guess {
            self.prefetched = Some((guess, value));
        }
        Ok(())
    }

    /// Makes the versions that were not found; another process may be faster.
    fn make_versions(
        &mut self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if self.make_natively(py, timeout)? {
            return Ok(());
        }
        let missing = self.names(py, |version| version.text.is_none())?;
        let made = self.ask(intern!(py, "make_versions"), (missing, timeout))?;
        let (texts, until): (Bound<'_, PyTuple>, _) = made.extract()?;
        self.made_until = Some(until);
        let mut texts = texts.iter();
        for version in &mut self.versions {
            if version.text.is_none()
                && let Some(text) = texts.next()
            {
                version.text = Some(text.cast_into::<PyString>()?.unbind());
                version.is_new = true;
            }
        }
        Ok(())
    }

    /// Makes the missing versions in the in-process store, where nobody can be faster: this thread has the GIL. `false`
    /// where that is not all there is to it.
    fn make_natively(
        &mut self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let Some(memory) = self.port.memory(py, GET_MANY | VERSION_WRITES).cloned() else {
            return Ok(false);
        };
        let is_plain = |timeout: &Bound<'_, PyAny>| {
            timeout.is_none()
                || timeout.is_instance_of::<PyInt>()
                || timeout.is_instance_of::<PyFloat>()
        };
        if !timeout.is_none_or(is_plain) {
            return Ok(false);
        }
        for version in self.versions.iter_mut().filter(|it| it.text.is_none()) {
            let text = PyString::new(py, &key::new_version());
            let name = version.name.bind(py);
            let Some((handle, until)) = memory.get().make_version(name, &text, timeout)? else {
                return Ok(false);
            };
            version.text = Some(text.unbind());
            version.guard = Some(handle);
            self.made_until = Some(Py::new(py, until)?);
            version.is_new = true;
        }
        Ok(true)
    }

    /// Puts the versions behind what the key begins with.
    fn complete_key(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.versions_of_key().next().is_some() {
            let mut key = self.key.bind(py).extract::<String>()?;
            for text in self.versions_of_key().filter_map(|it| it.text.as_ref()) {
                key.push_str(text.bind(py).to_str()?);
            }
            self.key = PyString::new(py, &key).into_any().unbind();
            self.note_versions(py)?;
        }
        // A version that was made just now is where it can be found.
        if let Some(memory) = self.port.memory(py, GET_MANY) {
            let is_lost = |version: &&mut Version| version.is_new && version.guard.is_none();
            for version in self.versions.iter_mut().filter(is_lost) {
                let found = memory.get().find_text(version.name.bind(py))?;
                version.guard = found.map(|(_, guard)| guard);
            }
        }
        Ok(())
    }

    /// Lets the port know the versions, for its next guess.
    fn note_versions(&self, py: Python<'_>) -> PyResult<()> {
        if self.port.memory(py, GET_MANY).is_some() {
            return Ok(());
        }
        let texts = self.versions_of_key().filter_map(|it| it.text.as_ref());
        let texts = PyTuple::new(py, texts.collect::<Vec<_>>())?;
        let names = self.names(py, |it| it.role == Role::Key)?;
        self.ask(intern!(py, "note_versions"), (names, texts))?;
        Ok(())
    }

    /// The names of those of its versions of which `is_meant` says so.
    fn names<'py>(
        &self,
        py: Python<'py>,
        is_meant: impl Fn(&Version) -> bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let meant = self.versions.iter().filter(|version| is_meant(version));
        PyTuple::new(py, meant.map(|version| &version.name).collect::<Vec<_>>())
    }

    pub(super) fn read_value(&mut self, py: Python<'_>, cache_none: bool) -> PyResult<Reading> {
        let key = self.key.bind(py);
        let value = match &self.prefetched {
            Some((asked, value)) if key.eq(asked)? => value.bind(py).clone(),
            _ => {
                if let Some(memory) = self.port.memory(py, GET) {
                    let Some(entry) = memory.get().find_entry(key)? else {
                        return Ok(Reading::Nothing);
                    };
                    self.handle = Some(entry.handle);
                    self.conditions.stale_for = entry.stale_for;
                    self.conditions.tags = entry.tags;
                    entry.value
                } else {
                    let before = answers_of_copies();
                    let value = self.ask(intern!(py, "read"), (key,))?;
                    self.is_near = answers_of_copies() != before;
                    value
                }
            }
        };
        let Some(value) = self.opened(value)? else {
            return Ok(Reading::Nothing);
        };
        if is_missing(&value) || (value.is_none() && !cache_none) {
            return Ok(Reading::Nothing);
        }
        Ok(Reading::Found(value.unbind()))
    }
}
