//! Writes: in one transaction each, in a turn of their own.

pub(super) mod pages;
pub(super) mod room;
pub(super) mod writer;

use std::time::Duration;

use heed::{MdbError, PutFlags, RwTxn};

use super::entry::{self, Entry, Head, NEVER, New, Place, place};
use super::environment::Parts;
use super::eviction::{self, Size, expiry_key};
use super::pieces::{self, entry_at, entry_of};
use super::{LmdbStore, PATIENCE, failure};
use crate::{Error, ErrorKind, Lifetime, Result, Value, clock};
use pages::{CHANGE, Wanted};
use room::Claim;

/// A write transaction.
pub(super) struct Writing<'a> {
    parts: &'a Parts,
    txn: RwTxn<'a>,
    limit: Size,
    now: u64,
    size: Size,
    /// [`Size`] as it was.
    before: Size,
    claim: Claim,
    /// How many pages were in use when it began to store, and what has been stored since needs.
    used: Option<u64>,
    wanted: Wanted,
    /// Whether what is wanted is written however many pages are in use.
    is_insistent: bool,
    /// The last place in the order of eviction that was given.
    order: u64,
    buffer: Vec<u8>,
}

impl LmdbStore {
    /// Whether a value is small enough; that it is not is logged.
    pub(super) fn fits(&self, key: &[u8], value: &Value) -> bool {
        let most = self.options.max_bytes / 4;
        let cost = entry::cost(key.len() + value.data.len());
        if cost > most {
            log::warn!(
                "A value of {} bytes is not stored in {}: one entry takes a quarter of \
                 CACHE_MAX_BYTES at most, which is {most} bytes",
                value.data.len(),
                self.path.display()
            );
        }
        cost <= most
    }

