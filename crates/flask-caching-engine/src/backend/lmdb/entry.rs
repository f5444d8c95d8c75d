//! How an entry is stored, and what it is found by.
//!
//! Keys are found by a hash of 128 bits with a seed of the store's own, so that keys of any length cost
//! the same and nobody outside knows which keys would collide; the key itself is stored to compare.

use std::borrow::Cow;
use std::time::Duration;

use twox_hash::{XxHash3_64, XxHash3_128};

use crate::{Lifetime, Value, clock};

/// What an entry is found by.
pub(super) type Place = [u8; 16];

/// An expiry that never comes.
pub(super) const NEVER: u64 = u64::MAX;

const HEAD: usize = 48;

/// The longest key and value, together, that are stored in their record. It and a piece fit twice on the
/// smallest page, so that no record needs pages in a row: a file that has been full has none.
const WITHIN: usize = 1960;

/// The bytes of a longer one are stored in pieces of so many.
pub(super) const PIECE: usize = 2016;

/// What is stored of an entry before its key and value, or in place of them.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Nanoseconds since 1970, or [`NEVER`].
    pub(super) expires: u64,
    /// Its place in the order of eviction.
    pub(super) order: u64,
    /// The length of the key, and the flags.
    rest: u64,
    /// That of key and value.
    pub(super) length: u64,
    sum: u64,
    /// By which number its pieces are found; 0: it has none.
    pub(super) pieces: u64,
}

impl Head {
    /// The head of what is `stored`, and what is behind it; `None` where it is none.
    pub(super) fn read(stored: &[u8]) -> Option<(Self, &[u8])> {
        let (head, body) = stored.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
        let head = Self {
            expires: number(0)?,
            order: number(8)?,
            rest: number(16)?,
            length: number(24)?,
            sum: number(32)?,
            pieces: number(40)?,
        };
        Some((head, body))
    }

    /// What it takes of the store, in bytes of pages.
    pub(super) fn cost(&self) -> u64 {
        usize::try_from(self.length).map_or(u64::MAX / 2, cost)
    }

    /// How many pieces it has.
    pub(super) fn count(&self) -> u32 {
        let count = self.length.div_ceil(PIECE as u64);
        u32::try_from(count)
            .ok()
            .filter(|_| self.pieces != 0)
            .unwrap_or(0)
    }
}

/// A stored entry.
pub(super) struct Entry<'a> {
    pub(super) expires: u64,
    pub(super) flags: u32,
    /// The length of the key, which `body` begins with.
    key: usize,
    body: Cow<'a, [u8]>,
}

impl<'a> Entry<'a> {
    /// The entry with this head and `body`; `None` where it is damaged.
    pub(super) fn of(head: &Head, body: Cow<'a, [u8]>) -> Option<Self> {
        let key = usize::try_from(head.rest >> 32).ok()?;
        let is_whole = head.length == body.len() as u64
            && key <= body.len()
            && head.sum == XxHash3_64::oneshot_with_seed(head.rest, &body);
        is_whole.then_some(Self {
            expires: head.expires,
            #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
            flags: head.rest as u32,
            key,
            body,
        })
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.body[..self.key]
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.body[self.key..]
    }

    pub(super) fn is_live(&self, now: u64) -> bool {
        self.expires > now
    }

    /// How long it has left; of one that is live.
    pub(super) fn left(&self, now: u64) -> Lifetime {
        match self.expires {
            NEVER => Lifetime::Forever,
            expires => Lifetime::For(Duration::from_nanos(expires.saturating_sub(now))),
        }
    }

    pub(super) fn into_value(self) -> Value {
        let data = match self.body {
            Cow::Borrowed(body) => body[self.key..].to_vec(),
            Cow::Owned(mut body) => {
                body.drain(..self.key);
                body
            }
        };
        Value {
            data,
            flags: self.flags,
        }
    }
}

