//! Entries in files of one directory, which many processes share, those of cachelib among them.
//!
//! An entry is one file, named by the hash of its key and replaced in one step, so reading takes no
//! lock. Whatever changes the directory takes a turn at its lock (`lock.rs`): then `add`, `incr` and
//! `compare_exchange` are atomic between processes and the threshold holds. Writing a value to the
//! disk happens before the turn.
//!
//! | file | what |
//! |---|---|
//! | `<hash of a key>` | an entry (`format.rs`) |
//! | `<hash of "__wz_cache_count">` | the number of entries, shared with cachelib (`count.rs`) |
//! | `bytes.__wz_cache` | their size, where that is bounded (`budget.rs`) |
//! | `lock.__wz_cache` | the lock |
//! | `victims.__wz_cache` | who goes next (`eviction.rs`) |
//! | `new-….__wz_cache` | an entry being written; `tmp….__wz_cache`: the same by cachelib |
//!
//! Every other file is somebody else's: not read, not counted, not removed.

mod budget;
mod count;
mod directory;
mod eviction;
mod format;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lifetime;
mod options;
mod reading;
mod writing;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use budget::Budget;
use count::{Count, Notation};
use directory::Directory;
use directory::lock::FileLock;
use directory::naming::Naming;
pub use directory::naming::{CustomHash, HashMethod};
use format::Layout;
use lifetime::{expiry, extended, left};
pub use options::{Contents, FileOptions};
pub use reading::{OpenEntry, Unreadable};
use writing::Over;

use super::{Backend, Value};
use crate::per_process::PerProcess;
use crate::{Error, ErrorKind, Lifetime, Result};

/// A cache in the files of one directory.
#[derive(Debug)]
pub struct FileStore {
    directory: Directory,
    naming: Naming,
    count: Count,
    threshold: u64,
    budget: Option<Budget>,
    layout: Layout,
    lock_timeout: Duration,
    /// How many entries this process has taken away to make room.
    evicted: PerProcess<AtomicU64>,
}

impl FileStore {
    /// Opens the directory, sweeps what dead writers left, and counts the entries.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the directory or the hash cannot be used.
    pub fn open(options: FileOptions) -> Result<Self> {
        let naming = Naming::new(options.hash_method)?;
        let directory = Directory::open(&options.directory, options.mode)?;
        let (layout, notation) = match options.contents {
            Contents::Pickle => (Layout::Enveloped, Notation::Pickle),
            Contents::Json => (Layout::Plain, Notation::Digits),
            Contents::Opaque => (Layout::Plain, Notation::Private),
        };
        let store = Self {
            count: Count::new(&naming, notation),
            directory,
            naming,
            threshold: options.threshold,
            budget: Budget::new(options.max_bytes),
            layout,
            lock_timeout: options.lock_timeout,
            evicted: PerProcess::new(|| AtomicU64::new(0)),
        };
        // Whoever cannot take a turn now never can: another user's lock, no locks at all.
        let operation = "opening the cache directory (CACHE_DIR)";
        let _turn = store.turn(operation).map_err(|error| match error.kind() {
            ErrorKind::Io => Error::new(
                ErrorKind::Config,
                operation,
                error.target(),
                error.message(),
            ),
            _ => error,
        })?;
        let names = store.names(operation)?;
        store.directory.sweep(&names);
        if store.threshold > 0 {
            let entries = names.iter().filter(|name| store.naming.is_entry(name));
            store.set_count(entries.count() as u64);
        }
        store.count_bytes(&names);
        Ok(store)
    }

    /// The path of the file of `key`, which may not exist.
    ///
    /// # Errors
    /// What a custom hash method fails with.
    pub fn path_of(&self, key: &[u8]) -> Result<PathBuf> {
        Ok(self.directory.file(&self.naming.of(key)?))
    }

