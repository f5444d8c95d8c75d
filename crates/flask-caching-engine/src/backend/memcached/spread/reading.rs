//! How values are put together again, also while somebody writes them.

use super::pieces::{Whole, count, join, piece_key};
use super::{Spread, slices};
use crate::Result;
use crate::backend::{Backend, Value};

/// More pieces than this are not asked for, whatever an entry says of itself.
const MOST_PIECES: usize = 4096;

/// How often an entry is read again whose pieces do not belong together: somebody is writing it.
const READS: usize = 3;

/// What was read under a key.
pub(super) enum Reading {
    Missing,
    /// Pieces that do not belong together, of which this is the first: what is left of an entry, or
    /// one that somebody is writing.
    Torn(Value),
    Whole(Found),
}

/// An entry as it was read.
pub(super) struct Found {
    pub(super) whole: Whole,
    /// The first piece, by which a change of the entry is noticed.
    pub(super) first: Value,
}

impl Spread {
    pub(super) fn read(&self, keys: &[&[u8]]) -> Result<Vec<Reading>> {
        let firsts: Vec<Vec<u8>> = keys.iter().map(|key| piece_key(key, 0)).collect();
        let firsts = self.memcached.get_many(&slices(&firsts))?;
        let mut others = Vec::new();
        let mut counts = Vec::with_capacity(keys.len());
        for (key, first) in keys.iter().zip(&firsts) {
            let pieces = first
                .as_ref()
                .map_or(1, |first| count(first).unwrap_or(self.most))
                .clamp(1, MOST_PIECES);
            others.extend((1..pieces).map(|index| piece_key(key, index)));
            counts.push(pieces - 1);
        }
        let mut others = if others.is_empty() {
            Vec::new()
        } else {
            self.memcached.get_many(&slices(&others))?
        }
        .into_iter();
        let readings = keys.iter().zip(firsts).zip(counts);
        Ok(readings
            .map(|((key, first), count)| {
                let Some(first) = first else {
                    return Reading::Missing;
                };
                let mut pieces = vec![Some(first.clone())];
                pieces.extend(others.by_ref().take(count));
                match join(key, &pieces) {
                    Some(whole) => Reading::Whole(Found { whole, first }),
                    None => Reading::Torn(first),
                }
            })
            .collect())
    }

    /// What is under `key`. Where it is torn it is read again: somebody may be writing it.
    pub(super) fn read_one(&self, key: &[u8]) -> Result<Reading> {
        let mut reading = Reading::Missing;
        for _ in 0..READS {
            reading = self.read(&[key])?.pop().unwrap_or(Reading::Missing);
            if !matches!(reading, Reading::Torn(_)) {
                break;
            }
        }
        Ok(reading)
    }

    /// The entry under `key`.
    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Found>> {
        Ok(self.read_one(key)?.found())
    }
}

impl Reading {
    pub(super) fn found(self) -> Option<Found> {
        match self {
            Self::Whole(found) => Some(found),
            Self::Missing | Self::Torn(_) => None,
        }
    }
}
