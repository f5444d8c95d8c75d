//! Versions, which keys end in, so that changing one forgets all entries that depend on it.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How long a version is: what Flask-Caching keeps of the base64 of a random number.
const LENGTH: usize = 6;

/// A version that no entry was stored under yet.
#[must_use]
pub fn new_version() -> String {
    // Each state has other keys.
    let random = RandomState::new().build_hasher().finish().to_le_bytes();
    let mut version = STANDARD.encode(random);
    version.truncate(LENGTH);
    version
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_is_another() {
        let made: HashSet<String> = (0..1000).map(|_| new_version()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|version| version.len() == LENGTH));
    }
}
