//! What can go wrong in a conversation with a server.

use std::io;

use crate::{Error, ErrorKind};

/// A failed conversation.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection failed, or the deadline was over.
    Io(io::Error),
    /// The server answered what the protocol does not allow.
    Nonsense(String),
    /// The server answered that it will not.
    Refused(String),
    /// What is stored cannot be what was asked for. Every reply has been read.
    Value(String),
}

/// The result of a step of a conversation.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// An answer of the server that makes no sense; at most the beginning of it is quoted.
    pub(super) fn nonsense(answer: &[u8]) -> Self {
        let shown = &answer[..answer.len().min(60)];
        Self::Nonsense(format!(
            "the server does not speak the memcached protocol: it answered \"{}\"",
            shown.escape_ascii()
        ))
    }

    /// The engine's error for this failure of `operation` on `target`.
    pub(super) fn into_error(self, operation: &'static str, target: &str) -> Error {
        let (kind, message) = match self {
            Self::Io(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
                    _ => ErrorKind::Unavailable,
                };
                return Error::new(kind, operation, target, error.to_string()).with_source(error);
            }
            Self::Nonsense(message) => (ErrorKind::Protocol, message),
            Self::Refused(message) => (ErrorKind::Refused, message),
            Self::Value(message) => (ErrorKind::Value, message),
        };
        Error::new(kind, operation, target, message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
