//! Keys of memoized calls, as Flask-Caching makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// How many characters of the hash stand in a key.
const PREFIX_LENGTH: usize = 16;

/// The part of a memoized call's key that its function and arguments make: the first 16 characters
/// of the base64 of the SHA-256 of `text`, which is the function's name, the repr of the tuple of its
/// positional arguments and the repr of the `OrderedDict` of the others. The versions follow it.
pub fn memoize_prefix(text: &str) -> [u8; PREFIX_LENGTH] {
    let digest = Sha256::digest(text.as_bytes());
    let mut prefix = [0; PREFIX_LENGTH];
    // 12 bytes are 16 characters without padding: the slice always fits.
    let written = STANDARD.encode_slice(&digest[..12], &mut prefix);
    debug_assert_eq!(written, Ok(PREFIX_LENGTH));
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_that_of_flask_caching() {
        // What Flask-Caching 2.5.1 makes of `f(1, 2)` in `__main__`.
        let prefix = memoize_prefix("__main__.f(1, 2)OrderedDict()");
        let digest = Sha256::digest(b"__main__.f(1, 2)OrderedDict()");
        assert_eq!(prefix, STANDARD.encode(digest).as_bytes()[..16]);
        assert_eq!(&prefix, b"01XhK/PbWeI7WVRr");
    }
}
