//! One store for all processes of a machine: LMDB, in a directory.
//!
//! Readers take no lock and never wait; a writer waits for the others, with a deadline, and is done
//! within microseconds: what is written was made before. LMDB's own promises hold for what a killed
//! process leaves. What is particular here:
//!
//! - `files`: which store of a directory is used, who may, and what a reboot or damage leaves.
//! - `environment`: one open environment for each process and directory, anew after a fork.
//! - `writing::room`: what is written has room on the disk before it is written.
//! - `writing::writer`: the turn to write, which unlike LMDB's can be waited for with a deadline.
//! - `entry`, `pieces`: the format of entries. `writing::pages`: room within the file. `eviction`, `visited`: what leaves a full store.

mod entry;
mod environment;
mod eviction;
mod failure;
mod files;
mod listing;
mod mapping;
mod pieces;
mod seen;
mod visited;
mod writing;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use heed::{MdbError, RoTxn};

use self::entry::{Entry, place};
use self::environment::{Environment, Parts};
use self::eviction::Size;
use self::failure::failure;
use self::files::opening;
use self::pieces::entry_at;
pub use self::seen::Seen;
use self::writing::Writing;
use super::{Backend, Presence, Value};
use crate::{Error, ErrorKind, Lifetime, Result};

/// The least that a store may be bounded to, in bytes.
pub const LEAST_BYTES: u64 = 1 << 20;

/// How long a write waits for another process, which is done within microseconds unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a store is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it lives: a directory of the local file system, made where it is missing.
    pub directory: PathBuf,
    /// The most bytes that entries take, with what belongs to them; at least [`LEAST_BYTES`].
    pub max_bytes: u64,
    /// The most entries that are kept; 0: no limit.
    pub threshold: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Entries, those that have expired and were not taken away yet included.
    pub entries: u64,
    /// Bytes, with what belongs to the entries.
    pub bytes: u64,
    /// How many entries had to make room for others since the store was made, by whichever process.
    pub evictions: u64,
}

/// A store that the processes of one machine share.
pub struct LmdbStore {
    options: Options,
    /// The canonical path of the directory.
    path: PathBuf,
    /// What was open, and last what is: another after a fork, and where the store was moved away.
    opened: OnceLock<Box<Opened>>,
}

struct Opened {
    environment: Arc<Environment>,
    next: OnceLock<Box<Opened>>,
}

impl LmdbStore {
    /// Opens the store of a directory, or makes one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: the directory cannot be used, or the bounds are none; the message says
    /// why. [`ErrorKind::Io`]: the system refused.
    pub fn open(options: Options) -> Result<Self> {
        if options.max_bytes < LEAST_BYTES {
            let message = format!("it must be {LEAST_BYTES} (1 MiB) or more");
            let target = "CACHE_MAX_BYTES";
            return Err(Error::new(
                ErrorKind::Config,
                "opening the shared cache",
                target,
                message,
            ));
        }
        let path = opening::directory(&options.directory)?;
        let store = Self {
            options,
            path,
            opened: OnceLock::new(),
        };
        store.environment()?;
        Ok(store)
    }

