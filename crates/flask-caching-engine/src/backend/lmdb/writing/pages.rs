//! Room within the file: its pages, which are counted before they are written.
//!
//! A transaction of LMDB's writes each page that it changes anew, and what it frees is used again by the
//! one after the next. So a file that is full to its last page could not even be emptied. Some pages
//! are kept free for that; and what needs more room than there is waits until entries have left,
//! in transactions of their own.

use heed::RoTxn;

use super::room::Claim;
use crate::backend::lmdb::environment::Parts;
use crate::backend::lmdb::eviction::{self, Size};
use crate::backend::lmdb::pieces;

/// What the first change of a transaction writes anew beside its own pages, and what each takes.
const FIRST: u64 = 8;
pub(in crate::backend::lmdb) const CHANGE: u64 = 4;

/// How large a file may get, in pages.
#[derive(Clone, Copy)]
pub(in crate::backend::lmdb) struct Pages {
    most: u64,
    size: u64,
}

/// What an entry needs.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backend::lmdb) struct Wanted {
    /// As [`cost`](crate::backend::lmdb::entry::cost) counts.
    pub(in crate::backend::lmdb) bytes: u64,
    pub(in crate::backend::lmdb) pages: u64,
}

impl Pages {
    /// `bytes`: those of the mapping; `size`: those of a page.
    pub(in crate::backend::lmdb) fn new(bytes: u64, size: u64) -> Self {
        Self {
            most: bytes / size,
            size,
        }
    }

    /// How many pages a transaction may change that changes many.
    pub(in crate::backend::lmdb) fn at_once(self) -> u64 {
        (self.most / 44).max(12)
    }

    /// How many pieces are taken away at once. LMDB notes the numbers of what is freed in one record,
    /// which is not to be longer than a page.
    pub(in crate::backend::lmdb) fn pieces(self) -> u32 {
        u32::try_from(self.at_once().min(400)).unwrap_or(400)
    }

    /// What is kept free: for a transaction, for what the last two have freed, and for the list of it.
    fn reserve(self) -> u64 {
        3 * self.at_once() + self.most / 128
    }

    /// Whether there is room for `wanted` more pages where so many are used.
    pub(in crate::backend::lmdb) fn fit(self, used: u64, wanted: u64) -> bool {
        used + FIRST + wanted + self.reserve() <= self.most
    }

    /// How many pages so many bytes have.
    pub(in crate::backend::lmdb) fn of(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.size)
    }
}

/// How many pages the tables have.
pub(in crate::backend::lmdb) fn used(parts: &Parts, txn: &RoTxn<'_>) -> heed::Result<u64> {
    let mut pages = 0;
    for table in [parts.entries, parts.order, parts.expiry, parts.pieces] {
        let stat = table.stat(txn)?;
        pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
    }
    Ok(pages as u64)
}

/// Lets entries leave until there is room for what is `wanted`, or none are left. The caller has the turn
/// to write.
pub(in crate::backend::lmdb) fn make_way(
    parts: &Parts,
    wanted: Wanted,
    limit: Size,
    now: u64,
) -> heed::Result<()> {
    let mut is_enough = false;
    while !is_enough {
        let mut txn = parts.env.write_txn()?;
        let mut claim = Claim::new(parts.used());
        claim.evict();
        parts.ensure_room(&claim)?;
        let mut size = Size::read(parts, &txn)?;
        let before = size;
        for _ in 0..parts.pages.at_once() / CHANGE {
            is_enough = !eviction::is_over(size, wanted.bytes, limit)
                && parts.pages.fit(used(parts, &txn)?, wanted.pages);
            if is_enough {
                break;
            }
            let is_gone = eviction::sweep(parts, &mut txn, now, &mut size)?
                || eviction::evict(parts, &mut txn, &mut size)?;
            if !is_gone {
                is_enough = true;
                break;
            }
        }
        if size == before {
            break;
        }
        size.write(parts, &mut txn)?;
        txn.commit()?;
        sweep_left(parts)?;
    }
    // What was freed last is free after one more.
    let mut txn = parts.env.write_txn()?;
    Size::read(parts, &txn)?.write(parts, &mut txn)?;
    txn.commit()
}

/// Takes away the pieces that nobody needs any more. The caller has the turn to write.
pub(in crate::backend::lmdb) fn sweep_left(parts: &Parts) -> heed::Result<()> {
    while parts.writer.is_left() {
        let mut txn = parts.env.write_txn()?;
        let mut claim = Claim::new(parts.used());
        claim.evict();
        parts.ensure_room(&claim)?;
        if pieces::sweep(parts, &mut txn)? {
            txn.commit()?;
        } else {
            parts.writer.note_left(false);
        }
    }
    Ok(())
}
