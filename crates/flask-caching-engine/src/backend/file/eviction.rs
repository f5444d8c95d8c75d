//! Which entries go when the directory is full: expired ones, then the least recently used.
//!
//! To find them the directory must be scanned, so a scan finds all: it writes the entries down, in the
//! order in which they are to go, in a file that all processes take their victims from. A full cache so
//! costs a scan once in as many writes as it has entries, and each write the same whatever the
//! threshold. A victim that was used since the scan is spared; what was written since was used later
//! than all that is listed.
//!
//! Where the directory is bounded in bytes, those go first whose size times the time for which they
//! were not used is the largest, so that few large entries do not cost many small ones their place; and
//! the list ends early, as what was written since may be larger than all that is listed.

use std::cmp::Reverse;
use std::io;
use std::os::unix::fs::FileExt;

use super::FileStore;
use super::directory::Directory;
use super::directory::naming::Naming;
use super::directory::own_file::{Recency, now};
use super::format;
use crate::{Result, clock};

/// The file with the victims of the last scan.
const NAME: &str = "victims.__wz_cache";

/// No line of the list is longer: the digits of a recency, a blank, a name, a newline.
const LONGEST_LINE: usize = 256;

/// Of a directory that is bounded in bytes, victims of this part of the bound are listed.
const LISTED_PART: u64 = 8;

/// But so many at least: one of them may be the one that is written.
const FEWEST: usize = 2;

/// What a scan found, or what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// Entries.
    pub(super) count: u64,
    /// What their files take.
    pub(super) bytes: u64,
}

/// An entry that is to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Victim {
    recency: Recency,
    pub(super) name: String,
    size: u64,
}

impl Victim {
    /// Whether it was neither used nor written since it was listed.
    pub(super) fn is_unused(&self, directory: &Directory) -> bool {
        directory.recency(&self.name) == Some(self.recency)
    }
}

impl FileStore {
    /// Removes entries until no more than `threshold` are left: expired ones, then those that were not
    /// used for the longest time.
    ///
    /// # Errors
    /// The directory cannot be scanned, or a file in it not removed.
    pub fn prune(&self, threshold: u64) -> Result<()> {
        let operation = "prune";
        let _turn = self.turn(operation)?;
        self.make_room(None, threshold.saturating_add(1))
            .map(|left| self.set_count(left))
            .map_err(|error| self.failed(operation, "", error))
    }

    /// Evicts until one more entry is within the `threshold`, where there are as many as the count
    /// `kept` says; the number of entries left.
    pub(super) fn make_room(&self, kept: Option<u64>, threshold: u64) -> io::Result<u64> {
        let mut count = match kept {
            Some(count) => count,
            None => scan(&self.directory, &self.naming, None)?.count,
        };
        let mut scanned = false;
        while count >= threshold {
            match next(&self.directory, &self.naming)? {
                Some(victim) if !victim.is_unused(&self.directory) => {}
                Some(victim) => {
                    if self.directory.remove(&victim.name)? {
                        self.count_evicted();
                        count -= 1;
                        scanned = false;
                    }
                }
                // A scan that finds no victim still there finds none the next time either.
                None if scanned => break,
                None => {
                    count = scan(&self.directory, &self.naming, None)?.count;
                    scanned = true;
                }
            }
        }
        Ok(count)
    }
}

/// Takes the next victim from the list. `None`: the list is empty, or not this user's own.
pub(super) fn next(directory: &Directory, naming: &Naming) -> io::Result<Option<Victim>> {
    let (file, metadata) = match directory.open_bookkeeping(NAME, false) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(None),
        Err(error) => {
            log::warn!("{} is not read: {error}", directory.file(NAME).display());
            return Ok(None);
        }
    };
    let length = metadata.len();
    let start = length.saturating_sub(LONGEST_LINE as u64);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or(0)];
    file.read_exact_at(&mut tail, start)?;
    let end = tail.len().saturating_sub(1);
    let line = tail[..end]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let victim = std::str::from_utf8(&tail[line..end])
        .ok()
        .and_then(|line| line.split_once(' '))
        .filter(|(_, name)| naming.is_entry(name))
        .and_then(|(recency, name)| {
            Some(Victim {
                recency: recency.parse().ok()?,
                name: name.to_owned(),
                size: 0,
            })
        });
    // Of a list that is damaged nothing is believed.
    file.set_len(if victim.is_some() {
        start + line as u64
    } else {
        0
    })?;
    Ok(victim)
}

/// Forgets the list.
pub(super) fn forget(directory: &Directory) -> io::Result<()> {
    directory.remove(NAME).map(drop)
}

/// Scans the directory, writes down who goes next, sweeps, and returns what is there.
///
/// - `max_bytes`: the bound in bytes, where there is one.
pub(super) fn scan(
    directory: &Directory,
    naming: &Naming,
    max_bytes: Option<u64>,
) -> io::Result<Usage> {
    let now = clock::wall();
    let names = directory.names()?;
    directory.sweep(&names);
    let mut expired = Vec::new();
    let mut live = Vec::new();
    let mut bytes = 0;
    for name in names {
        if !naming.is_entry(&name) {
            continue;
        }
        // What is not ours, or just went, is not counted.
        let Ok(Some(mut file)) = directory.open_own(&name) else {
            continue;
        };
        let is_live =
            format::expiry(&file.read_head(format::HEAD)?).is_ok_and(|entry| entry.is_live(now));
        let victim = Victim {
            recency: file.recency(),
            name,
            size: file.length,
        };
        bytes += file.length;
        if is_live {
            live.push(victim);
        } else {
            expired.push(victim);
        }
    }
    let count = (expired.len() + live.len()) as u64;
    match max_bytes {
        None => live.sort_unstable_by_key(|victim| victim.recency),
        Some(most) => {
            largest_first(&mut live);
            live.truncate(heaviest(&live, most / LISTED_PART));
        }
    }
    write(directory, expired.iter().chain(&live))?;
    Ok(Usage { count, bytes })
}

/// Sorts by size times the time since the last use.
fn largest_first(victims: &mut [Victim]) {
    let now = now();
    victims.sort_unstable_by_key(|victim| {
        let unused = u128::from(now.saturating_sub(victim.recency)) + 1;
        Reverse(unused * u128::from(victim.size))
    });
}

/// How many of the first `victims` take `bytes` together.
fn heaviest(victims: &[Victim], bytes: u64) -> usize {
    let mut sum = 0;
    let enough = victims.iter().take_while(|victim| {
        let is_needed = sum < bytes;
        sum += victim.size;
        is_needed
    });
    enough.count().max(FEWEST)
}

/// Writes the list, the last to go first: victims are taken from its end.
fn write<'a>(
    directory: &Directory,
    victims: impl DoubleEndedIterator<Item = &'a Victim>,
) -> io::Result<()> {
    let mut list = String::new();
    for Victim { recency, name, .. } in victims.rev() {
        list.push_str(&recency.to_string());
        list.push(' ');
        list.push_str(name);
        list.push('\n');
    }
    directory.replace_bookkeeping(NAME, list.as_bytes())
}
