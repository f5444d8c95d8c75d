//! What leaves a full store: first what has expired, then by SIEVE.
//!
//! The order of eviction is that of the first writes. A hand goes over it from the oldest to the
//! newest; what was read since it last came by is passed, the first that was not leaves.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use heed::RwTxn;

use super::entry::{Head, Place};
use super::environment::Parts;
use super::pieces;

/// How many entries that have expired a write takes away, at most, where there is room.
const SWEPT: usize = 4;

/// How many entries the hand passes for one that leaves, at most.
const PASSED: usize = 256;

/// How many entries leave in the transaction of a write, at most: it needs a new page for each that it
/// changes. More leave before.
pub(super) const LEAVING: usize = 8;

const SIZE: &[u8] = b"size";

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// As [`cost`](super::entry::cost) counts.
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// How many entries had to make room since the store was made.
    pub(super) evictions: u64,
}

impl Size {
    pub(super) fn read(parts: &Parts, txn: &heed::RoTxn<'_>) -> heed::Result<Self> {
        let stored = parts.about.get(txn, SIZE)?;
        let number = |at: usize| {
            let number = stored?.get(at..at + 8)?;
            number.try_into().ok().map(u64::from_le_bytes)
        };
        Ok(Self {
            bytes: number(0).unwrap_or(0),
            entries: number(8).unwrap_or(0),
            evictions: number(16).unwrap_or(0),
        })
    }

    pub(super) fn write(self, parts: &Parts, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        let numbers = [self.bytes, self.entries, self.evictions].map(u64::to_le_bytes);
        parts.about.put(txn, SIZE, numbers.as_flattened())
    }

    pub(super) fn add(&mut self, cost: u64) {
        self.bytes += cost;
        self.entries += 1;
    }

    pub(super) fn remove(&mut self, cost: u64) {
        self.bytes = self.bytes.saturating_sub(cost);
        self.entries = self.entries.saturating_sub(1);
    }
}

/// The key of an entry in the table of expiries.
pub(super) fn expiry_key(expires: u64, order: u64) -> [u8; 16] {
    (u128::from(expires) << 64 | u128::from(order)).to_be_bytes()
}

/// Takes the entry at `place` out of all tables.
pub(super) fn remove(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    place: &Place,
    head: &Head,
    size: &mut Size,
) -> heed::Result<()> {
    let (expires, order) = (head.expires, head.order);
    size.remove(head.cost());
    parts.entries.delete(txn, place)?;
    pieces::discard(parts, txn, head)?;
    parts.order.delete(txn, &order.to_be_bytes())?;
    if expires != super::entry::NEVER {
        parts.expiry.delete(txn, &expiry_key(expires, order))?;
    }
    Ok(())
}

/// Makes room for `bytes` in a store that may hold `limit`, an entry included; `false`: more entries would
/// have to leave than do here.
pub(super) fn make_room(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    bytes: u64,
    limit: Size,
    now: u64,
    size: &mut Size,
) -> heed::Result<bool> {
    let mut gone = 0;
    while gone < SWEPT && sweep(parts, txn, now, size)? {
        gone += 1;
    }
    while is_over(*size, bytes, limit) {
        let is_gone = gone < LEAVING && (sweep(parts, txn, now, size)? || evict(parts, txn, size)?);
        if !is_gone {
            return Ok(false);
        }
        gone += 1;
    }
    Ok(true)
}

pub(super) fn is_over(size: Size, bytes: u64, limit: Size) -> bool {
    size.bytes + bytes > limit.bytes || (limit.entries != 0 && size.entries >= limit.entries)
}

/// Takes away the entry that expired first; `false`: none has.
pub(super) fn sweep(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    now: u64,
    size: &mut Size,
) -> heed::Result<bool> {
    let Some((key, place)) = parts.expiry.first(txn)? else {
        return Ok(false);
    };
    let expired = key
        .first_chunk()
        .map(|expires| u64::from_be_bytes(*expires));
    if expired.is_some_and(|expires| expires > now) {
        return Ok(false);
    }
    let (key, place) = (key.to_vec(), place.to_vec());
    parts.expiry.delete(txn, &key)?;
    take_away(parts, txn, &place, size)
}

/// Takes away the entry that SIEVE chooses; `false`: there is none.
pub(super) fn evict(parts: &Parts, txn: &mut RwTxn<'_>, size: &mut Size) -> heed::Result<bool> {
    let hand = parts.visited.hand();
    let start = hand.load(Ordering::Relaxed).to_be_bytes();
    let mut chosen = None;
    let mut passed = 0;
    // From the hand to the newest, and then from the oldest.
    'found: for from in [Bound::Included(&start[..]), Bound::Unbounded] {
        let mut rows = parts.order.range(txn, &(from, Bound::Unbounded))?;
        while let Some(row) = rows.next() {
            let (order, place) = row?;
            passed += 1;
            let is_visited = place
                .try_into()
                .is_ok_and(|place| parts.visited.take(place));
            if !is_visited || passed > PASSED {
                chosen = Some((order.to_vec(), place.to_vec(), rows.next().is_none()));
                break 'found;
            }
        }
    }
    let Some((order, place, is_newest)) = chosen else {
        // All that is left was read, and is passed now.
        return match parts.order.first(txn)?.map(|(_, place)| place.to_vec()) {
            Some(place) => leave(parts, txn, &place, size),
            None => Ok(false),
        };
    };
    if let Ok(order) = order.as_slice().try_into() {
        // Behind the newest is the oldest: or one after the other that is stored would leave at once.
        let next = u64::from_be_bytes(order) + 1;
        hand.store(if is_newest { 0 } else { next }, Ordering::Relaxed);
    }
    parts.order.delete(txn, &order)?;
    leave(parts, txn, &place, size)
}

/// [`take_away`], for the sake of others.
fn leave(parts: &Parts, txn: &mut RwTxn<'_>, place: &[u8], size: &mut Size) -> heed::Result<bool> {
    let done = take_away(parts, txn, place, size)?;
    size.evictions += u64::from(done);
    Ok(done)
}

/// Takes away the entry at `place`, whatever is there.
fn take_away(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    place: &[u8],
    size: &mut Size,
) -> heed::Result<bool> {
    let stored = parts.entries.get(txn, place)?;
    match (stored.map(Head::read), place.try_into()) {
        (Some(Some((head, _))), Ok(place)) => remove(parts, txn, place, &head, size)?,
        // Damaged: it is not known what else there is of it.
        (Some(None), _) => {
            parts.entries.delete(txn, place)?;
        }
        _ => {}
    }
    Ok(true)
}