    /// The paths of the files of all entries, expired ones included, in no order.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn paths(&self) -> Result<Vec<PathBuf>> {
        let mut names = self.names("list")?;
        names.retain(|name| self.naming.is_entry(name));
        Ok(names.iter().map(|name| self.directory.file(name)).collect())
    }

    /// As [`set`](Backend::set), of data in pieces, which stay where they are.
    ///
    /// # Errors
    /// Those of [`set`](Backend::set).
    pub fn set_pieces(&self, key: &[u8], data: &[&[u8]], lifetime: Lifetime) -> Result<bool> {
        let Some(expires) = expiry(lifetime) else {
            self.delete(key)?;
            return Ok(true);
        };
        let name = self.naming.of(key)?;
        self.write("set", key, &name, data, expires, Over::Anything)
    }

    /// The number of entries, as it is kept for the threshold. 0: it is not kept.
    pub fn len(&self) -> u64 {
        self.count.read(&self.directory).unwrap_or(0)
    }

    /// How many entries this process has taken away to make room, expired ones among them.
    pub fn evicted(&self) -> u64 {
        self.evicted.get().load(Ordering::Relaxed)
    }

    fn count_evicted(&self) {
        self.evicted.get().fetch_add(1, Ordering::Relaxed);
    }

    /// How many entries there are, expired ones included, and the bytes that their files take, by looking
    /// at each of them; of more than 20,000 files, only how many.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn held(&self) -> Result<(u64, Option<u64>)> {
        /// To look at so many takes some 50 milliseconds.
        const MOST: usize = 20_000;
        let paths = self.paths()?;
        if paths.len() > MOST {
            return Ok((paths.len() as u64, None));
        }
        // What went meanwhile is none.
        let sizes = paths
            .iter()
            .filter_map(|path| fs::symlink_metadata(path).ok());
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), found| {
            (count + 1, bytes + found.len())
        });
        Ok((count, Some(bytes)))
    }

    /// Removes every entry that has expired at `now`, a time since 1970-01-01 UTC, and returns how
    /// many there were. Nothing needs this: it frees the disk of what nobody asks for again.
    ///
    /// # Errors
    /// The directory cannot be listed, or a file in it not removed.
    pub fn remove_expired(&self, now: Duration) -> Result<u64> {
        let operation = "remove_expired";
        let _turn = self.turn(operation)?;
        let mut removed = 0;
        for name in self.names(operation)? {
            if self.naming.is_entry(&name)
                && let Ok(Some(mut file)) = self.directory.open_own(&name)
                && let Ok(head) = file.read_head(format::HEAD)
                && format::expiry(&head).is_ok_and(|entry| !entry.is_live(now))
            {
                removed += u64::from(self.remove(&name, operation)?);
            }
        }
        Ok(removed)
    }

    /// Whether [`Self::len`] is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn turn(&self, operation: &'static str) -> Result<FileLock> {
        FileLock::wait(operation, &self.directory, self.lock_timeout)
    }

    fn names(&self, operation: &'static str) -> Result<Vec<String>> {
        self.directory.names().map_err(|error| {
            Error::io(
                operation,
                self.directory.path().display().to_string(),
                error,
            )
        })
    }

    /// Removes a file in a turn of the lock. `false`: there was none.
    fn remove(&self, name: &str, operation: &'static str) -> Result<bool> {
        let size = self.size(name);
        let removed = self
            .directory
            .remove(name)
            .map_err(|error| self.failed(operation, name, error))?;
        if removed && self.threshold > 0 {
            let count = self.count.read(&self.directory);
            self.set_count(count.unwrap_or(1).saturating_sub(1));
        }
        if removed {
            self.discount_bytes(size.unwrap_or(0));
        }
        Ok(removed)
    }

    fn failed(&self, operation: &'static str, name: &str, error: io::Error) -> Error {
        Error::io(
            operation,
            self.directory.file(name).display().to_string(),
            error,
        )
    }

    fn warn(&self, name: &str, what: &str, why: &dyn std::fmt::Display) {
        log::warn!(
            "the cache file {} {what}: {why}",
            self.directory.file(name).display()
        );
    }
}

