//! What a conversation with a server can do, in either protocol.

pub(super) mod binary;
pub(super) mod expiry;
pub(super) mod text;
pub(super) mod wire;

use super::failure::Outcome;
use crate::Value;
use wire::Wire;

/// A stored value and the token that tells whether it has changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Value,
    /// 0 where it was not asked for.
    pub cas: u64,
}

/// Under which condition a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Always.
    Set,
    /// Where there is none.
    Add,
    /// Where there is one.
    Replace,
    /// Behind the bytes of the one there is, which keeps its flags and its lifetime.
    Append,
    /// In front of them.
    Prepend,
    /// Where the item still has this token.
    Cas(u64),
}

/// A value on its way to a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The key as [`super::key::wire_key`] made it.
    pub(super) key: &'a [u8],
    pub(super) value: &'a Value,
    pub(super) exptime: u32,
}

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    Yes,
    /// The condition does not hold.
    No,
    /// It does not, as there is nothing; where the server tells that apart.
    Missing,
    /// The server has no room for it, or it is larger than the server takes; in its words.
    Refused(String),
}

/// Which way a server counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Up; past 2^64 - 1 it begins again at 0.
    Up,
    /// Down, and no further than to 0.
    Down,
}

/// What became of an increment by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The number that is there now.
    To(u64),
    /// There is none.
    Missing,
    /// What is stored is not a number from 0 to 2^64 - 1.
    NotANumber,
}

/// The protocol that a server is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The text protocol: every server since 1.2, and proxies.
    Text,
    /// The binary protocol, which a server with SASL asks for.
    Binary,
}

impl Protocol {
    /// The items under `keys`, in their order. `cas`: with their tokens.
    pub(super) fn get(
        self,
        wire: &mut impl Wire,
        keys: &[&[u8]],
        cas: bool,
    ) -> Outcome<Vec<Option<Item>>> {
        match self {
            Self::Text => text::get(wire, keys, cas),
            Self::Binary => binary::get(wire, keys),
        }
    }

    /// Stores `entries` under one condition; what became of each.
    pub(super) fn store(
        self,
        wire: &mut impl Wire,
        store: Store,
        entries: &[Entry<'_>],
    ) -> Outcome<Vec<Stored>> {
        match self {
            Self::Text => text::store(wire, store, entries),
            Self::Binary => binary::store(wire, store, entries),
        }
    }

    /// Removes `keys`; for each, whether it was there.
    pub(super) fn delete(self, wire: &mut impl Wire, keys: &[&[u8]]) -> Outcome<Vec<bool>> {
        match self {
            Self::Text => text::delete(wire, keys),
            Self::Binary => binary::delete(wire, keys),
        }
    }

    /// Removes `key` where its item still has the token `cas`; whether it did.
    pub(super) fn remove(self, wire: &mut impl Wire, key: &[u8], cas: u64) -> Outcome<bool> {
        match self {
            Self::Text => text::remove(wire, key, cas),
            Self::Binary => binary::remove(wire, key, cas),
        }
    }

    /// Counts the number under `key` up or down by `delta`.
    pub(super) fn count(
        self,
        wire: &mut impl Wire,
        key: &[u8],
        direction: Direction,
        delta: u64,
    ) -> Outcome<Counted> {
        match self {
            Self::Text => text::count(wire, key, direction, delta),
            Self::Binary => binary::count(wire, key, direction, delta),
        }
    }

    /// Whether there is an item under `key`.
    pub(super) fn has(self, wire: &mut impl Wire, key: &[u8]) -> Outcome<bool> {
        match self {
            Self::Text => text::has(wire, key),
            Self::Binary => binary::has(wire, key),
        }
    }

    /// How many seconds the item under `key` has left.
    pub(super) fn remaining(self, wire: &mut impl Wire, key: &[u8]) -> Outcome<Remaining> {
        match self {
            Self::Text => text::remaining(wire, key),
            // The binary protocol has no question for it.
            Self::Binary => Ok(Remaining::Unknown),
        }
    }

    /// Lets the item under `key` live until `exptime`. `false`: there is none.
    pub(super) fn touch(self, wire: &mut impl Wire, key: &[u8], exptime: u32) -> Outcome<bool> {
        match self {
            Self::Text => text::touch(wire, key, exptime),
            Self::Binary => binary::touch(wire, key, exptime),
        }
    }

    /// Removes everything, `delay` seconds from now.
    pub(super) fn flush_all(self, wire: &mut impl Wire, delay: u32) -> Outcome<()> {
        match self {
            Self::Text => text::flush_all(wire, delay),
            Self::Binary => binary::flush_all(wire, delay),
        }
    }

    /// What the server says of itself `about` something, a word or some of printable ASCII; empty: in
    /// general.
    pub(super) fn statistics(self, wire: &mut impl Wire, about: &str) -> Outcome<Vec<Statistic>> {
        match self {
            Self::Text => text::statistics(wire, about),
            Self::Binary => binary::statistics(wire, about),
        }
    }
}

/// What a server says of itself: a name and a value.
pub type Statistic = (Vec<u8>, Vec<u8>);

/// The most lines of statistics that are read.
pub(super) const MOST_STATISTICS: usize = 20_000;

/// How long an item has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remaining {
    Seconds(u32),
    Forever,
    Missing,
    /// The server cannot say.
    Unknown,
}

/// Where a batch of requests is cut, so that a server whose replies nobody reads yet is never sent
/// more than its socket takes.
pub(super) fn windows<T>(
    items: &[T],
    most: usize,
    bytes: usize,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut total = 0;
        let count = rest
            .iter()
            .take(most)
            .take_while(|item| {
                total += size(item);
                total <= bytes
            })
            .count();
        let (window, left) = rest.split_at(count.max(1));
        rest = left;
        Some(window)
    })
}
