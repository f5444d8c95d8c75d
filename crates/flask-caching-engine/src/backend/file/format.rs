//! The bytes of an entry's file.
//!
//! ```text
//! 4 bytes   seconds since 1970 when it expires, unsigned, native byte order; 0: never
//! [31 bytes the envelope]
//! the value
//! ```
//!
//! Without the envelope this is what cachelib writes. The envelope is 31 bytes of pickle that push a
//! byte string and drop it again, so every reader of pickles passes over it; in the byte string are
//! a mark, the exact time of expiry, the length of the value and a checksum. The checksum covers the
//! key as well: a file that is copied to another key's name is a damaged one.

use std::cmp::Ordering;
use std::hash::Hasher;
use std::time::Duration;

use twox_hash::XxHash3_64;

/// Bytes of the expiry before the envelope or the value.
const EXPIRY: usize = 4;
/// Opcode `SHORT_BINBYTES`, the length of what follows, and our mark.
const MARK: &[u8; 6] = b"C\x1cfcc1";
/// Opcode `POP`.
const POP: u8 = b'0';
/// Bytes of the envelope: mark, expiry, length, checksum, `POP`.
const ENVELOPE: usize = MARK.len() + 8 + 8 + 8 + 1;

/// As much of a file as tells when it expires.
pub(super) const HEAD: usize = EXPIRY + ENVELOPE;

/// When an entry expires, as the time since 1970-01-01 UTC; `None`: never.
pub(super) type Expiry = Option<Duration>;

/// Whether values carry the envelope: only where all that reads them are readers of pickles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Enveloped,
    Plain,
}

/// Why a file cannot be an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is cut short")]
    Truncated,
    #[error("its checksum does not match")]
    Checksum,
}

/// An entry read from a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) expires: Expiry,
    /// Whether `expires` is exact. A whole second from cachelib belongs to the lifetime.
    exact: bool,
    /// Where in the file the value starts.
    pub(super) start: usize,
}

impl Entry {
    /// Whether the entry is still to be read at `now`.
    pub(super) fn is_live(&self, now: Duration) -> bool {
        self.expires.is_none_or(|expires| {
            if self.exact {
                now < expires
            } else {
                now <= expires
            }
        })
    }
}

/// What stands before a value, the pieces `data`, in the file of `key`.
pub(super) fn head(layout: Layout, key: &[u8], expires: Expiry, data: &[&[u8]]) -> Vec<u8> {
    let seconds = seconds(expires).to_ne_bytes();
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(&seconds);
    if layout == Layout::Enveloped {
        let nanos = nanoseconds(expires).to_le_bytes();
        let mut hasher = hasher(key, seconds, nanos);
        let mut length = 0;
        for piece in data {
            hasher.write(piece);
            length += piece.len() as u64;
        }
        head.extend_from_slice(MARK);
        head.extend_from_slice(&nanos);
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&hasher.finish().to_le_bytes());
        head.push(POP);
    }
    head
}

/// Reads the `beginning` of the file of `key`, at least [`HEAD`] bytes where it has so many.
///
/// # Errors
/// What is wrong with it, or with the file's `length`.
pub(super) fn open(key: &[u8], beginning: &[u8], length: u64) -> Result<(Entry, Check), Damage> {
    let (entry, envelope) = parse_head(beginning)?;
    if let Some(envelope) = &envelope {
        let value = length.checked_sub(entry.start as u64);
        match value.ok_or(Damage::Truncated)?.cmp(&envelope.length) {
            Ordering::Less => return Err(Damage::Truncated),
            Ordering::Equal => {}
            Ordering::Greater => return Err(Damage::Checksum),
        }
    }
    let seconds = *beginning.first_chunk().ok_or(Damage::Truncated)?;
    Ok((entry, Check::new(key, seconds, envelope.as_ref())))
}

/// Compares a value, which it is shown piece by piece, with what the envelope says of it.
pub(super) struct Check(Option<(XxHash3_64, u64)>);