impl Backend for FileStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.read(key, &self.naming.of(key)?).map(Value::from))
    }

    fn set(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        self.set_pieces(key, &[&value.data], lifetime)
    }

    fn add(&self, key: &[u8], value: &Value, lifetime: Lifetime) -> Result<bool> {
        let name = self.naming.of(key)?;
        if self.read(key, &name).is_some() {
            return Ok(false);
        }
        let Some(expires) = expiry(lifetime) else {
            return Ok(true);
        };
        self.write("add", key, &name, &[&value.data], expires, Over::Nothing)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        let name = self.naming.of(key)?;
        let exists = self.directory.exists(&name);
        if !exists.map_err(|error| self.failed("delete", &name, error))? {
            return Ok(false);
        }
        let _turn = self.turn("delete")?;
        let live = matches!(self.find(key, &name), Ok(Some(_)));
        Ok(self.remove(&name, "delete")? && live)
    }

    fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.read(key, &self.naming.of(key)?).is_some())
    }

    fn remaining(&self, key: &[u8]) -> Result<Option<Lifetime>> {
        let found = self.find(key, &self.naming.of(key)?);
        Ok(found.ok().flatten().and_then(|(_, expires)| left(expires)))
    }

    fn clear(&self) -> Result<bool> {
        let _turn = self.turn("clear")?;
        let names = self.names("clear")?;
        let mut left = 0;
        for name in names.iter().filter(|name| self.naming.is_entry(name)) {
            let removed = match self.directory.recency(name) {
                None => Err(io::Error::other("it belongs to another user")),
                Some(_) => self.directory.remove(name),
            };
            if let Err(error) = removed {
                self.warn(name, "is not removed", &error);
                left += 1;
            }
        }
        self.directory.sweep(&names);
        if let Err(error) = eviction::forget(&self.directory) {
            log::warn!("the list of victims is not removed: {error}");
        }
        if self.threshold > 0 {
            self.set_count(left);
        }
        if self.budget.is_some() {
            self.count_bytes(&self.names("clear")?);
        }
        Ok(left == 0)
    }

    fn incr(&self, key: &[u8], delta: i64, lifetime: Lifetime) -> Result<i64> {
        let name = self.naming.of(key)?;
        let not_a_number = |message: &str| {
            Error::new(
                ErrorKind::Value,
                "incr",
                self.directory.file(&name).display().to_string(),
                message,
            )
        };
        let _turn = self.turn("incr")?;
        let (sum, expires) = match self.find(key, &name) {
            Ok(Some((value, expires))) => {
                let number: i64 = std::str::from_utf8(&value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| not_a_number("the stored value is not an integer"))?;
                let sum = number
                    .checked_add(delta)
                    .ok_or_else(|| not_a_number("the sum is too large"))?;
                (sum, Some(expires))
            }
            Ok(None) | Err(_) => (delta, expiry(lifetime)),
        };
        let Some(expires) = expires else {
            return Ok(sum);
        };
        self.replace("incr", key, &name, sum.to_string().as_bytes(), expires)?;
        Ok(sum)
    }

    fn extend(&self, key: &[u8], lifetime: Lifetime) -> Result<bool> {
        let name = self.naming.of(key)?;
        // Without a turn first: most often there is nothing to change.
        match self.find(key, &name) {
            Ok(Some((_, expires))) if extended(expires, lifetime).is_some() => {}
            found => return Ok(matches!(found, Ok(Some(_)))),
        }
        let _turn = self.turn("extend")?;
        let Ok(Some((value, expires))) = self.find(key, &name) else {
            return Ok(false);
        };
        if let Some(expires) = extended(expires, lifetime) {
            self.replace("extend", key, &name, &value, expires)?;
        }
        Ok(true)
    }

    fn compare_exchange(
        &self,
        key: &[u8],
        expected: &Value,
        new: Option<&Value>,
        _lifetime: Lifetime,
    ) -> Result<bool> {
        let name = self.naming.of(key)?;
        let operation = "compare_exchange";
        let _turn = self.turn(operation)?;
        let expires = match self.find(key, &name) {
            Ok(Some((value, expires))) if value == expected.data => expires,
            _ => return Ok(false),
        };
        let Some(new) = new else {
            return self.remove(&name, operation);
        };
        self.replace(operation, key, &name, &new.data, expires)?;
        Ok(true)
    }

    fn set_if(
        &self,
        key: &[u8],
        expected: &Value,
        value: &Value,
        lifetime: Lifetime,
    ) -> Result<bool> {
        let Some(expires) = expiry(lifetime) else {
            return self.compare_exchange(key, expected, None, lifetime);
        };
        let name = self.naming.of(key)?;
        let over = Over::Exactly(expected);
        self.write("set_if", key, &name, &[&value.data], expires, over)
    }
}