    /// How much it holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn held(&self) -> Result<Held> {
        let size = self.read("counting", Size::read)?;
        Ok(Held {
            entries: size.entries,
            bytes: size.bytes,
            evictions: size.evictions,
        })
    }

    /// The value under the key that `complete` makes of what is under `guard`, both of one moment; `None`
    /// where one of them is missing, or `complete` makes none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get_by_guard(
        &self,
        guard: &[u8],
        complete: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Option<Value>> {
        let now = entry::now();
        self.read("get", |parts, txn| {
            let guard = find_entry(parts, txn, guard, now)?;
            let key = guard.and_then(|guard| complete(guard.data()));
            key.map_or(Ok(None), |key| find(parts, txn, &key, now))
        })
    }

    /// The environment of this process.
    fn environment(&self) -> Result<&Environment> {
        let mut slot = &self.opened;
        loop {
            match slot.get() {
                Some(opened) if opened.environment.is_current() => return Ok(&opened.environment),
                Some(opened) => slot = &opened.next,
                None => {
                    let environment = environment::open(&self.path, &self.options)?;
                    let next = OnceLock::new();
                    // Where another thread was faster, it has the same one.
                    let _ = slot.set(Box::new(Opened { environment, next }));
                }
            }
        }
    }

    /// Reads in one transaction.
    fn read<T>(
        &self,
        operation: &'static str,
        read: impl Fn(&Parts, &RoTxn<'_>) -> heed::Result<T>,
    ) -> Result<T> {
        self.read_in(operation, |environment, txn| read(environment.parts(), txn))
    }

    /// Reads in one transaction, where `read` has to know of which environment.
    fn read_in<T>(
        &self,
        operation: &'static str,
        read: impl Fn(&Environment, &RoTxn<'_>) -> heed::Result<T>,
    ) -> Result<T> {
        for attempt in 0.. {
            let environment = self.environment()?;
            if !environment.is_in_place_lately() {
                continue;
            }
            let txn = environment.parts().env.read_txn();
            let error = match txn.and_then(|txn| read(environment, &txn)) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let is_worth_another = attempt == 0 && self.recover(environment, operation, &error)?;
            if !is_worth_another {
                return Err(failure(operation, &self.path, &error));
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// What can be done about a failure; `false`: nothing.
    fn recover(
        &self,
        environment: &Environment,
        operation: &'static str,
        error: &heed::Error,
    ) -> Result<bool> {
        let parts = environment.parts();
        if matches!(error, heed::Error::Mdb(MdbError::ReadersFull)) {
            let cleared = parts.env.clear_stale_readers();
            return cleared
                .map_err(|error| failure(operation, &self.path, &error))
                .map(|n| n > 0);
        }
        let failure = failure(operation, &self.path, error);
        if failure.kind() != ErrorKind::Protocol {
            return Ok(false);
        }
        if environment.is_in_place() {
            opening::set_aside(&self.path, &parts.path, &failure)
                .map_err(|error| Error::io(operation, self.path.display().to_string(), error))?;
            environment.retire();
        }
        Ok(true)
    }
}

impl Drop for LmdbStore {
    fn drop(&mut self) {
        let mut environments = Vec::new();
        let mut opened = self.opened.take();
        while let Some(one) = opened {
            let Opened {
                environment,
                mut next,
            } = *one;
            environments.push(environment);
            opened = next.take();
        }
        environment::let_go(&self.path, environments);
    }
}

impl Backend for LmdbStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let now = entry::now();
        self.read("get", |parts, txn| find(parts, txn, key, now))
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        let now = entry::now();
        self.read("has", |parts, txn| {
            let found = find_entry(parts, txn, key, now)?;
            Ok(found.is_some())
        })
    }

    fn presence(&self, key: &[u8]) -> Result<Presence> {
        let now = entry::now();
        self.read("has", |parts, txn| {
            let found = find_entry(parts, txn, key, now)?;
            Ok(found.map_or(Presence::Missing, |entry| {
                Presence::of(entry.data(), entry.data())
            }))
        })
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        let now = entry::now();
        self.read("has", |parts, txn| {
            let found = find_entry(parts, txn, key, now)?;
            Ok(found.map(|entry| entry.left(now)))
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let now = entry::now();
        self.read("get_many", |parts, txn| {
            keys.iter().map(|key| find(parts, txn, key, now)).collect()
        })
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        if !self.fits(key, value) {
            self.delete(key)?;
            return Ok(false);
        }
        self.write("set", |writing| writing.put(key, value, lifetime))?;
        Ok(true)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        if !self.fits(key, value) {
            return Ok(false);
        }
        self.write("add", |writing| {
            let is_free = writing.live(key)?.is_none();
            if is_free {
                writing.put(key, value, lifetime)?;
            }
            Ok(is_free)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.write("delete", |writing| writing.delete(key))
    }

    fn delete_many(&self, keys: &[&[u8]]) -> Result<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut deleted = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(self.changes_at_once()?) {
            deleted.extend(self.write("delete_many", |writing| {
                let deleted = chunk.iter().map(|key| writing.delete(key));
                deleted.collect::<heed::Result<Vec<_>>>()
            })?);
        }
        Ok(deleted)
    }

    fn clear(&self) -> Result<bool> {
        self.write("clear", |writing: &mut Writing<'_>| writing.clear())?;
        Ok(true)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        self.write("incr", |writing| writing.incr(key, delta, lifetime))?
            .map_err(|message| {
                let target = self.path.display().to_string();
                Error::new(ErrorKind::Value, "incr", target, message)
            })
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        // Most need no write, and are told so without waiting for a turn.
        let now = entry::now();
        let ends = self.read("extend", |parts, txn| {
            Ok(find_entry(parts, txn, key, now)?.map(|entry| entry.expires))
        })?;
        match (ends, entry::expiry(lifetime, now)) {
            (None, _) => Ok(false),
            (Some(ends), until) if until.is_none_or(|until| until <= ends) => Ok(true),
            _ => self.write("extend", |writing| writing.extend(key, lifetime)),
        }
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        if new.is_some_and(|new| !self.fits(key, new)) {
            return Ok(false);
        }
        self.write("compare_exchange", |writing| {
            writing.compare_exchange(key, expected, new)
        })
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        if !self.fits(key, value) {
            return Ok(false);
        }
        self.write("set_if", |writing| {
            writing.set_if(key, expected, value, lifetime)
        })
    }

    fn set_extending(
        &self,
        key: &[u8],
        value: &Value,
        lifetime: Lifetime,
        extended: &[&[u8]],
    ) -> Result<(bool, Vec<bool>)> {
        if !self.set(key, value, lifetime)? {
            return Ok((false, Vec::new()));
        }
        let live = extended.iter().map(|key| self.extend(key, lifetime));
        Ok((true, live.collect::<Result<_>>()?))
    }

    fn set_many(&self, entries: &[(&[u8], &Value)], lifetime: Lifetime) -> Result<Vec<bool>> {
        let at_once = self.changes_at_once()?;
        let mut stored = Vec::with_capacity(entries.len());
        let mut rest = entries;
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(self.in_one_turn(rest, at_once)?);
            rest = behind;
            let fits: Vec<_> = chunk
                .iter()
                .map(|(key, value)| self.fits(key, value))
                .collect();
            self.write("set_many", |writing| {
                for ((key, value), fits) in chunk.iter().zip(&fits) {
                    if *fits {
                        writing.put(key, value, lifetime)?;
                    } else {
                        writing.delete(key)?;
                    }
                }
                Ok(())
            })?;
            stored.extend(fits);
        }
        Ok(stored)
    }
}

/// The live entry under `key`, which counts as read.
fn find_entry<'a>(
    parts: &Parts,
    txn: &'a RoTxn<'_>,
    key: &[u8],
    now: u64,
) -> heed::Result<Option<Entry<'a>>> {
    let place = place(parts.seed, key);
    let entry = entry_at(parts, txn, &place)?;
    let live = entry.filter(|entry| entry.key() == key && entry.is_live(now));
    if live.is_some() {
        parts.visited.mark(&place);
    }
    Ok(live)
}

fn find(parts: &Parts, txn: &RoTxn<'_>, key: &[u8], now: u64) -> heed::Result<Option<Value>> {
    Ok(find_entry(parts, txn, key, now)?.map(Entry::into_value))
}
