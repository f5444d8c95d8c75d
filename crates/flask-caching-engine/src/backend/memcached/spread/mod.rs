//! Values larger than an item, spread over several.

pub(super) mod pieces;
mod reading;
mod writing;

use self::pieces::{count, piece_key};
use self::reading::Reading;
use super::{Backend, Memcached, Value};
use crate::resilience::{Deadline, ServerHealth};
use crate::{Error, ErrorKind, Lifetime, Result};

/// A [`Memcached`] whose values may be larger than an item.
///
/// An entry of which a piece is missing, or belongs to another value, is a miss. Flags are not kept.
pub struct Spread {
    memcached: Memcached,
    chunk_size: usize,
    most: usize,
}

impl Spread {
    /// Spreads values over up to `most` items of `chunk_size` bytes of them each.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where one of them is 0.
    pub fn new(memcached: Memcached, chunk_size: usize, most: usize) -> Result<Self> {
        let invalid = |what| {
            let why = "it must be 1 or more";
            Err(Error::new(
                ErrorKind::Config,
                "setting up memcached",
                what,
                why,
            ))
        };
        match (chunk_size, most) {
            (0, _) => invalid("chunksize"),
            (_, 0) => invalid("maxchunk"),
            _ => Ok(Self {
                memcached,
                chunk_size,
                most,
            }),
        }
    }

    /// Does the steps of an operation by one deadline.
    fn in_time<T>(&self, steps: impl FnOnce() -> T) -> T {
        Deadline::of_operation(self.memcached.operation_timeout()).during(steps)
    }

    /// The keys of every piece that there can be of `keys`.
    fn all_pieces(&self, keys: &[&[u8]]) -> Vec<Vec<u8>> {
        keys.iter()
            .flat_map(|key| (0..self.most).map(|index| piece_key(key, index)))
            .collect()
    }
}

fn slices(keys: &[Vec<u8>]) -> Vec<&[u8]> {
    keys.iter().map(Vec::as_slice).collect()
}

