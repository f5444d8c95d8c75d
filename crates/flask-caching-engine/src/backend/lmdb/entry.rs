//! How an entry is stored, and what it is found by.
//!
//! Keys are found by a hash of 128 bits with a seed of the store's own, so that keys of any length cost
//! the same and nobody outside knows which keys would collide; the key itself is stored to compare.

use std::time::Duration;

use twox_hash::{XxHash3_64, XxHash3_128};

use crate::{Lifetime, Value, clock};

/// What an entry is found by.
pub(super) type Place = [u8; 16];

/// An expiry that never comes.
pub(super) const NEVER: u64 = u64::MAX;

const HEAD: usize = 40;

/// A stored entry, as it lies in the file.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Nanoseconds since 1970, or [`NEVER`].
    pub(super) expires: u64,
    /// Its place in the order of eviction.
    pub(super) order: u64,
    pub(super) flags: u32,
    pub(super) key: &'a [u8],
    pub(super) data: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry that `stored` is; `None` where it is damaged.
    pub(super) fn read(stored: &'a [u8]) -> Option<Self> {
        let (head, body) = stored.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
        let rest = number(16)?;
        let (key, data) = body.split_at_checked(usize::try_from(rest >> 32).ok()?)?;
        let is_whole = number(24)? == body.len() as u64
            && number(32)? == XxHash3_64::oneshot_with_seed(rest, body);
        is_whole.then_some(Self {
            expires: number(0)?,
            order: number(8)?,
            #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
            flags: rest as u32,
            key,
            data,
        })
    }

    /// Writes it to `target`, which is emptied first.
    pub(super) fn write(&self, target: &mut Vec<u8>) {
        let rest = (self.key.len() as u64) << 32 | u64::from(self.flags);
        let length = (self.key.len() + self.data.len()) as u64;
        target.clear();
        target.resize(HEAD, 0);
        target.extend_from_slice(self.key);
        target.extend_from_slice(self.data);
        let sum = XxHash3_64::oneshot_with_seed(rest, &target[HEAD..]);
        let numbers = [self.expires, self.order, rest, length, sum];
        for (at, number) in numbers.into_iter().enumerate() {
            target[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
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

    pub(super) fn value(&self) -> Value {
        Value {
            data: self.data.to_vec(),
            flags: self.flags,
        }
    }

    /// What it takes of the store, in bytes of pages.
    pub(super) fn cost(&self) -> u64 {
        cost(self.key.len() + self.data.len())
    }
}

/// What an entry whose key and value have `length` bytes takes of a store, in bytes of pages.
///
/// What is small shares pages, which are filled to about a half; with it go its rows in the
/// orders of eviction and expiry. What is large has pages of its own.
pub(super) fn cost(length: usize) -> u64 {
    const PAGE: u64 = 4096;
    const ROWS: u64 = 80;
    let stored = (length + HEAD) as u64;
    if stored + 24 < PAGE / 2 {
        (stored + 24 + ROWS) * 2
    } else {
        (stored + 16).next_multiple_of(PAGE) + ROWS * 2
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
        let entry = Entry {
            expires: 5,
            order: 6,
            flags: 7,
            key: b"key",
            data: b"data",
        };
        entry.write(&mut stored);
        stored
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let stored = stored();
        let read = Entry::read(&stored).unwrap();
        assert_eq!((read.expires, read.order, read.flags), (5, 6, 7));
        assert_eq!((read.key, read.data), (&b"key"[..], &b"data"[..]));
    }

    #[test]
    fn a_damaged_entry_is_none() {
        let stored = stored();
        for at in 16..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert!(Entry::read(&damaged).is_none(), "byte {at}");
        }
        for length in 0..stored.len() {
            assert!(Entry::read(&stored[..length]).is_none());
        }
    }
}
