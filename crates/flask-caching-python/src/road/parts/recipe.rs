//! How the key of a memoized call is made natively: of plain arguments given by position, with the
//! default hash, where no option has a say.

use flask_caching_engine::key::memoize_prefix;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use smallvec::smallvec;

use super::Parts;
use super::part::Part;
use crate::memory::MemoryBackend;
use crate::road::quick::NativeKey;
use crate::road::turn::{Role, Version};

/// How a function's key is made of its arguments; `flask_caching.calls.memoized` says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Recipe {
    /// The function's name as it stands in keys.
    name: String,
    /// The key of the version of its results.
    pub(crate) version_name: Py<PyString>,
    /// How many arguments it takes by position.
    positional: usize,
    /// The reprs of the defaults of the last of them.
    defaults: Vec<String>,
    /// Whether it takes further arguments by position.
    takes_more: bool,
}

impl Recipe {
    /// The key of a call, and the version in it; `None` where the policy has to make it.
    pub(in crate::road) fn native_key<'py>(
        &self,
        parts: &Parts,
        args: &Bound<'py, PyTuple>,
        memory: &MemoryBackend,
    ) -> PyResult<Option<NativeKey<'py>>> {
        let py = args.py();
        let Some((text, guard)) = memory.find_text(self.version_name.bind(py))? else {
            return Ok(None);
        };
        // A version that an application has made up is not a text that a key can be made of here.
        let (Some(mut key), Ok(version)) = (self.prefix(py, parts, args.len())?, text.to_str())
        else {
            return Ok(None);
        };
        key.push_str(version);
        let version = Version {
            text: Some(text.unbind()),
            guard: Some(guard),
            ..Version::named(self.version_name.bind(py).as_any(), Role::Key)?
        };
        Ok(Some(NativeKey {
            key: PyString::new(py, &key).into_any(),
            versions: smallvec![version],
            guards: None,
        }))
    }

    /// The part of the key that `given` arguments make; `None` where they are not plain data alone, or
    /// do not fit the function. They are printed as they were read: what another thread makes of them
    /// meanwhile is another call's.
    pub(crate) fn prefix(
        &self,
        py: Python<'_>,
        parts: &Parts,
        given: usize,
    ) -> PyResult<Option<String>> {
        let arguments = parts.list();
        let required = self.positional - self.defaults.len();
        let fits = given >= required && (given <= self.positional || self.takes_more);
        if !fits || arguments.len() != given || !arguments.iter().all(Part::is_plain) {
            return Ok(None);
        }
        let mut text = String::with_capacity(self.name.len() + 16 * given + 16);
        text.push_str(&self.name);
        text.push('(');
        for (at, argument) in arguments.iter().enumerate() {
            if at > 0 {
                text.push_str(", ");
            }
            if !argument.print(py, &mut text)? {
                return Ok(None);
            }
        }
        let missing = self.positional.saturating_sub(given);
        for (at, default) in (given..).zip(&self.defaults[self.defaults.len() - missing..]) {
            if at > 0 {
                text.push_str(", ");
            }
            text.push_str(default);
        }
        if given.max(self.positional) == 1 {
            text.push(',');
        }
        text.push_str(")OrderedDict()");
        Ok(Some(memoize_prefix(&text).map(char::from).iter().collect()))
    }
}