    /// Writes in one transaction. Where it failed for want of room, what `write` does is done again:
    /// a reader that is not stopped is done soon with the pages that it keeps from being used again.
    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        write: impl Fn(&mut Writing<'_>) -> heed::Result<T>,
    ) -> Result<T> {
        let target = || self.path.display().to_string();
        let start = clock::exact();
        for attempt in 0u32.. {
            let environment = self.environment()?;
            if !environment.is_in_place() {
                continue;
            }
            let parts = environment.parts();
            let turn = parts.writer.turn(PATIENCE, || parts.env.info().last_txn_id);
            let turn = turn.map_err(|error| Error::io(operation, target(), error))?;
            let Some(turn) = turn else {
                return Err(stopped(operation, target()));
            };
            let error = match self.write_once(parts, &write) {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            drop(turn);
            let is_full = matches!(error, heed::Error::Mdb(MdbError::MapFull));
            if is_full {
                let last = parts.env.info().last_txn_id;
                let patience = parts.writer.patience_for_pages(PATIENCE, last);
                if clock::exact().since(start) < patience {
                    pause(attempt);
                    continue;
                }
                parts.writer.note_kept(last);
            }
            if is_full || attempt > 0 || !self.recover(environment, operation, &error)? {
                return Err(failure(operation, &self.path, &error));
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Writes, and once more where entries have to leave first.
    fn write_once<T>(
        &self,
        parts: &Parts,
        write: impl Fn(&mut Writing<'_>) -> heed::Result<T>,
    ) -> heed::Result<T> {
        let mut writing = Writing::begin(parts, self.options.threshold)?;
        let result = match write(&mut writing) {
            Err(heed::Error::Mdb(MdbError::MapFull)) => {
                let (mut wanted, limit, now) = (writing.wanted, writing.limit, writing.now);
                // What comes behind is not counted yet.
                wanted.pages = wanted.pages.max(parts.pages.at_once());
                drop(writing);
                parts.env.clear_stale_readers()?;
                pages::make_way(parts, wanted, limit, now)?;
                writing = Writing::begin(parts, self.options.threshold)?;
                // There is what room there can be.
                writing.is_insistent = true;
                write(&mut writing)?
            }
            result => result?,
        };
        writing.commit()?;
        // It is written: what this fails to take away, the next one does.
        let _ = pages::sweep_left(parts);
        Ok(result)
    }

    /// How many entries are changed in one turn.
    pub(super) fn changes_at_once(&self) -> Result<usize> {
        /// Others do not wait long.
        const MOST: u64 = 1000;
        let at_once = self.environment()?.parts().pages.at_once() / CHANGE;
        Ok(usize::try_from(at_once.min(MOST)).unwrap_or(1))
    }

    /// How many of `entries`, of which there is one at least, are stored in one turn.
    pub(super) fn in_one_turn(&self, entries: &[(&[u8], &Value)], at_once: usize) -> Result<usize> {
        let pages = self.environment()?.parts().pages;
        let mut sum = 0;
        let fit = entries.iter().take(at_once).take_while(|(key, value)| {
            // Another one may have to leave for each.
            sum += 2 * CHANGE + pages.of(entry::cost(key.len() + value.data.len()));
            sum <= pages.at_once()
        });
        Ok(fit.count().max(1))
    }
}

impl<'a> Writing<'a> {
    fn begin(parts: &'a Parts, threshold: u64) -> heed::Result<Self> {
        let txn = parts.env.write_txn()?;
        let size = Size::read(parts, &txn)?;
        Ok(Self {
            parts,
            limit: Size {
                bytes: parts.max_bytes,
                entries: threshold,
                evictions: 0,
            },
            now: entry::now(),
            size,
            before: size,
            used: None,
            wanted: Wanted::default(),
            is_insistent: false,
            claim: Claim::new(parts.used()),
            // Later than all that were given before, with room for those of this transaction.
            order: (txn.id() as u64) << 16,
            txn,
            buffer: Vec::new(),
        })
    }

    fn commit(mut self) -> heed::Result<()> {
        if self.size != self.before {
            self.size.write(self.parts, &mut self.txn)?;
        }
        self.txn.commit()
    }

    /// The live value under `key`.
    pub(super) fn live(&self, key: &[u8]) -> heed::Result<Option<Entry<'_>>> {
        let entry = entry_at(self.parts, &self.txn, &place(self.parts.seed, key))?;
        Ok(entry.filter(|entry| entry.key() == key && entry.is_live(self.now)))
    }

    /// Stores a value for `lifetime`.
    pub(super) fn put(&mut self, key: &[u8], value: &Value, life: Lifetime) -> heed::Result<()> {
        match entry::expiry(life, self.now) {
            Some(expires) => self.put_until(key, &value.data, value.flags, expires),
            None => self.delete(key).map(drop),
        }
    }

    fn put_until(&mut self, key: &[u8], data: &[u8], flags: u32, expires: u64) -> heed::Result<()> {
        let length = key.len() + data.len();
        let cost = entry::cost(length);
        self.want(cost, entry::is_long(length))?;
        self.claim.store(length);
        self.parts.ensure_room(&self.claim)?;
        let place = place(self.parts.seed, key);
        let former = self.former(&place, key)?;
        self.make_room(&place, cost)?;
        let order = match former {
            // It keeps its place among those that may leave, as if it was read.
            Some(order) if self.has_order(order)? => {
                self.parts.visited.mark(&place);
                order
            }
            _ => self.take_order(&place)?,
        };
        let pieces = if entry::is_long(length) {
            self.next_order()
        } else {
            0
        };
        let new = New {
            expires,
            order,
            flags,
            key,
            data,
        };
        new.write(pieces, &mut self.buffer);
        let mut record = &self.buffer[..];
        if pieces != 0 {
            let (head, body) = entry::divided(&self.buffer);
            pieces::store(self.parts, &mut self.txn, pieces, body)?;
            record = head;
        }
        self.parts.entries.put(&mut self.txn, &place, record)?;
        if expires != NEVER {
            let row = expiry_key(expires, order);
            self.parts.expiry.put(&mut self.txn, &row, &place)?;
        }
        self.size.add(cost);
        Ok(())
    }

    /// Counts what is about to be stored; fails where there are not so many pages.
    fn want(&mut self, cost: u64, is_long: bool) -> heed::Result<()> {
        let used = match self.used {
            Some(used) => used,
            None => *self.used.insert(pages::used(self.parts, &self.txn)?),
        };
        self.wanted.bytes += cost;
        self.wanted.pages += CHANGE;
        if is_long {
            self.wanted.pages += self.parts.pages.of(cost);
        }
        if self.is_insistent || self.parts.pages.fit(used, self.wanted.pages) {
            return Ok(());
        }
        Err(heed::Error::Mdb(MdbError::MapFull))
    }

    /// Makes room for an entry of this `cost` at `place`; what is still there is counted no more.
    fn make_room(&mut self, place: &Place, cost: u64) -> heed::Result<()> {
        if eviction::is_over(self.size, cost, self.limit) {
            self.claim.evict();
            self.parts.ensure_room(&self.claim)?;
            // Or it might leave, and be counted twice.
            self.parts.entries.delete(&mut self.txn, place)?;
        }
        let (txn, size) = (&mut self.txn, &mut self.size);
        let is_made = eviction::make_room(self.parts, txn, cost, self.limit, self.now, size)?;
        if is_made || self.is_insistent {
            return Ok(());
        }
        Err(heed::Error::Mdb(MdbError::MapFull))
    }

    /// Whether a place in the order of eviction is still taken.
    fn has_order(&self, order: u64) -> heed::Result<bool> {
        let found = self.parts.order.get(&self.txn, &order.to_be_bytes())?;
        Ok(found.is_some())
    }

    /// A place in the order of eviction for a new entry.
    fn take_order(&mut self, place: &Place) -> heed::Result<u64> {
        let order = self.next_order();
        // What was at this place before is not this one.
        self.parts.visited.take(place);
        let row = order.to_be_bytes();
        let (txn, flags) = (&mut self.txn, PutFlags::APPEND);
        self.parts.order.put_with_flags(txn, flags, &row, place)?;
        Ok(order)
    }

    fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// The place in the order of eviction of what is at `place` under `key`, whose size and expiry are not
    /// counted any more. An entry of another key that is found there is taken away.
    fn former(&mut self, place: &Place, key: &[u8]) -> heed::Result<Option<u64>> {
        let Some(stored) = self.parts.entries.get(&self.txn, place)? else {
            return Ok(None);
        };
        let Some((head, rest)) = Head::read(stored) else {
            // Its rows elsewhere lead to what is stored now.
            return Ok(None);
        };
        let found = entry_of(self.parts, &self.txn, &head, rest)?;
        if found.is_some_and(|found| found.key() == key) {
            self.size.remove(head.cost());
            pieces::discard(self.parts, &mut self.txn, &head)?;
            if head.expires != NEVER {
                let row = expiry_key(head.expires, head.order);
                self.parts.expiry.delete(&mut self.txn, &row)?;
            }
            return Ok(Some(head.order));
        }
        eviction::remove(self.parts, &mut self.txn, place, &head, &mut self.size)?;
        Ok(None)
    }

    /// Removes `key`; whether it had a live entry.
    pub(super) fn delete(&mut self, key: &[u8]) -> heed::Result<bool> {
        self.claim.delete();
        self.parts.ensure_room(&self.claim)?;
        let place = place(self.parts.seed, key);
        let Some(stored) = self.parts.entries.get(&self.txn, &place)? else {
            return Ok(false);
        };
        let Some((head, rest)) = Head::read(stored) else {
            self.parts.entries.delete(&mut self.txn, &place)?;
            return Ok(false);
        };
        let is_live = match entry_of(self.parts, &self.txn, &head, rest)? {
            Some(entry) if entry.key() != key => return Ok(false),
            found => found.is_some_and(|entry| entry.is_live(self.now)),
        };
        eviction::remove(self.parts, &mut self.txn, &place, &head, &mut self.size)?;
        Ok(is_live)
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> heed::Result<()> {
        self.parts.ensure_room(&self.claim)?;
        let Parts {
            entries,
            order,
            expiry,
            pieces,
            ..
        } = self.parts;
        for table in [entries, order, expiry, pieces] {
            table.clear(&mut self.txn)?;
        }
        self.size = Size {
            evictions: self.size.evictions,
            ..Size::default()
        };
        Ok(())
    }

    /// Adds to the integer under `key`; or says why not.
    pub(super) fn incr(
        &mut self,
        key: &[u8],
        delta: i64,
        lifetime: Lifetime,
    ) -> heed::Result<std::result::Result<i64, &'static str>> {
        let found = self.live(key)?;
        let (number, flags, expires) = match &found {
            None => (Some(0), 0, entry::expiry(lifetime, self.now)),
            Some(entry) => (number(entry.data()), entry.flags, Some(entry.expires)),
        };
        let Some(number) = number else {
            return Ok(Err("the stored value is not an integer"));
        };
        let Some(sum) = number.checked_add(delta) else {
            return Ok(Err("the sum is no integer of 64 bits"));
        };
        if let Some(expires) = expires {
            self.put_until(key, sum.to_string().as_bytes(), flags, expires)?;
        }
        Ok(Ok(sum))
    }

    /// Lets the entry under `key` live longer; `false`: there is none.
    pub(super) fn extend(&mut self, key: &[u8], lifetime: Lifetime) -> heed::Result<bool> {
        let until = entry::expiry(lifetime, self.now);
        let Some(entry) = self.live(key)? else {
            return Ok(false);
        };
        if let Some(until) = until.filter(|until| *until > entry.expires) {
            let (data, flags) = (entry.data().to_vec(), entry.flags);
            self.put_until(key, &data, flags, until)?;
        }
        Ok(true)
    }

    /// Puts `new` in the place of `expected`; `false`: there is something else.
    pub(super) fn compare_exchange(
        &mut self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
    ) -> heed::Result<bool> {
        let found = self.live(key)?;
        let same =
            found.filter(|entry| entry.data() == expected.data && entry.flags == expected.flags);
        let Some(expires) = same.map(|entry| entry.expires) else {
            return Ok(false);
        };
        match new {
            Some(new) => self.put_until(key, &new.data, new.flags, expires)?,
            None => drop(self.delete(key)?),
        }
        Ok(true)
    }

    /// Stores `value` in the place of `expected`; `false`: there is something else.
    pub(super) fn set_if(
        &mut self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> heed::Result<bool> {
        let is_there = self
            .live(key)?
            .is_some_and(|it| it.data() == expected.data && it.flags == expected.flags);
        if is_there {
            self.put(key, value, lifetime)?;
        }
        Ok(is_there)
    }
}

/// What a writer is told that has not got its turn.
pub(super) fn stopped(operation: &'static str, target: String) -> Error {
    let message = "another process has been writing for two seconds: it is stopped";
    Error::new(ErrorKind::Timeout, operation, target, message)
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when a reader is done"
)]
fn pause(attempt: u32) {
    std::thread::sleep(Duration::from_millis(1 << attempt.min(5)));
}

fn number(data: &[u8]) -> Option<i64> {
    std::str::from_utf8(data).ok()?.parse().ok()
}
