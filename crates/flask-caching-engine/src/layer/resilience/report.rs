//! What is known of a server, for people to look at.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{self, Instant};

/// An error is remembered up to this many bytes of its text.
const MOST_BYTES: usize = 500;

/// What a process knows of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// How errors and logs call the server; no password is in it.
    pub server: String,
    /// Whether it failed a moment ago and nothing would be tried now: its breaker is open.
    pub is_left_alone: bool,
    /// For how long it has not been usable, or has refused to store; `None`: it is well.
    pub failing_for: Option<Duration>,
    /// How many calls have gone without it since then.
    pub failures: u64,
    /// The text of its last error, of whatever time, and how long ago that was.
    pub last_error: Option<(String, Duration)>,
}

/// The last error of a server.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
#[derive(Debug, Default)]
pub(super) struct LastError(Mutex<Option<(String, Instant)>>);

impl LastError {
    pub(super) fn note(&self, error: &crate::Error) {
        let mut text = error.to_string();
        if text.len() > MOST_BYTES {
            let end = (0..=MOST_BYTES).rfind(|&at| text.is_char_boundary(at));
            text.truncate(end.unwrap_or(0));
            text.push('…');
        }
        let noted = Some((text, clock::steady()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }

    /// Its text, and how long ago it was.
    pub(super) fn get(&self, now: Instant) -> Option<(String, Duration)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.as_ref().map(|(text, at)| {
            let age = now.since(*at);
            (text.clone(), age)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[test]
    fn of_a_long_error_the_beginning_is_kept() {
        let last = LastError::default();
        let long = "ü".repeat(MOST_BYTES);
        last.note(&Error::new(ErrorKind::Refused, "set", "redis", long));
        let (text, _) = last.get(clock::steady()).unwrap();
        assert!(text.starts_with("set on redis failed: ü"), "{text}");
        assert!(text.ends_with('…') && text.len() <= MOST_BYTES + '…'.len_utf8());
    }
}
