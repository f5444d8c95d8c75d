//! Which entries go when the directory is full: expired ones, then the least recently used.
//!
//! To find them the directory must be scanned, so a scan finds all: it writes the entries down, in the
//! order in which they are to go, in a file that all processes take their victims from. A full cache so
//! costs a scan once in as many writes as it has entries, and each write the same whatever the
//! threshold. A victim that was used since the scan is spared; what was written since was used later
//! than all that is listed.

use std::io;
use std::os::unix::fs::FileExt;

use super::directory::Directory;
use super::format;
use super::naming::Naming;
use super::own_file::Recency;
use crate::clock;

/// The file with the victims of the last scan.
const NAME: &str = "victims.__wz_cache";

/// No line of the list is longer: the digits of a recency, a blank, a name, a newline.
const LONGEST_LINE: usize = 256;

/// An entry that is to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Victim {
    recency: Recency,
    pub(super) name: String,
}

impl Victim {
    /// Whether it was neither used nor written since it was listed.
    pub(super) fn is_unused(&self, directory: &Directory) -> bool {
        directory.recency(&self.name) == Some(self.recency)
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

/// Scans the directory, writes down who goes next, sweeps, and returns the number of entries.
pub(super) fn scan(directory: &Directory, naming: &Naming) -> io::Result<u64> {
    let now = clock::wall();
    let names = directory.names()?;
    directory.sweep(&names);
    let mut expired = Vec::new();
    let mut live = Vec::new();
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
        };
        if is_live {
            live.push(victim);
        } else {
            expired.push(victim);
        }
    }
    let count = expired.len() + live.len();
    live.sort_unstable_by_key(|victim| victim.recency);
    write(directory, expired.iter().chain(&live))?;
    Ok(count as u64)
}

/// Writes the list, the last to go first: victims are taken from its end.
fn write<'a>(
    directory: &Directory,
    victims: impl DoubleEndedIterator<Item = &'a Victim>,
) -> io::Result<()> {
    let mut list = String::new();
    for Victim { recency, name } in victims.rev() {
        list.push_str(&recency.to_string());
        list.push(' ');
        list.push_str(name);
        list.push('\n');
    }
    directory.replace_bookkeeping(NAME, list.as_bytes())
}
