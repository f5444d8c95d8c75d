//! Values that are longer than a record may be, in pieces.
//!
//! LMDB stores a long value on pages in a row, and fails where there are none; in a file that has been
//! full, free pages are anywhere. So no record is longer than half a page.

use std::borrow::Cow;
use std::ops::Bound;

use heed::{PutFlags, RoTxn, RwTxn};

use super::entry::{Entry, Head, PIECE, Place};
use super::environment::Parts;

/// What the rows begin with that tell of pieces nobody needs any more.
const LEFT: &[u8] = b"left";

/// The entry at `place`; `None`: there is none, or it is damaged.
pub(super) fn entry_at<'a>(
    parts: &Parts,
    txn: &'a RoTxn<'_>,
    place: &Place,
) -> heed::Result<Option<Entry<'a>>> {
    let stored = parts.entries.get(txn, place)?;
    match stored.and_then(Head::read) {
        None => Ok(None),
        Some((head, rest)) => entry_of(parts, txn, &head, rest),
    }
}

/// The entry with this head, and with `rest` behind it in its record.
pub(super) fn entry_of<'a>(
    parts: &Parts,
    txn: &'a RoTxn<'_>,
    head: &Head,
    rest: &'a [u8],
) -> heed::Result<Option<Entry<'a>>> {
    let body = if head.pieces == 0 {
        Cow::Borrowed(rest)
    } else {
        Cow::Owned(joined(parts, txn, head)?)
    };
    Ok(Entry::of(head, body))
}

fn joined(parts: &Parts, txn: &RoTxn<'_>, head: &Head) -> heed::Result<Vec<u8>> {
    // Where the head is damaged, it may say anything.
    let length = head.length.min(parts.max_bytes);
    let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let (first, last) = (key(head.pieces, 0), key(head.pieces, u32::MAX));
    let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
    for piece in parts.pieces.range(txn, &range)? {
        body.extend_from_slice(piece?.1);
        if body.len() as u64 >= length {
            break;
        }
    }
    Ok(body)
}

/// Stores `body` under a number that is larger than all before.
pub(super) fn store(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    pieces: u64,
    body: &[u8],
) -> heed::Result<()> {
    for (number, piece) in (0..).zip(body.chunks(PIECE)) {
        let row = key(pieces, number);
        let flags = PutFlags::APPEND;
        parts.pieces.put_with_flags(txn, flags, &row, piece)?;
    }
    Ok(())
}

/// Takes away the pieces of an entry; where they are many, it is noted that they are to be taken
/// away: a transaction of LMDB's needs room itself for what it takes away.
pub(super) fn discard(parts: &Parts, txn: &mut RwTxn<'_>, head: &Head) -> heed::Result<()> {
    let count = head.count();
    if count <= parts.pages.pieces() {
        return remove(parts, txn, head.pieces, 0..count);
    }
    parts.writer.note_left(true);
    let row = [LEFT, &head.pieces.to_be_bytes()].concat();
    parts.about.put(txn, &row, &count.to_le_bytes())
}

/// Takes away some of the pieces that nobody needs any more; `false`: there are none.
pub(super) fn sweep(parts: &Parts, txn: &mut RwTxn<'_>) -> heed::Result<bool> {
    let range = (Bound::Included(LEFT), Bound::Unbounded);
    let found = parts.about.range(txn, &range)?.next().transpose()?;
    let Some((row, count)) = found.filter(|(row, _)| row.starts_with(LEFT)) else {
        return Ok(false);
    };
    let number = row[LEFT.len()..].try_into().map(u64::from_be_bytes);
    let count = count.try_into().map_or(0, u32::from_le_bytes);
    let row = row.to_vec();
    let from = count.saturating_sub(parts.pages.pieces());
    if let Ok(number) = number {
        remove(parts, txn, number, from..count)?;
    }
    if from == 0 {
        parts.about.delete(txn, &row)?;
    } else {
        parts.about.put(txn, &row, &from.to_le_bytes())?;
    }
    Ok(true)
}

fn remove(
    parts: &Parts,
    txn: &mut RwTxn<'_>,
    pieces: u64,
    numbers: std::ops::Range<u32>,
) -> heed::Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let (first, end) = (key(pieces, numbers.start), key(pieces, numbers.end));
    let range = (Bound::Included(&first[..]), Bound::Excluded(&end[..]));
    parts.pieces.delete_range(txn, &range).map(drop)
}

fn key(pieces: u64, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&pieces.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}
