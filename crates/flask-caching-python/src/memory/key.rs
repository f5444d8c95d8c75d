//! Python keys as the store's bytes.
//!
//! A string is its UTF-8 (lone surrogates included). Any other hashable gets a token from a dict,
//! so that Python's own `==` and `hash` decide which keys are one; a token starts with a byte that
//! no string's UTF-8 contains. The dict is looked into with no lock of the store held: comparing
//! keys may run Python code.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flask_caching_engine::backend::memory::MemoryStore;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

const TOKEN: u8 = 0xFF;

/// Bytes that are no key: neither a string's nor, being the mark of one alone, a token.
pub(super) const NO_KEY: &[u8] = &[TOKEN];

/// Tokens of keys that are gone are dropped when there are this many more tokens than entries.
const SLACK: usize = 64;

/// The tokens of the keys that are not strings.
pub(super) struct Tokens {
    dict: Py<PyDict>,
    last: AtomicU64,
    /// Whether no key but a string that is written as itself is one.
    only_texts: AtomicBool,
}

impl Tokens {
    pub(super) fn new(py: Python<'_>) -> Self {
        Self {
            dict: PyDict::new(py).unbind(),
            last: AtomicU64::new(0),
            only_texts: AtomicBool::new(false),
        }
    }

    /// Has keys that are not strings, or not written as themselves, lead nowhere: to a server they are
    /// other texts.
    pub(super) fn take_only_texts(&self) {
        self.only_texts.store(true, Ordering::Relaxed);
    }

    /// The bytes of `key`; `None` where no entry can have it.
    ///
    /// # Errors
    /// `TypeError` where `key` is not hashable.
    #[inline]
    pub(super) fn known<'a>(&self, key: &'a Bound<'_, PyAny>) -> PyResult<Option<Cow<'a, [u8]>>> {
        if let Ok(text) = key.cast_exact::<PyString>() {
            return text_bytes(text).map(Some);
        }
        let only_texts = self.only_texts.load(Ordering::Relaxed);
        if let Ok(text) = key.cast::<PyString>() {
            let is_key = !only_texts || is_written_as_itself(text)?;
            return is_key.then(|| text_bytes(text)).transpose();
        }
        if only_texts {
            return Ok(None);
        }
        let token = self.dict.bind(key.py()).get_item(key)?;
        token
            .map(|token| Ok(Cow::Owned(token.cast::<PyBytes>()?.as_bytes().to_vec())))
            .transpose()
    }

    /// The bytes of `key`, which is about to be written to `store`.
    ///
    /// # Errors
    /// `TypeError` where `key` is not hashable.
    #[inline]
    pub(super) fn writable<'a, V>(
        &self,
        key: &'a Bound<'_, PyAny>,
        store: &MemoryStore<V>,
    ) -> PyResult<Cow<'a, [u8]>> {
        if let Ok(text) = key.cast::<PyString>() {
            return text_bytes(text);
        }
        let py = key.py();
        let tokens = self.dict.bind(py);
        if tokens.len() > 2 * store.threshold() + SLACK {
            self.forget(py, store)?;
        }
        let mut token = vec![TOKEN];
        token.extend(self.last.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let token =
            tokens.call_method1(intern!(py, "setdefault"), (key, PyBytes::new(py, &token)))?;
        Ok(Cow::Owned(token.cast::<PyBytes>()?.as_bytes().to_vec()))
    }

    /// The keys with tokens, and their tokens.
    pub(super) fn all(&self, py: Python<'_>) -> PyResult<Vec<(Py<PyAny>, Py<PyBytes>)>> {
        self.dict
            .bind(py)
            .copy()?
            .iter()
            .map(|(key, token)| Ok((key.unbind(), token.cast_into::<PyBytes>()?.unbind())))
            .collect()
    }

    /// The dict, for the garbage collector: a key may be part of a cycle.
    pub(super) fn dict(&self) -> &Py<PyDict> {
        &self.dict
    }

    /// Drops the tokens that `store` has no entry for.
    pub(super) fn forget<V>(&self, py: Python<'_>, store: &MemoryStore<V>) -> PyResult<()> {
        for (key, token) in self.all(py)? {
            if !store.contains(token.as_bytes(py)) {
                self.dict
                    .bind(py)
                    .call_method1(intern!(py, "pop"), (key, py.None()))?;
            }
        }
        Ok(())
    }
}

/// The string that `bytes` are the key of; `None`: they are a token.
pub(super) fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    if bytes.first() == Some(&TOKEN) {
        return Ok(None);
    }
    PyBytes::new(py, bytes)
        .call_method1(intern!(py, "decode"), ("utf-8", "surrogatepass"))
        .map(Some)
}

/// Whether a string, of whatever class, is put into another one as what it is.
pub(super) fn is_written_as_itself(text: &Bound<'_, PyString>) -> PyResult<bool> {
    if text.is_exact_instance_of::<PyString>() {
        return Ok(true);
    }
    let (class, own) = (text.get_type(), text.py().get_type::<PyString>());
    for name in [
        intern!(text.py(), "__str__"),
        intern!(text.py(), "__format__"),
    ] {
        if !class.getattr(name)?.is(&own.getattr(name)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The bytes of a string that is a key.
#[inline]
pub(crate) fn text_bytes<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    match text.to_str() {
        Ok(text) => Ok(Cow::Borrowed(text.as_bytes())),
        Err(_) => encode_surrogates(text).map(Cow::Owned),
    }
}

#[cold]
fn encode_surrogates(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    text.call_method1(intern!(text.py(), "encode"), ("utf-8", "surrogatepass"))?
        .extract()
}
