//! What the headers of an answer say, as Python asks for it.

use std::time::Duration;

use flask_caching_engine::page::Facts;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

/// What is about one connection: RFC 9110, 7.6.1, and what earlier ones named.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of an answer, as they were when they were read.
#[pyclass(frozen, module = "flask_caching._engine")]
pub(crate) struct PageHeaders {
    pub(super) facts: Facts,
    /// Those that are stored: all but what is about one connection, and its age.
    #[pyo3(get)]
    pub(super) kept: Py<PyTuple>,
    /// Whether servers can send them: they are in Latin-1.
    pub(super) can_be_sent: bool,
}

#[pymethods]
impl PageHeaders {
    /// - `pairs`: names and values.
    #[new]
    pub(super) fn new(pairs: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut facts = Facts::default();
        let (mut leaves_out, mut can_be_sent) = (false, true);
        for pair in pairs {
            let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = pair.extract()?;
            let name = name.to_string_lossy();
            let value = value.to_string_lossy();
            facts.read(&name, &value);
            can_be_sent &= is_latin1(&name) && is_latin1(&value);
            leaves_out |= is_left_out(&name);
        }
        let kept = if leaves_out {
            let mut kept = Vec::new();
            for pair in pairs {
                let name = name_of(&pair)?;
                let name = name.to_string_lossy();
                let is_named = |other: &String| name.eq_ignore_ascii_case(other);
                if !is_left_out(&name) && !facts.connection.iter().any(is_named) {
                    kept.push(pair);
                }
            }
            PyTuple::new(pairs.py(), kept)?
        } else {
            pairs.to_tuple()
        };
        Ok(Self {
            facts,
            kept: kept.unbind(),
            can_be_sent,
        })
    }

    /// The names in `Vary`, in lower case.
    #[getter]
    pub(super) fn vary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.facts.vary)
    }

    /// Whether its body may be sent in another coding.
    #[getter]
    fn may_be_encoded(&self) -> bool {
        self.facts.may_be_encoded()
    }
}

impl PageHeaders {
    /// For how many seconds after that it is answered while it is refreshed, and where that fails.
    ///
    /// - `while_refreshed`, `if_error`: the same where it does not say.
    pub(super) fn windows(&self, while_refreshed: f64, if_error: f64) -> (f64, f64) {
        let given = [while_refreshed, if_error]
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let [one, other] = self.facts.windows(given).map(|window| window.as_secs_f64());
        (one, other)
    }
}

pub(super) fn name_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    Ok(pair.cast::<PyTuple>()?.get_item(0)?.cast_into()?)
}

pub(super) fn is_latin1(text: &str) -> bool {
    text.is_ascii() || text.chars().all(|character| character <= '\u{ff}')
}

fn is_left_out(name: &str) -> bool {
    // Its age is said anew.
    name.eq_ignore_ascii_case("age")
        || HOP_BY_HOP
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}
