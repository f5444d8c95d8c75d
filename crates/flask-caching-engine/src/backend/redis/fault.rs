//! What goes wrong with a Redis server, as errors of the engine.

use std::fmt::Display;
use std::io;

use super::config::Login;
use crate::{Error, ErrorKind};

/// The source of an error that is about who this client is.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server does not accept this client's user name or password, or wants one")]
pub struct LoginRefused;

/// What comes before the arguments that Redis repeats of a command that it does not know.
const ARGUMENTS: &str = ", with args beginning with";

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

/// What a server's error reply, `CODE message`, means. The caller guarantees that it holds no
/// password: where one was sent, [`login`] reads the reply.
pub(super) fn server(operation: &'static str, target: impl Display, message: &str) -> Error {
    let error = Error::new(kind_of(message), operation, target.to_string(), message);
    if is_about_login(message) {
        error.with_source(LoginRefused)
    } else {
        error
    }
}

/// What a server's error reply to a login means. One that knows no such command repeats what it was
/// sent: nothing of that is shown, nor of any reply that tells who logs in.
pub(super) fn login(
    operation: &'static str,
    target: impl Display,
    message: &str,
    login: &Login,
) -> Error {
    let message = message
        .split_once(ARGUMENTS)
        .map_or(message, |(before, _)| before);
    let shown = [message, code(message), "it refuses the login"]
        .into_iter()
        .find(|shown| !login.is_told_by(shown))
        .unwrap_or_default();
    let error = Error::new(kind_of(message), operation, target.to_string(), shown);
    if shown != message || is_about_login(message) {
        error.with_source(LoginRefused)
    } else {
        error
    }
}

/// Whether the server wants a password, or another one. Old ones say so without a code.
fn is_about_login(message: &str) -> bool {
    ["NOAUTH", "WRONGPASS"].contains(&code(message))
        || message.contains("AUTH ")
        || message.contains("'AUTH'")
        || message.contains("invalid password")
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
    fn nothing_of_a_login_is_shown() {
        let who = Login {
            username: Some("me".to_owned()),
            password: Some("s3cret".to_owned()),
        };
        for (reply, shown) in [
            (
                "NOAUTH Authentication required.",
                "NOAUTH Authentication required.",
            ),
            ("WRONGPASS not s3cret", "WRONGPASS"),
            ("ERR who is me?", "ERR"),
            ("s3cret", "it refuses the login"),
            (
                "ERR unknown command 'AUTH', with args beginning with: 's3cr",
                "ERR unknown command 'AUTH'",
            ),
        ] {
            let error = login("get", "here", reply, &who);
            assert_eq!(error.message(), shown);
            assert_eq!(error.kind(), ErrorKind::Refused);
        }
    }

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
