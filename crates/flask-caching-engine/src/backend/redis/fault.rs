//! What goes wrong with a Redis server, as errors of the engine.

use std::fmt::Display;
use std::io;

use crate::{Error, ErrorKind};

/// An error of the socket during `operation`.
pub(super) fn io(operation: &'static str, target: impl Display, error: io::Error) -> Error {
    let message = error.to_string();
    Error::new(kind_of_io(&error), operation, target.to_string(), message).with_source(error)
}

/// An error of the socket while connecting for `operation`.
pub(super) fn connecting(operation: &'static str, target: impl Display, error: io::Error) -> Error {
    let message = format!("cannot connect: {error}");
    Error::new(kind_of_io(&error), operation, target.to_string(), message).with_source(error)
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
        io::ErrorKind::InvalidData => ErrorKind::Protocol,
        _ => ErrorKind::Unavailable,
    }
}

/// What a server's error reply, `CODE message`, means. The reply never holds a password.
pub(super) fn server(operation: &'static str, target: impl Display, message: &str) -> Error {
    Error::new(kind_of(message), operation, target.to_string(), message)
}

/// The kind of error that a server's error reply stands for.
pub(super) fn kind_of(message: &str) -> ErrorKind {
    match code(message) {
        // It is there but cannot answer yet, or not for this part of the keys.
        "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" => {
            ErrorKind::Unavailable
        }
        "WRONGTYPE" => ErrorKind::Value,
        _ if message.contains("not an integer") || message.contains("would overflow") => {
            ErrorKind::Value
        }
        _ => ErrorKind::Refused,
    }
}

/// The first word of an error reply.
pub(super) fn code(message: &str) -> &str {
    message.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_become_kinds() {
        for (message, kind) in [
            (
                "LOADING Redis is loading the dataset in memory",
                ErrorKind::Unavailable,
            ),
            ("CLUSTERDOWN The cluster is down", ErrorKind::Unavailable),
            ("WRONGTYPE Operation against a key", ErrorKind::Value),
            (
                "ERR value is not an integer or out of range",
                ErrorKind::Value,
            ),
            (
                "ERR increment or decrement would overflow",
                ErrorKind::Value,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                ErrorKind::Refused,
            ),
            (
                "READONLY You can't write against a read only replica.",
                ErrorKind::Refused,
            ),
            (
                "WRONGPASS invalid username-password pair",
                ErrorKind::Refused,
            ),
            ("NOAUTH Authentication required.", ErrorKind::Refused),
        ] {
            assert_eq!(kind_of(message), kind, "{message}");
        }
    }
}
