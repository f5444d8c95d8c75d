//! Writes: in one transaction each, in a turn of their own.

use std::time::Duration;

use heed::{MdbError, PutFlags, RwTxn};

use super::entry::{self, Entry, NEVER, Place, place};
use super::environment::Parts;
use super::eviction::{self, Size, expiry_key};
use super::room::Claim;
use super::{LmdbStore, PATIENCE, failure};
use crate::{Error, ErrorKind, Lifetime, Result, Value, clock};

/// A write transaction.
pub(super) struct Writing<'a> {
    parts: &'a Parts,
    txn: RwTxn<'a>,
    limit: Size,
    now: u64,
    size: Size,
    claim: Claim,
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
            let is_full = matches!(error, heed::Error::Mdb(MdbError::MapFull));
            if is_full && clock::exact().since(start) < PATIENCE {
                self.give_way(parts, operation)?;
                drop(turn);
                pause(attempt);
                continue;
            }
            drop(turn);
            if is_full || attempt > 0 || !self.recover(environment, operation, &error)? {
                return Err(failure(operation, &self.path, &error));
            }
        }
        unreachable!("the loop ends by returning")
    }

    fn write_once<T>(
        &self,
        parts: &Parts,
        write: impl Fn(&mut Writing<'_>) -> heed::Result<T>,
    ) -> heed::Result<T> {
        let mut writing = Writing::begin(parts, self.options.threshold)?;
        let before = writing.size;
        let result = write(&mut writing)?;
        if writing.size != before {
            let size = writing.size;
            size.write(parts, &mut writing.txn)?;
        }
        writing.txn.commit()?;
        Ok(result)
    }

    /// Takes away a part of what there is, where the file has no room because its pages are more
    /// scattered than was counted on.
    fn give_way(&self, parts: &Parts, operation: &'static str) -> Result<()> {
        let give = || {
            parts.env.clear_stale_readers()?;
            // One in a transaction, which itself needs room for the pages that it changes.
            for _ in 0..16 {
                let mut txn = parts.env.write_txn()?;
                let mut size = Size::read(parts, &txn)?;
                if size.bytes < parts.max_bytes / 2 {
                    // It is not the entries.
                    break;
                }
                eviction::evict(parts, &mut txn, &mut size)?;
                size.write(parts, &mut txn)?;
                txn.commit()?;
            }
            Ok(())
        };
        match give() {
            Err(heed::Error::Mdb(MdbError::MapFull)) => Ok(()),
            other => other.map_err(|error| failure(operation, &self.path, &error)),
        }
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
            claim: Claim::new(parts.used()),
            // Later than all that were given before, with room for those of this transaction.
            order: (txn.id() as u64) << 16,
            txn,
            buffer: Vec::new(),
        })
    }

    /// The live value under `key`.
    pub(super) fn live(&self, key: &[u8]) -> heed::Result<Option<Entry<'_>>> {
        let stored = self
            .parts
            .entries
            .get(&self.txn, &place(self.parts.seed, key))?;
        let entry = stored.and_then(Entry::read);
        Ok(entry.filter(|entry| entry.key == key && entry.is_live(self.now)))
    }

    /// Stores a value for `lifetime`.
    pub(super) fn put(&mut self, key: &[u8], value: &Value, life: Lifetime) -> heed::Result<()> {
        match entry::expiry(life, self.now) {
            Some(expires) => self.put_until(key, &value.data, value.flags, expires),
            None => self.delete(key).map(drop),
        }
    }

    fn put_until(&mut self, key: &[u8], data: &[u8], flags: u32, expires: u64) -> heed::Result<()> {
        self.claim.store(key.len() + data.len());
        self.ensure_room()?;
        let place = place(self.parts.seed, key);
        let former = self.former(&place, key)?;
        let mut entry = Entry {
            expires,
            order: 0,
            flags,
            key,
            data,
        };
        let cost = entry.cost();
        let order = if let Some((former, order)) = former {
            // It keeps its place among those that may leave, as if it was read.
            self.parts.visited.mark(&place);
            if former != NEVER && former != expires {
                let row = expiry_key(former, order);
                self.parts.expiry.delete(&mut self.txn, &row)?;
            }
            order
        } else {
            self.take_order(&place, cost)?
        };
        entry.order = order;
        entry.write(&mut self.buffer);
        self.parts
            .entries
            .put(&mut self.txn, &place, &self.buffer)?;
        if expires != NEVER {
            let row = expiry_key(expires, order);
            self.parts.expiry.put(&mut self.txn, &row, &place)?;
        }
        self.size.add(&entry);
        Ok(())
    }

    /// A place in the order of eviction for a new entry, for which room is made.
    fn take_order(&mut self, place: &Place, cost: u64) -> heed::Result<u64> {
        let (limit, now) = (self.limit, self.now);
        if eviction::is_over(self.size, cost, limit) {
            self.claim.evict();
            self.ensure_room()?;
        }
        eviction::make_room(self.parts, &mut self.txn, cost, limit, now, &mut self.size)?;
        self.order += 1;
        // What was at this place before is not this one.
        self.parts.visited.take(place);
        let row = self.order.to_be_bytes();
        let (txn, flags) = (&mut self.txn, PutFlags::APPEND);
        self.parts.order.put_with_flags(txn, flags, &row, place)?;
        Ok(self.order)
    }

    /// What is at `place`: the expiry and the order of an entry under `key`, whose size is not counted any
    /// more. An entry of another key that is found there is taken away.
    fn former(&mut self, place: &Place, key: &[u8]) -> heed::Result<Option<(u64, u64)>> {
        let Some(stored) = self.parts.entries.get(&self.txn, place)? else {
            return Ok(None);
        };
        let Some(entry) = Entry::read(stored) else {
            // Its rows elsewhere lead to what is stored now.
            return Ok(None);
        };
        if entry.key == key {
            self.size.remove(&entry);
            return Ok(Some((entry.expires, entry.order)));
        }
        let stored = stored.to_vec();
        if let Some(entry) = Entry::read(&stored) {
            eviction::remove(self.parts, &mut self.txn, place, &entry, &mut self.size)?;
        }
        Ok(None)
    }

    /// Makes sure that there is room for what is claimed.
    fn ensure_room(&self) -> heed::Result<()> {
        if let Some(room) = &self.parts.room {
            room.ensure(&self.claim, self.parts.writer.taken())?;
        }
        Ok(())
    }

    /// Removes `key`; whether it had a live entry.
    pub(super) fn delete(&mut self, key: &[u8]) -> heed::Result<bool> {
        self.claim.delete();
        self.ensure_room()?;
        let place = place(self.parts.seed, key);
        let Some(stored) = self.parts.entries.get(&self.txn, &place)? else {
            return Ok(false);
        };
        let Some(entry) = Entry::read(stored) else {
            self.parts.entries.delete(&mut self.txn, &place)?;
            return Ok(false);
        };
        if entry.key != key {
            return Ok(false);
        }
        let is_live = entry.is_live(self.now);
        // Without the value, of which nothing is needed but its length.
        let (expires, order, cost) = (entry.expires, entry.order, entry.cost());
        self.size.bytes = self.size.bytes.saturating_sub(cost);
        self.size.entries = self.size.entries.saturating_sub(1);
        self.parts.entries.delete(&mut self.txn, &place)?;
        self.parts
            .order
            .delete(&mut self.txn, &order.to_be_bytes())?;
        if expires != NEVER {
            let row = expiry_key(expires, order);
            self.parts.expiry.delete(&mut self.txn, &row)?;
        }
        Ok(is_live)
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) -> heed::Result<()> {
        self.ensure_room()?;
        for table in [self.parts.entries, self.parts.order, self.parts.expiry] {
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
            Some(entry) => (number(entry.data), entry.flags, Some(entry.expires)),
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
            let (data, flags) = (entry.data.to_vec(), entry.flags);
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
            found.filter(|entry| entry.data == expected.data && entry.flags == expected.flags);
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
            .is_some_and(|it| it.data == expected.data && it.flags == expected.flags);
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
