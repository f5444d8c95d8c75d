//! How a value that is larger than an item is laid out in several.
//!
//! Piece `i` of the value under `key` lies under `key.i`. Joined they are the value, then a seal: when
//! it expires (8 bytes, seconds since 1970, 0: never) and the SHA-256 of the key, that time and the
//! value. The flags of every piece say how many there are. Flask-Caching 2.5.1 joins the same keys,
//! ignores those flags, and its unpickling stops before the seal: it reads what is written here.
//!
//! What it writes has no seal and flags 0, and is read up to the first piece that is missing.

use sha2::{Digest as _, Sha256};

use crate::Value;

/// The flag that says that the value is sealed. pylibmc looks only at lower ones.
const SEALED: u32 = 1 << 8;

/// Where the flags hold the number of pieces.
const COUNT_SHIFT: u32 = 16;

/// Pieces larger than this leave room for their key and the server's own bookkeeping: an item of
/// 1 MiB has to hold them too.
const LARGE: usize = 64 * 1024;
const RESERVE: usize = 1024;

const SEAL: usize = 8 + 32;

/// The key of piece `index` of `key`.
pub(crate) fn piece_key(key: &[u8], index: usize) -> Vec<u8> {
    [key, b".", index.to_string().as_bytes()].concat()
}

/// A value put together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) data: Vec<u8>,
    /// When it expires, in seconds since 1970, 0: never; `None`: it does not say.
    pub(crate) expires: Option<u64>,
}

/// The pieces of `data`, of `chunk_size` bytes of it each, sealed for `key`. `None`: it takes more
/// than `most`.
pub(crate) fn split(
    key: &[u8],
    data: &[u8],
    expires: u64,
    chunk_size: usize,
    most: usize,
) -> Option<Vec<Value>> {
    let size = if chunk_size > LARGE {
        chunk_size - RESERVE
    } else {
        chunk_size
    };
    // An empty value is one empty piece.
    let chunks: Vec<&[u8]> = if data.is_empty() {
        vec![data]
    } else {
        data.chunks(size).collect()
    };
    let count = u16::try_from(chunks.len()).ok()?;
    if chunks.len() > most {
        return None;
    }
    let flags = SEALED | (u32::from(count) << COUNT_SHIFT);
    let mut pieces: Vec<Value> = chunks
        .into_iter()
        .map(|chunk| Value {
            data: chunk.to_vec(),
            flags,
        })
        .collect();
    if let Some(last) = pieces.last_mut() {
        last.data.extend_from_slice(&expires.to_be_bytes());
        last.data.extend_from_slice(&digest(key, data, expires));
    }
    Some(pieces)
}

/// How many pieces there are in all, going by the `first`; `None`: it does not say.
pub(crate) fn count(first: &Value) -> Option<usize> {
    (first.flags & SEALED != 0).then_some((first.flags >> COUNT_SHIFT) as usize)
}

/// The value under `key` whose pieces were found as `pieces`, which begin with the first; `None`: they
/// are not all there, or not all of one value.
pub(crate) fn join(key: &[u8], pieces: &[Option<Value>]) -> Option<Whole> {
    let first = pieces.first()?.as_ref()?;
    let Some(count) = count(first) else {
        let own = pieces
            .iter()
            .map_while(|piece| piece.as_ref().filter(|p| p.flags == first.flags));
        let data = own.flat_map(|piece| &piece.data).copied().collect();
        return Some(Whole {
            data,
            expires: None,
        });
    };
    if count == 0 || pieces.len() < count {
        return None;
    }
    let mut data = Vec::new();
    for piece in &pieces[..count] {
        let piece = piece.as_ref().filter(|piece| piece.flags == first.flags)?;
        data.extend_from_slice(&piece.data);
    }
    let length = data.len().checked_sub(SEAL)?;
    let seal = data.split_off(length);
    let (expires, found) = seal.split_at(8);
    let expires = expires
        .iter()
        .fold(0, |time, byte| (time << 8) | u64::from(*byte));
    (digest(key, &data, expires) == found).then_some(Whole {
        data,
        expires: Some(expires),
    })
}

fn digest(key: &[u8], data: &[u8], expires: u64) -> [u8; 32] {
    Sha256::new()
        .chain_update((key.len() as u64).to_be_bytes())
        .chain_update(key)
        .chain_update(expires.to_be_bytes())
        .chain_update(data)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pieces: &[Value]) -> Vec<Option<Value>> {
        pieces.iter().cloned().map(Some).collect()
    }

    fn unsealed(data: &[u8]) -> Value {
        Value::from(data.to_vec())
    }

    #[test]
    fn what_2_5_1_wrote_is_read_up_to_the_first_gap() {
        let pieces = [
            Some(unsealed(b"ab")),
            Some(unsealed(b"c")),
            None,
            Some(unsealed(b"old")),
        ];
        let whole = join(b"key", &pieces).unwrap();
        assert_eq!((whole.data.as_slice(), whole.expires), (&b"abc"[..], None));
    }

    #[test]
    fn pieces_of_an_older_sealed_value_do_not_follow_what_2_5_1_wrote() {
        let older = split(b"key", b"abcdef", 0, 2, 32).unwrap();
        let pieces = [
            Some(unsealed(b"new")),
            Some(older[1].clone()),
            Some(older[2].clone()),
        ];
        assert_eq!(join(b"key", &pieces).unwrap().data, b"new");
    }

    #[test]
    fn a_value_that_takes_too_many_pieces_is_none() {
        assert!(split(b"key", b"abcd", 0, 2, 2).is_some());
        assert!(split(b"key", b"abcde", 0, 2, 2).is_none());
    }

    #[test]
    fn large_pieces_leave_room_in_an_item() {
        let pieces = split(b"key", &vec![0; 3_000_000], 0, 1_048_448, 32).unwrap();
        assert!(
            pieces
                .iter()
                .all(|piece| piece.data.len() <= 1_048_448 - RESERVE + SEAL)
        );
    }

    #[test]
    fn another_key_s_pieces_are_not_taken_for_this_one_s() {
        let pieces = split(b"other", b"value", 0, 2, 32).unwrap();
        assert_eq!(join(b"key", &found(&pieces)), None);
    }

    proptest! {
        #[test]
        fn a_value_comes_back_whole(
            data in proptest::collection::vec(any::<u8>(), 0..300), expires: u64, size in 1_usize..40,
        ) {
            let pieces = split(b"key", &data, expires, size, 400).unwrap();
            prop_assert_eq!(count(&pieces[0]), Some(pieces.len()));
            let whole = join(b"key", &found(&pieces));
            prop_assert_eq!(whole, Some(Whole { data, expires: Some(expires) }));
        }

        #[test]
        fn a_mixture_is_one_of_the_values_or_nothing(
            one in proptest::collection::vec(any::<u8>(), 0..60),
            two in proptest::collection::vec(any::<u8>(), 0..60),
            choice in proptest::collection::vec(0_u8..3, 60),
        ) {
            let writers = [&one, &two].map(|data| split(b"key", data, 0, 7, 400).unwrap());
            let mixed: Vec<Option<Value>> = choice
                .iter()
                .enumerate()
                .map(|(place, writer)| writers.get(usize::from(*writer))?.get(place).cloned())
                .collect();
            if let Some(whole) = join(b"key", &mixed) {
                prop_assert!(whole.data == one || whole.data == two);
            }
        }
    }
}