impl Backend for Spread {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.in_time(|| {
            let found = self.find(key)?;
            Ok(found.map(|found| found.whole.data.into()))
        })
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.in_time(|| {
            if lifetime == Lifetime::Expired {
                return self.delete(key).map(|_| true);
            }
            match self.split(key, value, lifetime) {
                Some(pieces) => self.put(key, &pieces, 0, lifetime),
                None => self.delete(key).map(|_| false),
            }
        })
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.in_time(|| {
            let reading = self.read_one(key)?;
            if matches!(reading, Reading::Whole(_)) {
                return Ok(false);
            }
            if lifetime == Lifetime::Expired {
                return Ok(true);
            }
            let Some(pieces) = self.split(key, value, lifetime) else {
                return Ok(false);
            };
            let first_key = piece_key(key, 0);
            if let Reading::Torn(first) = reading {
                self.memcached
                    .compare_exchange(&first_key, &first, None, lifetime)?;
            }
            // Of several, the one whose first piece is stored writes the others.
            if !self.memcached.add(&first_key, &pieces[0], lifetime)? {
                return Ok(false);
            }
            self.put(key, &pieces, 1, lifetime)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(self.delete_many(&[key])? == [true])
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        self.in_time(|| Ok(self.find(key)?.is_some()))
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        self.memcached.remaining(&piece_key(key, 0))
    }

    fn clear(&self) -> Result<bool> {
        self.memcached.clear()
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.in_time(|| {
            let invalid = |why: &str| Error::new(ErrorKind::Value, "incr", "memcached", why);
            let deadline = Deadline::of_operation(self.memcached.operation_timeout());
            loop {
                let found = self.find(key)?;
                let sum = match &found {
                    None => delta,
                    Some(found) => std::str::from_utf8(&found.whole.data)
                        .ok()
                        .and_then(|digits| digits.parse::<i64>().ok())
                        .ok_or_else(|| invalid("what is stored is not an integer"))?
                        .checked_add(delta)
                        .ok_or_else(|| invalid("the sum does not fit 64 bits"))?,
                };
                let value = sum.to_string().into_bytes().into();
                let done = match &found {
                    None => self.add(key, &value, lifetime)?,
                    Some(found) => self.exchange(key, found, Some(&value), lifetime)?,
                };
                if done {
                    return Ok(sum);
                }
                deadline.remaining().map_err(|error| {
                    Error::new(ErrorKind::Timeout, "incr", "memcached", error.to_string())
                })?;
            }
        })
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        self.in_time(|| {
            let Some(found) = self.find(key)? else {
                return Ok(false);
            };
            let pieces = count(&found.first).unwrap_or(self.most);
            let mut there = true;
            for index in 0..pieces {
                let extended = self.memcached.extend(&piece_key(key, index), lifetime)?;
                if !extended && count(&found.first).is_none() {
                    break;
                }
                there &= extended;
            }
            Ok(there)
        })
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.in_time(|| match self.find(key)? {
            Some(found) if found.whole.data == expected.data => {
                self.exchange(key, &found, new, lifetime)
            }
            _ => Ok(false),
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        self.in_time(|| match self.find(key)? {
            Some(found) if found.whole.data == expected.data => {
                let new = (lifetime != Lifetime::Expired).then_some(value);
                self.put_over(key, &found, new, lifetime)
            }
            _ => Ok(false),
        })
    }

    fn is_left_alone(&self) -> bool {
        self.memcached.is_left_alone()
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.memcached.server_health()
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.in_time(|| {
            let mut values = Vec::with_capacity(keys.len());
            for (key, reading) in keys.iter().zip(self.read(keys)?) {
                values.push(match reading {
                    Reading::Torn(_) => self.get(key)?,
                    reading => reading.found().map(|found| found.whole.data.into()),
                });
            }
            Ok(values)
        })
    }

    /// Removes every piece that there can be: Flask-Caching 2.5.1 would join those that are left.
    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        let deleted = self
            .memcached
            .delete_many(&slices(&self.all_pieces(keys)))?;
        Ok(deleted.iter().step_by(self.most).copied().collect())
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        if lifetime == Lifetime::Expired {
            let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| *key).collect();
            return Ok(self.delete_many(&keys)?.iter().map(|_| true).collect());
        }
        let mut pieces: Vec<(usize, Vec<u8>, Value)> = Vec::new();
        let mut stored = vec![true; entries.len()];
        for (place, (key, value)) in entries.iter().enumerate() {
            match self.split(key, value, lifetime) {
                None => stored[place] = false,
                Some(split) => pieces.extend(
                    split
                        .into_iter()
                        .enumerate()
                        .map(|(index, piece)| (place, piece_key(key, index), piece)),
                ),
            }
        }
        self.in_time(|| {
            let put: Vec<(&[u8], &Value)> = pieces
                .iter()
                .map(|(_, key, piece)| (key.as_slice(), piece))
                .collect();
            let done = self.memcached.set_many(&put, lifetime)?;
            for ((place, _, _), done) in pieces.iter().zip(done) {
                stored[*place] &= done;
            }
            let refused: Vec<&[u8]> = entries
                .iter()
                .zip(&stored)
                .filter(|(_, stored)| !**stored)
                .map(|((key, _), _)| *key)
                .collect();
            if !refused.is_empty() {
                self.delete_many(&refused)?;
            }
            Ok(stored)
        })
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        let pieces = self.memcached.delete_each(&slices(&self.all_pieces(keys)));
        let mut pieces = pieces.into_iter();
        keys.iter()
            .map(|_| {
                // All of its own, before one that failed ends the reading of them.
                let own: Vec<Result<bool>> = pieces.by_ref().take(self.most).collect();
                let own: Result<Vec<bool>> = own.into_iter().collect();
                // Whether there was an entry is whether there was a first piece.
                own.map(|own| own.first() == Some(&true))
            })
            .collect()
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.memcached.owe(&slices(&self.all_pieces(keys)))
    }

    fn owes(&self) -> bool {
        self.memcached.owes()
    }
}
