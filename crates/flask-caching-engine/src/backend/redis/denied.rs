//! Commands that a server denies: to this user, or to everybody because it is old or hosted and does
//! not know them. What others can stand in for is done by these from then on.

use std::sync::atomic::{AtomicU8, Ordering};

use super::fault;
use super::resp::Reply;

/// A command that others can stand in for, or that can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaceable {
    GetRange = 1,
    Unlink = 2,
    Eval = 4,
    Scan = 8,
    Pttl = 16,
    Persist = 32,
}

/// Those that are known to be denied, a bit each.
#[derive(Default)]
pub(super) struct Denied(AtomicU8);

impl Denied {
    /// Whether `command` is known to be denied.
    pub(super) fn has(&self, command: Replaceable) -> bool {
        self.0.load(Ordering::Relaxed) & command as u8 != 0
    }

    /// Whether `reply` denies `command`, which is remembered.
    pub(super) fn by(&self, reply: &Reply, command: Replaceable) -> bool {
        let is_denied = matches!(reply, Reply::Error(message) if of(message) == Some(command));
        if is_denied {
            self.0.fetch_or(command as u8, Ordering::Relaxed);
        }
        is_denied
    }
}

/// The command that an error reply denies, where others can stand in for it.
pub(super) fn of(message: &str) -> Option<Replaceable> {
    if fault::code(message) != "NOPERM" && !message.starts_with("ERR unknown command") {
        return None;
    }
    // In quotes, which old servers begin and end with a backquote.
    let name = message.split(['\'', '`']).nth(1)?;
    match name.to_ascii_uppercase().as_str() {
        "GETRANGE" => Some(Replaceable::GetRange),
        "UNLINK" => Some(Replaceable::Unlink),
        "EVAL" => Some(Replaceable::Eval),
        "SCAN" => Some(Replaceable::Scan),
        "PTTL" => Some(Replaceable::Pttl),
        "PERSIST" => Some(Replaceable::Persist),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_read_of_the_words_of_any_version() {
        for (message, expected) in [
            (
                "NOPERM this user has no permissions to run the 'getrange' command",
                Some(Replaceable::GetRange),
            ),
            (
                "NOPERM User me has no permissions to run the 'eval' command",
                Some(Replaceable::Eval),
            ),
            (
                "ERR unknown command 'UNLINK', with args beginning with: 'a' ",
                Some(Replaceable::Unlink),
            ),
            (
                "ERR unknown command `UNLINK`, with args beginning with: `a`, ",
                Some(Replaceable::Unlink),
            ),
            ("ERR unknown command 'GET'", None),
            ("NOPERM No permissions to access a key", None),
            ("ERR Error running script: 'eval'", None),
        ] {
            assert_eq!(of(message), expected, "{message}");
        }
        let denied = Denied::default();
        let reply = Reply::Error("ERR unknown command 'EVAL'".to_owned());
        assert!(!denied.by(&reply, Replaceable::Unlink));
        assert!(!denied.has(Replaceable::Eval));
        assert!(denied.by(&reply, Replaceable::Eval) && denied.by(&reply, Replaceable::Eval));
        assert!(denied.has(Replaceable::Eval) && !denied.has(Replaceable::Unlink));
    }
}
