//! What holds whatever a server, a disk or a user sends: each function takes any bytes and panics
//! where it does not.
//!
//! The fuzzers of the folder `fuzz` call them, and so does a test, with the inputs kept there.

pub use crate::backend::file::fuzzing::file_entry;
pub use crate::backend::memcached::fuzzing::{memcached_binary, memcached_names, memcached_text};
pub use crate::backend::redis::fuzzing::redis_replies;

use crate::envelope::compression::{self, Codec, MARK};
use crate::envelope::metadata::{self, Metadata};
use crate::envelope::signing::Signer;
use crate::page;

/// A signed value comes back as it was; what is not signed, or was changed, does not.
///
/// # Panics
/// It does not hold.
pub fn signed_value(input: &[u8]) {
    let Ok(signer) = Signer::new(&["new", "old"]) else {
        return;
    };
    let (key, data) = input.split_at(input.len() / 2);
    assert!(signer.verify(key, 0, input).is_err());
    let mut stored = signer.sign(key, 7, data);
    assert_eq!(signer.verify(key, 7, &stored), Ok(data));
    assert!(signer.verify(key, 8, &stored).is_err());
    let at = usize::from(input.first().copied().unwrap_or(0)) % stored.len();
    stored[at] ^= 1 << (at % 8);
    assert!(signer.verify(key, 7, &stored).is_err());
}

/// A compressed value comes back as it was, and any bytes are a value or refused.
///
/// # Panics
/// It does not hold.
pub fn compressed_value(input: &[u8]) {
    for codec in [Codec::Zstd, Codec::Lz4] {
        let stored = compression::compress(codec, 0, input);
        assert_eq!(compression::decompress(&stored).as_deref(), Ok(input));
    }
    assert_eq!(
        compression::decompress(&compression::escape(input)).as_deref(),
        Ok(input)
    );
    for letter in [b'z', b'4', b'0'] {
        let made_up = [MARK.as_slice(), &[letter], input].concat();
        // Whatever it is, it is not much larger than it can be honestly.
        if let Ok(data) = compression::decompress(&made_up) {
            assert!(data.len() <= 16 << 20 || data.len() / 1000 <= input.len());
        }
    }
}

/// Metadata that can be read is written as the same bytes; any other bytes are none, or damaged.
///
/// # Panics
/// It does not hold.
pub fn sealed_value(input: &[u8]) {
    let same = |stored: &[u8]| {
        if let Ok(Some((length, metadata))) = Metadata::unseal(stored) {
            assert_eq!(metadata.seal(&stored[..length]).as_deref(), Some(stored));
        }
    };
    same(input);
    let (length, rest) = input.split_first().unwrap_or((&0, b""));
    let (value, body) = rest.split_at(usize::from(*length).min(rest.len()));
    // With its checksum: otherwise nobody would guess that.
    if let Some(stored) = metadata::enclose(value, body) {
        same(&stored);
    }
}

/// Bytes are a page that is written as the same bytes, or none.
///
/// # Panics
/// It does not hold.
pub fn stored_page(input: &[u8]) {
    if let Some(page) = page::decode(input) {
        assert_eq!(page::encode(&page), input);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The inputs that are kept for a target, with their names.
    fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        let files = std::fs::read_dir(folder.join(target)).unwrap();
        files
            .map(|file| {
                let path = file.unwrap().path();
                (path.display().to_string(), std::fs::read(&path).unwrap())
            })
            .collect()
    }

    #[test]
    fn everything_holds_for_the_inputs_that_are_kept() {
        let targets = [
            ("redis_replies", super::redis_replies as fn(&[u8])),
            ("memcached_text", super::memcached_text),
            ("memcached_binary", super::memcached_binary),
            ("memcached_names", super::memcached_names),
            ("file_entry", super::file_entry),
            ("signed_value", super::signed_value),
            ("sealed_value", super::sealed_value),
            ("stored_page", super::stored_page),
            ("compressed_value", super::compressed_value),
        ];
        for (target, check) in targets {
            let inputs = kept(target);
            assert!(!inputs.is_empty());
            for (name, input) in inputs {
                // Shown where it does not hold.
                println!("{name}");
                check(&input);
                check(&input[..input.len() / 2]);
            }
        }
    }
}
