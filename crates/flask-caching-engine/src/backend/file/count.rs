//! The number of entries, where cachelib keeps it: both count in one file.

use std::io;
use std::os::unix::fs::FileExt;

use super::directory::Directory;
use super::directory::naming::{BOOKKEEPING, Naming};

/// How the number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// As a pickled int, as cachelib's pickling serializer does.
    Pickle,
    /// As decimal digits, as its JSON serializer does.
    Digits,
    /// As a pickled int in a file of our own, where the serializer is not known here.
    Private,
}

/// The number of entries in a directory. It is read and written in a turn of the directory's lock;
/// cachelib takes no turns, so beside it the number is near the truth, not exact, until it is counted
/// again.
#[derive(Debug)]
pub(super) struct Count {
    name: String,
    notation: Notation,
}

/// Bytes that are read at most: an expiry and a pickled int.
const LONGEST: u64 = 64;
/// `PROTO 5` and `BININT`, whose length is the same for every number.
const PICKLED: &[u8; 3] = b"\x80\x05J";

impl Count {
    pub(super) fn new(naming: &Naming, notation: Notation) -> Self {
        Self {
            name: match notation {
                Notation::Private => format!("count{BOOKKEEPING}"),
                Notation::Pickle | Notation::Digits => naming.count().to_owned(),
            },
            notation,
        }
    }

    /// The number; `None` where there is none that can be read.
    pub(super) fn read(&self, directory: &Directory) -> Option<u64> {
        let mut file = directory.open_own(&self.name).ok()??;
        let bytes = file.read_head(usize::try_from(LONGEST).ok()?).ok()?;
        self.parse(bytes.get(4..)?)
    }

    /// Writes the number in place: 12 to 14 bytes in one call, which no reader sees by halves.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn write(&self, directory: &Directory, count: u64) -> io::Result<()> {
        let bytes = self.bytes(count);
        if let Ok(Some((file, metadata))) = directory.open_bookkeeping(&self.name, false)
            && metadata.len() == bytes.len() as u64
            && file.write_all_at(&bytes, 0).is_ok()
        {
            return Ok(());
        }
        // There is none yet, or none that can be written in place: cachelib's, a read-only one, one
        // that is not this user's own.
        directory.replace_bookkeeping(&self.name, &bytes)
    }

    fn bytes(&self, count: u64) -> Vec<u8> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let mut bytes = vec![0; 4];
        match self.notation {
            Notation::Digits => bytes.extend(format!("{count:<10}").bytes()),
            Notation::Pickle | Notation::Private => {
                bytes.extend_from_slice(PICKLED);
                bytes.extend_from_slice(&count.to_le_bytes());
                bytes.push(b'.');
            }
        }
        bytes
    }

    fn parse(&self, value: &[u8]) -> Option<u64> {
        let count = match self.notation {
            Notation::Digits => std::str::from_utf8(value).ok()?.trim().parse().ok()?,
            Notation::Pickle | Notation::Private => pickled_int(value)?,
        };
        // cachelib's own count can fall below zero.
        Some(u64::try_from(count).unwrap_or(0))
    }
}

/// The int that a pickle of one int holds.
fn pickled_int(pickle: &[u8]) -> Option<i64> {
    let mut rest = pickle;
    if let [0x80, _protocol, after @ ..] = rest {
        rest = after;
    }
    if let Some(framed) = rest.strip_prefix(b"\x95") {
        rest = framed.get(8..)?;
    }
    let (&opcode, rest) = rest.split_first()?;
    let (number, rest) = match opcode {
        b'K' => rest.split_first().map(|(n, rest)| (i64::from(*n), rest))?,
        b'M' => rest
            .split_first_chunk()
            .map(|(n, rest)| (i64::from(u16::from_le_bytes(*n)), rest))?,
        b'J' => rest
            .split_first_chunk()
            .map(|(n, rest)| (i64::from(i32::from_le_bytes(*n)), rest))?,
        _ => return None,
    };
    rest.starts_with(b".").then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_pickles_of_ints_are_read() {
        for (pickle, number) in [
            (&b"\x80\x05K\x07."[..], Some(7)),
            (b"\x80\x05M\xf4\x01.", Some(500)),
            (
                b"\x80\x05\x95\x06\0\0\0\0\0\0\0J\x40\x42\x0f\0.",
                Some(1_000_000),
            ),
            (b"\x80\x04J\xff\xff\xff\xff.", Some(-1)),
            (b"\x80\x05K\x07.trailing", Some(7)),
            (b"\x80\x05K", None),
            (b"\x80\x05N.", None),
            (b"", None),
        ] {
            assert_eq!(pickled_int(pickle), number, "{pickle:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_in_each_notation() {
        for notation in [Notation::Pickle, Notation::Digits, Notation::Private] {
            let count = Count {
                name: String::new(),
                notation,
            };
            for number in [0, 1, 255, 70_000, 2_147_483_647] {
                assert_eq!(count.parse(&count.bytes(number)[4..]), Some(number));
            }
        }
    }
}