impl Check {
    fn new(key: &[u8], seconds: [u8; 4], envelope: Option<&Envelope>) -> Self {
        Self(envelope.map(|envelope| {
            let hasher = hasher(key, seconds, envelope.nanos);
            (hasher, envelope.checksum)
        }))
    }

    /// Shows it the next piece.
    pub(super) fn update(&mut self, piece: &[u8]) {
        if let Some((hasher, _)) = &mut self.0 {
            hasher.write(piece);
        }
    }

    /// # Errors
    /// What it was shown is not the value.
    pub(super) fn finish(&self) -> Result<(), Damage> {
        match &self.0 {
            Some((hasher, checksum)) if hasher.finish() != *checksum => Err(Damage::Checksum),
            _ => Ok(()),
        }
    }
}

/// Reads only when the entry expires, of at least the first [`HEAD`] bytes of its file.
///
/// # Errors
/// The file is too short to tell.
pub(super) fn expiry(file: &[u8]) -> Result<Entry, Damage> {
    parse_head(file).map(|(entry, _)| entry)
}

struct Envelope {
    nanos: [u8; 8],
    length: u64,
    checksum: u64,
}

fn parse_head(file: &[u8]) -> Result<(Entry, Option<Envelope>), Damage> {
    let (seconds, rest) = file.split_first_chunk().ok_or(Damage::Truncated)?;
    let Some(rest) = rest.strip_prefix(MARK.as_slice()) else {
        let seconds = u64::from(u32::from_ne_bytes(*seconds));
        let entry = Entry {
            expires: (seconds != 0).then(|| Duration::from_secs(seconds)),
            exact: false,
            start: EXPIRY,
        };
        return Ok((entry, None));
    };
    let (nanos, rest) = rest.split_first_chunk().ok_or(Damage::Truncated)?;
    let (length, rest) = rest.split_first_chunk().ok_or(Damage::Truncated)?;
    let (checksum, rest) = rest.split_first_chunk().ok_or(Damage::Truncated)?;
    match rest.first() {
        Some(&POP) => {}
        Some(_) => return Err(Damage::Checksum),
        None => return Err(Damage::Truncated),
    }
    let expires = u64::from_le_bytes(*nanos);
    let entry = Entry {
        expires: (expires != 0).then(|| Duration::from_nanos(expires)),
        exact: true,
        start: HEAD,
    };
    let envelope = Envelope {
        nanos: *nanos,
        length: u64::from_le_bytes(*length),
        checksum: u64::from_le_bytes(*checksum),
    };
    Ok((entry, Some(envelope)))
}

/// What makes the checksum, once it is shown the value.
fn hasher(key: &[u8], seconds: [u8; 4], nanos: [u8; 8]) -> XxHash3_64 {
    let mut hasher = XxHash3_64::new();
    hasher.write(&(key.len() as u64).to_le_bytes());
    hasher.write(key);
    hasher.write(&seconds);
    hasher.write(&nanos);
    hasher
}

/// Whole seconds, rounded up. What is past 2106, the end of the format, expires there.
fn seconds(expires: Expiry) -> u32 {
    expires.map_or(0, |expires| {
        let seconds = expires.as_secs() + u64::from(expires.subsec_nanos() > 0);
        u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
    })
}

