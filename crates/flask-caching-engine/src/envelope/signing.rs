//! Signed values: what came back from a store is what this application put there, under this key.
//!
//! Layout: the 6 bytes of [`MARK`], the 32 bytes of an HMAC-SHA256, the value. The MAC covers a
//! format name, the length and the bytes of the key, the flags and the value, so an entry that is
//! moved to another key, or whose flags are changed, does not verify. [`MARK`] starts with a byte
//! that begins neither a pickle nor a number: a reader that knows nothing of signatures takes the
//! entry for a damaged one, not for a value.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Error, ErrorKind, Result};

/// What a signed value starts with.
pub const MARK: &[u8; 6] = b"!\xfcsig1";

const MAC_LENGTH: usize = 32;
const FORMAT: &[u8] = b"flask-caching-rs signed value 1\0";

/// Why a stored value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It carries no signature.
    Unsigned,
    /// It carries a signature that none of the keys made for this key and these bytes.
    Changed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "it is not signed",
            Self::Changed => "its signature does not match",
        })
    }
}

/// Signs values with the newest of its keys and accepts those of all of them.
pub struct Signer {
    /// HMAC states with the key already absorbed, newest first. Never empty.
    keys: Vec<Hmac<Sha256>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("keys", &self.keys.len())
            .finish()
    }
}

impl Signer {
    /// A signer with `keys`, the newest first: the first one signs, every one verifies.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no key, or an empty one.
    pub fn new<K: AsRef<[u8]>>(keys: &[K]) -> Result<Self> {
        let unusable =
            |message: &str| Error::new(ErrorKind::Config, "setup", "CACHE_SIGNING_KEY", message);
        if keys.is_empty() {
            return Err(unusable("at least one key is needed"));
        }
        let keys = keys
            .iter()
            .map(|key| match key.as_ref() {
                [] => Err(unusable("a key must not be empty")),
                key => Hmac::new_from_slice(key).map_err(|e| unusable(&e.to_string())),
            })
            .collect::<Result<_>>()?;
        Ok(Self { keys })
    }

    /// `data` with its signature, bound to `key` and `flags`.
    pub fn sign(&self, key: &[u8], flags: u32, data: &[u8]) -> Vec<u8> {
        let mac = absorb(self.keys[0].clone(), key, flags, data)
            .finalize()
            .into_bytes();
        [MARK.as_slice(), mac.as_slice(), data].concat()
    }

    /// The value inside `stored`, where one of the keys signed it for `key` and `flags`.
    ///
    /// The comparison takes the same time wherever the first difference is.
    ///
    /// # Errors
    /// The [`Refusal`], where it is not signed or was changed.
    pub fn verify<'a>(
        &self,
        key: &[u8],
        flags: u32,
        stored: &'a [u8],
    ) -> std::result::Result<&'a [u8], Refusal> {
        let (mac, data) = stored
            .strip_prefix(MARK.as_slice())
            .and_then(|rest| rest.split_at_checked(MAC_LENGTH))
            .ok_or(Refusal::Unsigned)?;
        self.keys
            .iter()
            .any(|state| {
                absorb(state.clone(), key, flags, data)
                    .verify_slice(mac)
                    .is_ok()
            })
            .then_some(data)
            .ok_or(Refusal::Changed)
    }
}

fn absorb(mut state: Hmac<Sha256>, key: &[u8], flags: u32, data: &[u8]) -> Hmac<Sha256> {
    state.update(FORMAT);
    state.update(&(key.len() as u64).to_le_bytes());
    state.update(key);
    state.update(&flags.to_le_bytes());
    state.update(data);
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signer(keys: &[&str]) -> Signer {
        Signer::new(keys).unwrap()
    }

    #[test]
    fn every_key_verifies_and_the_newest_signs() {
        let old = signer(&["old"]);
        let both = signer(&["new", "old"]);
        let new = signer(&["new"]);
        assert_eq!(
            both.verify(b"k", 0, &old.sign(b"k", 0, b"v")),
            Ok(&b"v"[..])
        );
        assert_eq!(
            new.verify(b"k", 0, &both.sign(b"k", 0, b"v")),
            Ok(&b"v"[..])
        );
        assert_eq!(
            old.verify(b"k", 0, &both.sign(b"k", 0, b"v")),
            Err(Refusal::Changed)
        );
    }

    #[test]
    fn a_signature_is_bound_to_key_and_flags() {
        let s = signer(&["secret"]);
        let stored = s.sign(b"a", 1, b"value");
        assert_eq!(s.verify(b"a", 1, &stored), Ok(&b"value"[..]));
        assert_eq!(s.verify(b"b", 1, &stored), Err(Refusal::Changed));
        assert_eq!(s.verify(b"a", 0, &stored), Err(Refusal::Changed));
        // The border between key and value is part of what is signed.
        assert_ne!(s.sign(b"ab", 0, b"c")[6..38], s.sign(b"a", 0, b"bc")[6..38]);
    }

    #[test]
    fn what_is_not_signed_is_refused() {
        let s = signer(&["secret"]);
        for stored in [
            &b""[..],
            b"!",
            b"\x80\x05K\x01.",
            MARK,
            b"!\xfcsig1 too short",
        ] {
            assert_eq!(s.verify(b"k", 0, stored), Err(Refusal::Unsigned));
        }
    }

    #[test]
    fn keys_are_needed_and_never_shown() {
        let none: [&str; 0] = [];
        assert_eq!(Signer::new(&none).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(
            Signer::new(&["a", ""]).unwrap_err().kind(),
            ErrorKind::Config
        );
        assert!(!format!("{:?}", signer(&["hush"])).contains("hush"));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1..=255u8,
        ) {
            let s = signer(&["secret"]);
            let mut stored = s.sign(b"key", 7, &data);
            let at = at.index(stored.len());
            stored[at] ^= flip;
            prop_assert!(s.verify(b"key", 7, &stored).is_err());
        }
    }
}
