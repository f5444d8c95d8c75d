//! Which server an operation goes to: for traces, of those that spread keys over several.

use std::cell::RefCell;
use std::fmt::Display;

#[derive(Default, PartialEq, Eq)]
enum Contacted {
    #[default]
    Nobody,
    One(String),
    Several,
}

thread_local! {
    /// Whom this thread has asked since somebody wanted to know; `None`: nobody does.
    static CONTACTED: RefCell<Option<Contacted>> = const { RefCell::new(None) };
}

/// Notes from now on whom this thread asks, until [`end`].
pub fn begin() {
    CONTACTED.set(Some(Contacted::Nobody));
}

/// The address of the server that this thread has asked since [`begin`]; `None` where there was none,
/// or more than one.
pub fn end() -> Option<String> {
    match CONTACTED.take() {
        Some(Contacted::One(address)) => Some(address),
        _ => None,
    }
}

/// Notes that the server at `address` is asked.
pub(crate) fn note(address: &impl Display) {
    CONTACTED.with_borrow_mut(|contacted| {
        let Some(contacted) = contacted else { return };
        let address = address.to_string();
        *contacted = match contacted {
            Contacted::Nobody => Contacted::One(address),
            Contacted::One(known) if *known == address => return,
            _ => Contacted::Several,
        };
    });
}

/// Notes that several servers are asked.
pub(crate) fn note_several() {
    CONTACTED.with_borrow_mut(|contacted| {
        if let Some(contacted) = contacted {
            *contacted = Contacted::Several;
        }
    });
}

/// Does `work`, in which servers are asked of each other and not of entries: that is not noted.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let before = CONTACTED.take();
    let outcome = work();
    CONTACTED.set(before);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_server_the_address_is_known() {
        note(&"before");
        begin();
        note(&"a:1");
        aside(|| note(&"sentinel:1"));
        note(&"a:1");
        assert_eq!(end().as_deref(), Some("a:1"));
        assert_eq!(end(), None);
    }

    #[test]
    fn of_several_none_is_said() {
        begin();
        note(&"a:1");
        note(&"b:1");
        note(&"b:1");
        assert_eq!(end(), None);
        begin();
        note_several();
        note(&"a:1");
        assert_eq!(end(), None);
        begin();
        assert_eq!(end(), None);
    }
}
