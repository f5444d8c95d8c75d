//! Compressed values.
//!
//! Layout: the 5 bytes of [`MARK`], a byte that names the [`Codec`], the length of the value in 4 bytes
//! and 32 bits of its XXH3 (both little-endian), and what the codec made of it. [`MARK`] starts with
//! bytes that begin neither a pickle nor a number: a reader that knows nothing of compression takes
//! the entry for a damaged one, not for a value.
//!
//! What does not get smaller is stored as it is. A value that begins with [`MARK`] itself is stored
//! behind one, whether or not values are compressed ([`escape`]): so reading never takes a value for
//! what it is not, and every value is read whatever is compressed now.

use std::borrow::Cow;
use std::fmt;

use twox_hash::XxHash3_64;

/// What every compressed value starts with.
pub const MARK: &[u8; 5] = b"!\xfccmp";

/// Bytes before what the codec made.
const HEAD: usize = MARK.len() + 1 + 4 + 4;

/// No longer value is compressed, and none is read.
const LONGEST: usize = 256 << 20;

/// Up to this length a value may be compressed to anything.
const HARMLESS: usize = 16 << 20;

/// A longer one takes no more than so many times its compressed bytes.
const MOST_TIMES: usize = 1000;

/// The level of zstd's that it calls its default.
const ZSTD_LEVEL: i32 = 3;

/// How values are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// zstd: the smallest.
    Zstd,
    /// LZ4: the fastest.
    Lz4,
}

/// The name of a value that is stored as it is, behind a mark.
const STORED: u8 = b'0';

impl Codec {
    /// The codec that settings call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "zstd" => Some(Self::Zstd),
            "lz4" => Some(Self::Lz4),
            _ => None,
        }
    }

    fn letter(self) -> u8 {
        match self {
            Self::Zstd => b'z',
            Self::Lz4 => b'4',
        }
    }
}

/// Why a stored value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is cut off, or not what was compressed.
    Damaged,
    /// It says that it is longer than any value may be, or than its bytes can be believed to be.
    TooLong,
    /// It was compressed by something that this version does not know.
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "its compressed bytes are damaged",
            Self::TooLong => "it would be larger than a compressed value may be",
            Self::Unknown => "it is compressed in an unknown way",
        })
    }
}

/// What to store for `data`: compressed, where it has `minimum` bytes and gets smaller by it.
pub fn compress(codec: Codec, minimum: usize, data: &[u8]) -> Cow<'_, [u8]> {
    if data.len() < minimum || data.len() > LONGEST {
        return escape(data);
    }
    let packed = match codec {
        Codec::Zstd => zstd::bulk::compress(data, ZSTD_LEVEL).unwrap_or_else(|_| data.to_vec()),
        Codec::Lz4 => lz4_flex::block::compress(data),
    };
    if HEAD + packed.len() >= data.len() || data.len() > longest(packed.len()) {
        return escape(data);
    }
    Cow::Owned(framed(codec.letter(), data, &packed))
}

/// What to store for `data` as it is: a value that begins like a compressed one is put behind a mark.
pub fn escape(data: &[u8]) -> Cow<'_, [u8]> {
    if data.starts_with(MARK) {
        Cow::Owned(framed(STORED, data, data))
    } else {
        Cow::Borrowed(data)
    }
}

/// The value that [`compress`], with any codec, or [`escape`] made `stored` of.
///
/// # Errors
/// The [`Refusal`], where it begins like one of theirs and is none.
pub fn decompress(stored: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    let Some(rest) = stored.strip_prefix(MARK) else {
        return Ok(Cow::Borrowed(stored));
    };
    let (letter, shown, sum, packed) = head(rest).ok_or(Refusal::Damaged)?;
    let length = shown as usize;
    let data = match letter {
        STORED => Cow::Borrowed(packed),
        b'z' | b'4' if length > longest(packed.len()) => return Err(Refusal::TooLong),
        b'z' => Cow::Owned(unpack_zstd(packed, length)?),
        b'4' => Cow::Owned(unpack_lz4(packed, length)?),
        _ => return Err(Refusal::Unknown),
    };
    if shown_length(&data) != shown || checksum(&data) != sum {
        return Err(Refusal::Damaged);
    }
    Ok(data)
}

/// How long a value of so many compressed bytes may be, in whatever way they were made: a longer one is
/// made to fill the memory.
pub fn longest(packed: usize) -> usize {
    HARMLESS.max(packed.saturating_mul(MOST_TIMES)).min(LONGEST)
}

fn unpack_zstd(packed: &[u8], length: usize) -> Result<Vec<u8>, Refusal> {
    let mut data = room_for(length)?;
    let unpacked = zstd::bulk::Decompressor::new()
        .and_then(|mut unpack| unpack.decompress_to_buffer(packed, &mut data));
    unpacked.map_err(|_| Refusal::Damaged)?;
    Ok(data)
}

fn unpack_lz4(packed: &[u8], length: usize) -> Result<Vec<u8>, Refusal> {
    let mut data = room_for(length)?;
    data.resize(length, 0);
    let unpacked = lz4_flex::block::decompress_into(packed, &mut data);
    data.truncate(unpacked.map_err(|_| Refusal::Damaged)?);
    Ok(data)
}

/// Room for a value; where the system has none, nobody ends for it.
fn room_for(length: usize) -> Result<Vec<u8>, Refusal> {
    let mut data = Vec::new();
    data.try_reserve_exact(length)
        .map_err(|_| Refusal::TooLong)?;
    Ok(data)
}

fn framed(letter: u8, data: &[u8], packed: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEAD + packed.len());
    framed.extend_from_slice(MARK);
    framed.push(letter);
    framed.extend_from_slice(&shown_length(data).to_le_bytes());
    framed.extend_from_slice(&checksum(data).to_le_bytes());
    framed.extend_from_slice(packed);
    framed
}

