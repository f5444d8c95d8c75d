//! Reading an entry, into memory of the reader's choice.

use std::io::{self, Read};
use std::time::Duration;

use super::FileStore;
use super::directory::own_file::{Identity, OwnFile};
use super::format::{self, Check, Damage, Entry, Expiry};
use crate::clock;

/// How often at most the use of an entry is written down.
const TOUCH_RESOLUTION: Duration = Duration::from_millis(10);

/// So many bytes of a file are read when it is opened: of a small entry, all.
const BEGINNING: usize = 32 * 1024;

/// So many bytes are read at once, and checked while they are in the processor's cache.
const CHUNK: usize = 64 * 1024;

/// An entry whose file is open. Whatever is written under its key meanwhile does not change it.
pub struct OpenEntry {
    file: OwnFile,
    entry: Entry,
    /// The first bytes of the value.
    beginning: Vec<u8>,
    check: Check,
}

/// An entry that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    identity: Identity,
    cause: Cause,
}

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Damage(#[from] Damage),
    #[error("it has expired")]
    Expired,
}

/// A live entry, or none: no file, or somebody else's.
type Found<T> = Result<Option<T>, Unreadable>;

impl FileStore {
    /// Opens the entry of `key`, to be read into memory of the caller's choice. `None`: it has none.
    ///
    /// # Errors
    /// What a custom hash method fails with.
    pub fn open_entry(&self, key: &[u8]) -> crate::Result<Option<OpenEntry>> {
        let name = self.naming.of(key)?;
        Ok(self.or_remove(self.open_named(key, &name), &name))
    }

    /// Removes the entry of `key` that could not be read, where it is damaged and was not replaced
    /// meanwhile.
    ///
    /// # Errors
    /// What a custom hash method fails with.
    pub fn discard(&self, key: &[u8], unreadable: &Unreadable) -> crate::Result<()> {
        let name = self.naming.of(key)?;
        self.report(&name, unreadable);
        self.remove_useless(&name, unreadable);
        Ok(())
    }

    /// The value of `key` in the file `name`; a damaged or expired one is removed.
    pub(super) fn read(&self, key: &[u8], name: &str) -> Option<Vec<u8>> {
        let (value, _) = self.or_remove(self.find(key, name), name)?;
        Some(value)
    }

    /// The value of `key` in the file `name`, and when it expires. What cannot be read is logged.
    pub(super) fn find(&self, key: &[u8], name: &str) -> Found<(Vec<u8>, Expiry)> {
        let Some(entry) = self.open_named(key, name)? else {
            return Ok(None);
        };
        let expires = entry.entry.expires;
        let value = entry.read();
        let value = value.inspect_err(|unreadable| self.report(name, unreadable))?;
        Ok(Some((value, expires)))
    }

    fn open_named(&self, key: &[u8], name: &str) -> Found<OpenEntry> {
        let file = match self.directory.open_own(name) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.warn(name, "is not read", &error);
                return Ok(None);
            }
        };
        let opened = OpenEntry::new(file, key).and_then(|entry| {
            if !entry.entry.is_live(clock::wall()) {
                // That it has expired is believed of an entry that is whole.
                let identity = entry.file.identity;
                entry.read()?;
                let cause = Cause::Expired;
                return Err(Unreadable { identity, cause });
            }
            if self.threshold > 0 {
                entry.file.touch(TOUCH_RESOLUTION);
            }
            Ok(Some(entry))
        });
        opened.inspect_err(|unreadable| self.report(name, unreadable))
    }

    /// What was found outside of turns, where what is of no use any more is removed.
    fn or_remove<T>(&self, found: Found<T>, name: &str) -> Option<T> {
        found.unwrap_or_else(|unreadable| {
            self.remove_useless(name, &unreadable);
            None
        })
    }

    fn report(&self, name: &str, unreadable: &Unreadable) {
        match &unreadable.cause {
            Cause::Io(error) => self.warn(name, "is not read", error),
            Cause::Damage(damage) => self.warn(name, "is damaged and is removed", damage),
            Cause::Expired => {}
        }
    }

    fn remove_useless(&self, name: &str, unreadable: &Unreadable) {
        if matches!(unreadable.cause, Cause::Io(_)) {
            return;
        }
        let removed = self.turn("get").and_then(|_turn| {
            let current = self.directory.open_own(name);
            if current.is_ok_and(|file| file.is_some_and(|f| f.identity == unreadable.identity)) {
                self.remove(name, "get")?;
            }
            Ok(())
        });
        if let Err(error) = removed {
            self.warn(name, "stays", &error);
        }
    }
}

impl OpenEntry {
    /// The entry of `key` in `file`.
    fn new(mut file: OwnFile, key: &[u8]) -> Result<Self, Unreadable> {
        let identity = file.identity;
        let unreadable = |cause| Unreadable { identity, cause };
        let mut beginning = file
            .read_head(BEGINNING)
            .map_err(|error| unreadable(error.into()))?;
        let (entry, check) = format::open(key, &beginning, file.length)
            .map_err(|damage| unreadable(damage.into()))?;
        beginning.drain(..entry.start);
        Ok(Self {
            file,
            entry,
            beginning,
            check,
        })
    }

    /// The length of the value in bytes.
    pub fn len(&self) -> usize {
        let length = usize::try_from(self.file.length).unwrap_or(usize::MAX);
        length.saturating_sub(self.entry.start)
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first bytes of the value: all, where there are few.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    /// Reads the value into `parts`, one after the other, which together are as long as it is.
    ///
    /// # Errors
    /// The value is not the one that was written, or the operating system's error. What is in
    /// `parts` then is nothing to be used; [`FileStore::discard`] is told.
    pub fn read_into(mut self, parts: &mut [&mut [u8]]) -> Result<(), Unreadable> {
        self.fill(parts)
            .and_then(|()| Ok(self.check.finish()?))
            .map_err(|cause| Unreadable {
                identity: self.file.identity,
                cause,
            })
    }

    /// Reads the value.
    ///
    /// # Errors
    /// As [`Self::read_into`].
    fn read(mut self) -> Result<Vec<u8>, Unreadable> {
        let length = self.len();
        let mut value = std::mem::take(&mut self.beginning);
        let read = self.read_rest(&mut value, length);
        read.map(|()| value).map_err(|cause| Unreadable {
            identity: self.file.identity,
            cause,
        })
    }

    fn read_rest(&mut self, value: &mut Vec<u8>, length: usize) -> Result<(), Cause> {
        let begun = value.len();
        self.check.update(value);
        value
            .try_reserve_exact(length.saturating_sub(begun))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        value.resize(length, 0);
        self.fill(&mut [&mut value[begun..]])?;
        Ok(self.check.finish()?)
    }

    fn fill(&mut self, parts: &mut [&mut [u8]]) -> Result<(), Cause> {
        let mut beginning = self.beginning.as_slice();
        for part in parts {
            let (begun, rest) = part.split_at_mut(part.len().min(beginning.len()));
            let (first, left) = beginning.split_at(begun.len());
            begun.copy_from_slice(first);
            beginning = left;
            self.check.update(begun);
            for chunk in rest.chunks_mut(CHUNK) {
                self.file.file.read_exact(chunk).map_err(|error| {
                    if error.kind() == io::ErrorKind::UnexpectedEof {
                        Cause::Damage(Damage::Truncated)
                    } else {
                        Cause::Io(error)
                    }
                })?;
                self.check.update(chunk);
            }
        }
        Ok(())
    }
}
