//! The bound of a directory in bytes: what the files of all entries may take together.
//!
//! The sum is kept in a file of its own, read and written in a turn of the directory's lock. Who takes
//! no turns (cachelib), or knows of no bound, does not count: the sum is right again after the next
//! scan, which comes early, as a list of victims is for an eighth of the bound only.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;

use super::FileStore;
use super::directory::Directory;
use super::eviction::{self, Usage};

/// One entry may take this part of the bound, at most: a larger one would push out so many others
/// that it is worth less than they are.
const LARGEST_PART: u64 = 4;

/// The file with the sum.
const NAME: &str = "bytes.__wz_cache";

/// The bound, and what is said of it.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    said_too_large: AtomicBool,
}

impl Budget {
    /// `None` where `most` is 0: no bound.
    pub(super) fn new(most: u64) -> Option<Self> {
        (most > 0).then(|| Self {
            most,
            said_too_large: AtomicBool::new(false),
        })
    }

    /// The sum; `None` where there is none that can be read, or one that cannot be.
    fn read(directory: &Directory) -> Option<u64> {
        let mut file = directory.open_own(NAME).ok()??;
        let bytes = file.read_head(size_of::<u64>()).ok()?;
        let sum = u64::from_le_bytes(bytes.try_into().ok()?);
        i64::try_from(sum).is_ok().then_some(sum)
    }

    fn write(directory: &Directory, sum: u64) -> io::Result<()> {
        let bytes = sum.to_le_bytes();
        if let Ok(Some((file, metadata))) = directory.open_bookkeeping(NAME, false)
            && metadata.len() == bytes.len() as u64
            && file.write_all_at(&bytes, 0).is_ok()
        {
            return Ok(());
        }
        directory.replace_bookkeeping(NAME, &bytes)
    }
}

impl FileStore {
    /// What the files of all entries take, as it is kept for the bound, in bytes. 0: it is not kept.
    pub fn bytes(&self) -> u64 {
        match &self.budget {
            Some(_) => Budget::read(&self.directory).unwrap_or(0),
            None => 0,
        }
    }

    /// Whether a file of `size` bytes is too large to be an entry; the first is warned of.
    pub(super) fn is_too_large(&self, name: &str, size: u64) -> bool {
        let Some(budget) = &self.budget else {
            return false;
        };
        let largest = budget.most / LARGEST_PART;
        if size <= largest {
            return false;
        }
        if !budget.said_too_large.swap(true, Ordering::Relaxed) {
            let why = format!(
                "it takes {size} bytes, and an entry may take {largest}, one part in {LARGEST_PART} of \
                 CACHE_MAX_BYTES. This is said once"
            );
            self.warn(name, "is not written", &why);
        }
        true
    }

    /// Counts what is there, where there is a bound.
    pub(super) fn count_bytes(&self, names: &[String]) {
        if self.budget.is_some() {
            let entries = names.iter().filter(|name| self.naming.is_entry(name));
            self.set_bytes(entries.map(|name| self.size(name).unwrap_or(0)).sum());
        }
    }

    /// Counts that `size` bytes are gone.
    pub(super) fn discount_bytes(&self, size: u64) {
        if self.budget.is_some() {
            let sum = Budget::read(&self.directory).unwrap_or(size);
            self.set_bytes(sum.saturating_sub(size));
        }
    }

    /// The size of the file `name`, where there is one and a bound.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.budget.as_ref()?;
        let metadata = fs::symlink_metadata(self.directory.file(name)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Makes room for `draft` within the bounds, and puts it in the place of `name`; in a turn of the
    /// lock.
    pub(super) fn publish_within(
        &self,
        budget: &Budget,
        draft: NamedTempFile,
        name: &str,
    ) -> io::Result<()> {
        let size = draft.as_file().metadata()?.len();
        let kept = self.kept();
        let (new, old) = match self.size(name) {
            Some(old) => (0, old),
            None => (u64::from(!self.directory.exists(name)?), 0),
        };
        let left = self.make_room_within(budget, kept, name, (new, old, size))?;
        let full = Usage {
            count: left.count + new,
            bytes: left.bytes.saturating_sub(old) + size,
        };
        // Counted before it is there, and what it replaces until that is gone: who dies in between
        // leaves the counts too high, which the next scan puts right, never too low.
        let between = Usage {
            bytes: left.bytes + size,
            ..full
        };
        self.set_counts(kept, if old > size { between } else { full });
        match self.directory.publish(draft, name) {
            Ok(()) if old > size => self.set_counts(Some(between), full),
            Ok(()) => {}
            Err(error) => {
                self.set_counts(None, left);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is there as it is kept; `None`: it has to be counted.
    fn kept(&self) -> Option<Usage> {
        let count = match self.threshold {
            0 => 0,
            _ => self.count.read(&self.directory)?,
        };
        let bytes = Budget::read(&self.directory)?;
        Some(Usage { count, bytes })
    }

    /// Evicts until `new` entries more, of `size` bytes in the place of `old` ones, are within the
    /// bounds; what is left.
    fn make_room_within(
        &self,
        budget: &Budget,
        kept: Option<Usage>,
        name: &str,
        (new, old, size): (u64, u64, u64),
    ) -> io::Result<Usage> {
        let scan = || eviction::scan(&self.directory, &self.naming, Some(budget.most));
        let mut found = match kept {
            Some(found) => found,
            None => scan()?,
        };
        let mut scanned = kept.is_none();
        loop {
            let too_many = self.threshold > 0 && found.count + new > self.threshold;
            if !too_many && found.bytes.saturating_sub(old) + size <= budget.most {
                return Ok(found);
            }
            match eviction::next(&self.directory, &self.naming)? {
                Some(victim) if victim.name == name || !victim.is_unused(&self.directory) => {}
                Some(victim) => {
                    let freed = self.size(&victim.name).unwrap_or(0);
                    if self.directory.remove(&victim.name)? {
                        self.count_evicted();
                        found.count = found.count.saturating_sub(1);
                        found.bytes = found.bytes.saturating_sub(freed);
                        scanned = false;
                    }
                }
                // A scan that finds no victim still there finds none the next time either.
                None if scanned => return Ok(found),
                None => {
                    found = scan()?;
                    scanned = true;
                }
            }
        }
    }

    fn set_counts(&self, kept: Option<Usage>, found: Usage) {
        if self.threshold > 0 && kept.is_none_or(|kept| kept.count != found.count) {
            self.set_count(found.count);
        }
        if kept.is_none_or(|kept| kept.bytes != found.bytes) {
            self.set_bytes(found.bytes);
        }
    }

    fn set_bytes(&self, sum: u64) {
        if let Err(error) = Budget::write(&self.directory, sum) {
            // Without a sum the next write counts anew.
            log::warn!(
                "the size of the entries in {} is not written: {error}",
                self.directory.path().display()
            );
        }
    }
}