/// The length as it is written; of what is too long to be compressed 0.
fn shown_length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(0)
}

fn head(rest: &[u8]) -> Option<(u8, u32, u32, &[u8])> {
    let (&letter, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, packed) = rest.split_first_chunk()?;
    Some((
        letter,
        u32::from_le_bytes(*length),
        u32::from_le_bytes(*sum),
        packed,
    ))
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits are enough")]
fn checksum(data: &[u8]) -> u32 {
    XxHash3_64::oneshot(data) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Codec; 2] = [Codec::Zstd, Codec::Lz4];

    fn back(stored: &[u8]) -> Result<Vec<u8>, Refusal> {
        decompress(stored).map(Cow::into_owned)
    }

    #[test]
    fn what_gets_smaller_is_compressed_and_comes_back() {
        let data = b"the same again, ".repeat(1000);
        for codec in CODECS {
            let stored = compress(codec, 1024, &data);
            assert!(stored.len() < data.len() / 10, "{codec:?}");
            assert_eq!(back(&stored), Ok(data.clone()));
        }
    }

    #[test]
    fn what_is_short_or_does_not_get_smaller_is_stored_as_it_is() {
        let noise: Vec<u8> = (0..4096_u32)
            .flat_map(|n| XxHash3_64::oneshot(&n.to_le_bytes()).to_le_bytes())
            .collect();
        for codec in CODECS {
            assert_eq!(&*compress(codec, 1024, &[0; 1023]), &[0; 1023]);
            assert!(compress(codec, 1024, &[0; 1024]).len() < 100);
            assert_eq!(&*compress(codec, 0, &noise), noise);
            for number in ["0", "-1", "9223372036854775807"] {
                assert_eq!(&*compress(codec, 0, number.as_bytes()), number.as_bytes());
            }
            assert_eq!(&*compress(codec, 0, b""), b"");
        }
    }

    #[test]
    fn a_value_that_begins_like_a_compressed_one_is_none() {
        for data in [
            &MARK[..],
            b"!\xfccmpz",
            b"!\xfccmp4 and more of it",
            b"!\xfccmp0",
        ] {
            assert_eq!(back(&escape(data)), Ok(data.to_vec()));
            for codec in CODECS {
                let nested = compress(codec, 0, &escape(data).repeat(100)).into_owned();
                assert_eq!(back(&nested), Ok(escape(data).repeat(100)));
                assert_eq!(back(&escape(&nested)), Ok(nested));
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let zeros = vec![0; LONGEST];
        for (letter, packed) in [
            (b'z', zstd::bulk::compress(&zeros, 1).unwrap()),
            (b'4', zstd::bulk::compress(&zeros, 1).unwrap()),
        ] {
            let mut stored = framed(letter, &[], &packed);
            for length in [LONGEST, LONGEST + 1, u32::MAX as usize] {
                let length = u32::try_from(length).unwrap();
                stored[6..10].copy_from_slice(&length.to_le_bytes());
                assert_eq!(back(&stored), Err(Refusal::TooLong));
            }
        }
        // One that lies about its length.
        for claimed in [0_u32, 1000, 16 << 20] {
            let mut stored = framed(b'z', &[], &zstd::bulk::compress(&zeros, 1).unwrap());
            stored[6..10].copy_from_slice(&claimed.to_le_bytes());
            assert_eq!(back(&stored), Err(Refusal::Damaged));
        }
        // What would not be read again is not written.
        for codec in CODECS {
            let stored = compress(codec, 0, &zeros[..LONGEST / 2]);
            assert_eq!(decompress(&stored).unwrap().len(), LONGEST / 2);
        }
    }

    #[test]
    fn so_long_a_value_may_be() {
        assert_eq!(longest(0), HARMLESS);
        assert_eq!(longest(HARMLESS / 1000), HARMLESS);
        assert_eq!(longest(100_000), 100_000_000);
        assert_eq!(longest(usize::MAX), LONGEST);
    }

    #[test]
    fn what_later_versions_write_is_refused() {
        assert_eq!(back(&framed(b'9', b"abc", b"abc")), Err(Refusal::Unknown));
        assert_eq!(back(MARK), Err(Refusal::Damaged));
    }

    fn values() -> impl Strategy<Value = Vec<u8>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            bytes(),
            (bytes(), 1..50_usize).prop_map(|(part, times)| part.repeat(times)),
            bytes().prop_map(|rest| [MARK.as_slice(), &rest].concat()),
        ]
    }

    proptest! {
        #[test]
        fn every_value_comes_back(data in values(), minimum in 0..2000_usize) {
            for codec in CODECS {
                let stored = compress(codec, minimum, &data);
                prop_assert!(stored.len() <= data.len() + HEAD);
                prop_assert_eq!(back(&stored), Ok(data.clone()));
            }
            prop_assert_eq!(back(&escape(&data)), Ok(data));
        }

        // Not every bit of a compressed frame says something: what is never had is another value.
        #[test]
        fn no_changed_byte_gives_another_value(
            data in values(),
            at in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            for codec in CODECS {
                let mut stored = compress(codec, 0, &data).into_owned();
                if !stored.starts_with(MARK) {
                    continue;
                }
                let at = at.index(stored.len());
                stored[at] ^= flip;
                match back(&stored) {
                    Ok(found) if at < MARK.len() => prop_assert_eq!(found, stored),
                    Ok(found) => prop_assert_eq!(&found, &data),
                    Err(_) => {}
                }
            }
        }

        #[test]
        fn any_bytes_are_a_value_or_refused(data in values()) {
            for letter in [b'z', b'4', STORED] {
                let _ = back(&framed(letter, &data, &data));
            }
        }
    }
}
