//! How an entry gets into the directory: as a draft first, which takes its place in one step.

use std::io;

use tempfile::NamedTempFile;

use super::FileStore;
use super::format::{self, Expiry};
use crate::Result;
use crate::backend::Value;

/// Over what an entry is written.
#[derive(Clone, Copy)]
pub(super) enum Over<'a> {
    Anything,
    /// Only where `key` has no live entry.
    Nothing,
    /// Only over this one.
    Exactly(&'a Value),
}

impl FileStore {
    /// Makes room where `name` will be new, and puts `draft` there; in a turn of the lock.
    pub(super) fn publish(&self, draft: NamedTempFile, name: &str) -> io::Result<()> {
        if let Some(budget) = &self.budget {
            return self.publish_within(budget, draft, name);
        }
        if self.threshold == 0 || self.directory.exists(name)? {
            return self.directory.publish(draft, name);
        }
        let kept = self.count.read(&self.directory);
        let others = self.make_room(kept, self.threshold)?;
        // Counted before it is there: who dies in between leaves the count too high, which the next
        // scan puts right, never too low.
        if kept != Some(others + 1) {
            self.set_count(others + 1);
        }
        self.directory
            .publish(draft, name)
            .inspect_err(|_| self.set_count(others))
    }

    pub(super) fn set_count(&self, count: u64) {
        if let Err(error) = self.count.write(&self.directory, count) {
            // Without a count the next write counts anew.
            log::warn!(
                "the number of entries in {} is not written: {error}",
                self.directory.path().display()
            );
        }
    }

    pub(super) fn draft(
        &self,
        key: &[u8],
        data: &[&[u8]],
        expires: Expiry,
    ) -> io::Result<NamedTempFile> {
        let head = format::head(self.layout, key, expires, data);
        self.directory.write_draft(&head, data)
    }

    /// Writes an entry `over` what may be there.
    pub(super) fn write(
        &self,
        operation: &'static str,
        key: &[u8],
        name: &str,
        data: &[&[u8]],
        expires: Expiry,
        over: Over<'_>,
    ) -> Result<bool> {
        let size = data.iter().map(|piece| piece.len() as u64).sum::<u64>() + format::HEAD as u64;
        if self.is_too_large(name, size) {
            let _turn = self.turn(operation)?;
            if self.may_write(key, name, over) {
                self.remove(name, operation)?;
            }
            return Ok(false);
        }
        let written = self.directory.again(|| {
            let draft = self.draft(key, data, expires)?;
            let _turn = match self.turn(operation) {
                Ok(turn) => turn,
                Err(error) => return Ok(Err(error)),
            };
            if !self.may_write(key, name, over) {
                return Ok(Ok(false));
            }
            self.publish(draft, name).map(|()| Ok(true))
        });
        written.unwrap_or_else(|error| {
            self.warn(name, "is not written", &error);
            // A disk that cannot take the new value leaves no old one.
            let _turn = self.turn(operation)?;
            self.remove(name, operation)?;
            Ok(false)
        })
    }

    /// Whether `over` is what is there; in a turn of the lock.
    pub(super) fn may_write(&self, key: &[u8], name: &str, over: Over<'_>) -> bool {
        match (over, self.find(key, name)) {
            (Over::Anything, _) => true,
            (Over::Nothing, found) => !matches!(found, Ok(Some(_))),
            (Over::Exactly(expected), found) => {
                matches!(found, Ok(Some((there, _))) if there == expected.data)
            }
        }
    }

    /// Replaces an entry in a turn of the lock that is already taken.
    pub(super) fn replace(
        &self,
        operation: &'static str,
        key: &[u8],
        name: &str,
        data: &[u8],
        expires: Expiry,
    ) -> Result<()> {
        self.directory
            .again(|| self.publish(self.draft(key, &[data], expires)?, name))
            .map_err(|error| self.failed(operation, name, error))
    }
}