/// An entry that is to be stored.
pub(super) struct New<'a> {
    pub(super) expires: u64,
    pub(super) order: u64,
    pub(super) flags: u32,
    pub(super) key: &'a [u8],
    pub(super) data: &'a [u8],
}

impl New<'_> {
    /// Writes it to `target`, which is emptied first; its pieces are found by `pieces`.
    pub(super) fn write(&self, pieces: u64, target: &mut Vec<u8>) {
        let rest = (self.key.len() as u64) << 32 | u64::from(self.flags);
        let length = (self.key.len() + self.data.len()) as u64;
        target.clear();
        target.resize(HEAD, 0);
        target.extend_from_slice(self.key);
        target.extend_from_slice(self.data);
        let sum = XxHash3_64::oneshot_with_seed(rest, &target[HEAD..]);
        let numbers = [self.expires, self.order, rest, length, sum, pieces];
        for (at, number) in numbers.into_iter().enumerate() {
            target[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// Where what [`New::write`] has written is divided: the record ends here, the pieces begin.
pub(super) fn divided(written: &[u8]) -> (&[u8], &[u8]) {
    written.split_at(HEAD)
}

/// Whether a key and value of `length` bytes are stored in pieces.
pub(super) fn is_long(length: usize) -> bool {
    length > WITHIN
}

/// What an entry whose key and value have `length` bytes takes of a store, in bytes of pages.
///
/// What is small shares pages, which are filled to about a half; with it go its rows in the
/// orders of eviction and expiry. Of pieces there are two on a page.
pub(super) fn cost(length: usize) -> u64 {
    const PAGE: u64 = 4096;
    const ROWS: u64 = 80;
    let record = |length: usize| (length + HEAD + 24) as u64;
    if is_long(length) {
        length.div_ceil(2 * PIECE) as u64 * PAGE + (record(0) + ROWS) * 2
    } else {
        (record(length) + ROWS) * 2
    }
}

/// Where `key` is found in a store with this `seed`.
pub(super) fn place(seed: u64, key: &[u8]) -> Place {
    XxHash3_128::oneshot_with_seed(seed, key).to_be_bytes()
}

/// The present, in nanoseconds since 1970.
pub(super) fn now() -> u64 {
    nanoseconds(clock::wall())
}

/// When what is stored now with `lifetime` expires; `None`: it has already.
pub(super) fn expiry(lifetime: Lifetime, now: u64) -> Option<u64> {
    match lifetime {
        Lifetime::Forever => Some(NEVER),
        Lifetime::For(duration) => Some(now.saturating_add(nanoseconds(duration)).min(NEVER - 1)),
        Lifetime::Expired => None,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Vec<u8> {
        let mut stored = Vec::new();
        let entry = New {
            expires: 5,
            order: 6,
            flags: 7,
            key: b"key",
            data: b"data",
        };
        entry.write(0, &mut stored);
        stored
    }

    fn read(stored: &[u8]) -> Option<Entry<'_>> {
        let (head, body) = Head::read(stored).filter(|(head, _)| head.pieces == 0)?;
        Entry::of(&head, Cow::Borrowed(body))
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let stored = stored();
        let read = read(&stored).unwrap();
        assert_eq!((read.expires, read.flags), (5, 7));
        assert_eq!(Head::read(&stored).unwrap().0.order, 6);
        assert_eq!((read.key(), read.data()), (&b"key"[..], &b"data"[..]));
        assert_eq!(read.into_value().data, b"data");
    }

    #[test]
    fn a_damaged_entry_is_none() {
        let stored = stored();
        for at in 16..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_none(), "byte {at}");
        }
        for length in 0..stored.len() {
            assert!(read(&stored[..length]).is_none());
        }
    }

    #[test]
    fn two_records_fit_on_a_page() {
        // Of LMDB's: the head of a page, and of a node with its offset; the keys are those of the tables.
        for (key, value) in [(16, HEAD + WITHIN), (12, PIECE)] {
            assert!(16 + 2 * (8 + 2 + key + value) <= 4096);
        }
    }
}
