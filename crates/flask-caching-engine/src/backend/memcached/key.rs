//! The one place that decides how a key goes over the wire.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The longest key of the protocol, in bytes.
pub const MAX_KEY_LENGTH: usize = 250;

/// What every encoded key begins with.
const ENCODED: &[u8] = b"~fc1~";

/// `key` as it goes over the wire: itself where the text protocol can carry it, else
/// `~fc1~` + the hexadecimal SHA-256 of it.
///
/// The protocol cannot carry an empty key, more than 250 bytes, or a byte up to 0x20 (space, CR, LF,
/// NUL and the other controls), which would end the key and begin a command. A key that looks like
/// an encoded one is encoded too, so that no two keys share a place.
pub fn wire_key(key: &[u8]) -> Cow<'_, [u8]> {
    let legal = !key.is_empty()
        && key.len() <= MAX_KEY_LENGTH
        && key.iter().all(|byte| *byte > b' ')
        && !key.starts_with(ENCODED);
    if legal {
        return Cow::Borrowed(key);
    }
    let mut encoded = String::from_utf8_lossy(ENCODED).into_owned();
    for byte in Sha256::digest(key) {
        // Writing to a string cannot fail.
        let _ = write!(encoded, "{byte:02x}");
    }
    Cow::Owned(encoded.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legal_keys_stay_as_they_are() {
        let longest = [b'x'; MAX_KEY_LENGTH];
        for key in [
            b"flask_cache_view//x".as_slice(),
            "schlüssel".as_bytes(),
            b"bang!",
            b"\x7f\xff\x80",
            &longest,
        ] {
            assert_eq!(wire_key(key), key);
        }
    }

    #[test]
    fn illegal_keys_are_encoded_each_to_a_place_of_its_own() {
        let too_long = [b'x'; MAX_KEY_LENGTH + 1];
        let keys: [&[u8]; 7] = [
            b"",
            b"a b",
            b"a\r\nflush_all",
            b"a\0",
            b"\x01",
            b"~fc1~",
            &too_long,
        ];
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            let wire = wire_key(key).into_owned();
            assert_eq!(wire.len(), ENCODED.len() + 64);
            assert_ne!(
                wire_key(&wire),
                wire,
                "an encoded key asked for by name is another key"
            );
            assert!(seen.insert(wire), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_key_the_wire_is_safe(key in proptest::collection::vec(any::<u8>(), 0..400)) {
            let wire = wire_key(&key);
            prop_assert!(!wire.is_empty() && wire.len() <= MAX_KEY_LENGTH);
            prop_assert!(wire.iter().all(|byte| *byte > b' '));
        }
    }
}