fn nanoseconds(expires: Expiry) -> u64 {
    expires.map_or(0, |expires| {
        u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(layout: Layout, key: &[u8], expires: Expiry, data: &[u8]) -> Vec<u8> {
        let (start, end) = data.split_at(data.len() / 2);
        let mut file = head(layout, key, expires, &[start, end]);
        file.extend_from_slice(data);
        file
    }

    fn parse(key: &[u8], file: &[u8]) -> Result<Entry, Damage> {
        let (entry, mut check) = open(key, file, file.len() as u64)?;
        for piece in file[entry.start..].chunks(7) {
            check.update(piece);
        }
        check.finish().map(|()| entry)
    }

    #[test]
    fn the_envelope_is_a_pickle_that_leaves_nothing() {
        let head = head(Layout::Enveloped, b"k", None, &[b"v"]);
        assert_eq!(head.len(), HEAD);
        // SHORT_BINBYTES, 28 bytes of it, POP.
        assert_eq!((head[4], usize::from(head[5])), (b'C', head.len() - 7));
        assert_eq!(head[head.len() - 1], b'0');
    }

    #[test]
    fn cachelibs_files_are_read_to_the_end_of_their_second() {
        let mut file = 100u32.to_ne_bytes().to_vec();
        file.extend_from_slice(b"\x80\x05K\x01.");
        let entry = parse(b"k", &file).unwrap();
        assert_eq!(&file[entry.start..], b"\x80\x05K\x01.");
        assert!(entry.is_live(Duration::from_secs(100)));
        assert!(!entry.is_live(Duration::from_millis(100_001)));
        let eternal = parse(b"k", &[0, 0, 0, 0, b'x']).unwrap();
        assert!(eternal.is_live(Duration::MAX));
    }

    #[test]
    fn expiry_is_exact_here_and_whole_seconds_rounded_up_for_cachelib() {
        let at = Duration::from_millis(1500);
        let file = file(Layout::Enveloped, b"k", Some(at), b"v");
        assert_eq!(file[..4], 2u32.to_ne_bytes());
        let entry = parse(b"k", &file).unwrap();
        assert!(entry.is_live(Duration::from_millis(1499)));
        assert!(!entry.is_live(at));
        assert_eq!(expiry(&file[..HEAD]), Ok(entry));
    }

    #[test]
    fn an_expiry_past_2106_is_kept() {
        let at = Duration::from_secs(5_000_000_000);
        let enveloped = file(Layout::Enveloped, b"k", Some(at), b"v");
        assert_eq!(enveloped[..4], u32::MAX.to_ne_bytes());
        assert_eq!(parse(b"k", &enveloped).unwrap().expires, Some(at));
        let plain = file(Layout::Plain, b"k", Some(at), b"v");
        assert_eq!(plain[..4], u32::MAX.to_ne_bytes());
    }

    #[test]
    fn another_keys_file_is_damaged() {
        let file = file(Layout::Enveloped, b"a", None, b"value");
        assert_eq!(parse(b"b", &file), Err(Damage::Checksum));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            data in proptest::collection::vec(any::<u8>(), 0..300),
            key in proptest::collection::vec(any::<u8>(), 0..30),
            nanos in proptest::option::of(1..u64::MAX),
            enveloped: bool,
        ) {
            let layout = if enveloped { Layout::Enveloped } else { Layout::Plain };
            let file = file(layout, &key, nanos.map(Duration::from_nanos), &data);
            // A plain value that looks like an envelope is taken for one, and refused.
            prop_assume!(enveloped || !data.starts_with(MARK));
            let entry = parse(&key, &file).unwrap();
            prop_assert_eq!(&file[entry.start..], &data[..]);
            if enveloped {
                prop_assert_eq!(entry.expires, nanos.map(Duration::from_nanos));
            }
        }

        /// Whatever happens to an enveloped file, its value is the old one, or none, or does not
        /// start as a pickle does.
        #[test]
        fn damage_never_gives_another_value(
            data in proptest::collection::vec(any::<u8>(), 1..200),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            keep in any::<prop::sample::Index>(),
            cut: bool,
        ) {
            let data = [b"\x80\x05", &data[..]].concat();
            let mut file = file(Layout::Enveloped, b"key", None, &data);
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if cut {
                file.truncate(keep.index(file.len()));
            }
            if let Ok(entry) = parse(b"key", &file) {
                let read = &file[entry.start..];
                prop_assert!(read == data || !read.starts_with(b"\x80\x05"));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(file in proptest::collection::vec(any::<u8>(), 0..80), ours: bool) {
            let mut file = file;
            if ours && file.len() > 10 {
                file[4..10].copy_from_slice(MARK);
            }
            let _ = parse(b"key", &file);
            let _ = expiry(&file);
        }
    }
}
