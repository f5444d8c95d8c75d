//! How values are taken apart, and their pieces stored: all or none.

use std::time::Duration;

use super::Spread;
use super::pieces::{self, piece_key};
use super::reading::Found;
use crate::backend::memcached::protocol::expiry::now;
use crate::backend::{Backend, Value};
use crate::{Lifetime, Result};

impl Spread {
    /// The pieces of `value`, sealed; `None`, and a line of log: there would be too many.
    pub(super) fn split(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
    ) -> Option<Vec<Value>> {
        let expires = lifetime
            .whole_seconds()
            .map_or(0, |s| now().saturating_add(s));
        let pieces = pieces::split(key, &value.data, expires, self.chunk_size, self.most);
        if pieces.is_none() {
            log::warn!(
                "the value for cache key {} is not stored: {} bytes do not fit {} pieces (maxchunk) \
                 of {} bytes (chunksize)",
                key.escape_ascii(),
                value.data.len(),
                self.most,
                self.chunk_size,
            );
        }
        pieces
    }

    /// Stores `pieces` as the pieces of `key` from `from` on; all or, as far as that is known, none.
    pub(super) fn put(
        &self,
        key: &[u8],
        pieces: &[Value],
        from: usize,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let keys: Vec<Vec<u8>> = (from..pieces.len()).map(|i| piece_key(key, i)).collect();
        let entries: Vec<(&[u8], &Value)> = keys
            .iter()
            .map(Vec::as_slice)
            .zip(&pieces[from..])
            .collect();
        if entries.is_empty() {
            return Ok(true);
        }
        let stored = self.memcached.set_many(&entries, lifetime)?;
        if stored.contains(&false) {
            self.delete(key)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Puts `new` in the place of the entry `found`, or nothing. `false`: it has changed.
    pub(super) fn exchange(
        &self,
        key: &[u8],
        found: &Found,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let lifetime = match found.whole.expires {
            None => lifetime,
            Some(0) => Lifetime::Forever,
            // It is still there: a second more is nearer to the truth than none.
            Some(at) => Lifetime::For(Duration::from_secs(at.saturating_sub(now()).max(1))),
        };
        self.put_over(key, found, new, lifetime)
    }

    /// As [`exchange`](Self::exchange), and what is put there lives for `lifetime`, whatever was left before.
    pub(super) fn put_over(
        &self,
        key: &[u8],
        found: &Found,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let pieces = match new {
            None => None,
            Some(new) => match self.split(key, new, lifetime) {
                None => return Ok(false),
                pieces => pieces,
            },
        };
        let first = pieces.as_ref().and_then(|pieces| pieces.first());
        let first_key = piece_key(key, 0);
        let is_done = match first {
            Some(first) => self
                .memcached
                .set_if(&first_key, &found.first, first, lifetime)?,
            None => self
                .memcached
                .compare_exchange(&first_key, &found.first, None, lifetime)?,
        };
        if !is_done {
            return Ok(false);
        }
        match pieces {
            Some(pieces) => self.put(key, &pieces, 1, lifetime),
            None => Ok(true),
        }
    }
}
