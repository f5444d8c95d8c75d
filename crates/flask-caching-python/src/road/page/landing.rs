//! What a view has answered is stored, and sent, in one step.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::memory::MemoryBackend;
use crate::pages::{self, PageTaken, layout, page_answer};
use crate::road::parts::Kind;
use crate::road::road::Road;
use crate::road::turn::Turn;

/// How the answer of a view becomes a page, and what is sent of that.
pub(crate) struct Terms<'a, 'py> {
    /// The rules of `PageForm.make`.
    pub(crate) rules: (f64, f64, f64),
    /// What `Cache-Status` says of why the view was asked; `None`: nothing.
    pub(crate) forward: Option<&'a str>,
    /// The class of a response that is sent as it is; `None`: none is.
    pub(crate) sending: Option<&'a Bound<'py, PyAny>>,
    /// Whether the page is to be sent as it is by whoever finds it.
    pub(crate) in_front: bool,
}

/// What became of an answer.
pub(crate) enum Landed {
    /// It is stored, and the response is what is sent of it.
    Stored,
    /// It is not stored, for this reason.
    Not(&'static str),
    /// More has to be asked, and nothing was done.
    Unknown,
}

impl Road {
    /// Whether its pages have rules of their own for how long they are kept.
    pub(crate) fn has_conditions(&self) -> bool {
        self.options.has_conditions
    }

    /// Stores the page of what was `taken` of the response of a turn's view, and makes of the response what
    /// is sent of the page.
    pub(crate) fn land_page<'py>(
        &self,
        turn: &Turn,
        taken: &Bound<'py, PageTaken>,
        response: &Bound<'py, PyAny>,
        environ: &Bound<'py, PyDict>,
        terms: &Terms<'_, 'py>,
    ) -> PyResult<Landed> {
        let py = taken.py();
        let Kind::Page(_, form) = &self.parts.get().kind else {
            return Ok(Landed::Unknown);
        };
        let form = form.get();
        let is_conditional = environ.contains(intern!(py, "HTTP_IF_NONE_MATCH"))?
            || environ.contains(intern!(py, "HTTP_IF_MODIFIED_SINCE"))?;
        let is_sent_elsewhere =
            terms.in_front && (terms.sending.is_none() || !taken.get().is_complete(py)?);
        if is_conditional || form.has_codings() || is_sent_elsewhere {
            return Ok(Landed::Unknown);
        }
        let (Some(timeout), Some(backend)) = (
            self.attributes.plain_timeout(py)?,
            turn.with(|open| open.backend.clone_ref(py)),
        ) else {
            return Ok(Landed::Unknown);
        };
        let Some(default) = default_of(backend.bind(py))? else {
            return Ok(Landed::Unknown);
        };
        let timeouts = (Some(timeout), Some(default));
        let made = form.make(taken, &taken.get().headers, timeouts, terms.rules)?;
        let Some((page, seconds)) = made else {
            return Ok(Landed::Not("stale"));
        };
        if !self.finish_with_page(turn, &page, seconds, Vec::new())? {
            return Ok(Landed::Not("not-kept"));
        }
        let said = terms.forward;
        let said = said.map(|forward| ["flask-caching; fwd=", forward, "; stored"].concat());
        let answer = page_answer(&page, environ, said.is_some(), said.as_deref(), true)?;
        let is_complete = page.get_item(layout::IS_COMPLETE)?.is_truthy()?;
        pages::send(
            response,
            answer,
            environ,
            terms.sending.filter(|_| is_complete),
        )?;
        Ok(Landed::Stored)
    }
}

/// The timeout of a backend that has one; `None` where it takes whatever it is given and has none of it.
fn default_of<'py>(backend: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = backend.py();
    if backend.cast::<MemoryBackend>().is_err()
        && let Some(keeps_nothing) = backend.getattr_opt(intern!(py, "_keeps_nothing"))?
        && keeps_nothing.is_truthy()?
    {
        return Ok(None);
    }
    let default = backend.getattr_opt(intern!(py, "default_timeout"))?;
    Ok(Some(match default {
        Some(default) => default,
        None => 300_u16.into_pyobject(py)?.into_any(),
    }))
}
