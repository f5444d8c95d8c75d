//! The key hashes of libmemcached's `libhashkit`, bit for bit: another client that shares the
//! servers looks for a key where the hash puts it.

use md5::{Digest as _, Md5};

/// A hash that turns a key into a place, by its name in pylibmc's `hash` behavior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHash {
    /// `default`: Bob Jenkins' one-at-a-time.
    #[default]
    OneAtATime,
    /// `md5`: the first four bytes of the digest, little-endian.
    Md5,
    /// `crc`: 15 bits of CRC-32.
    Crc,
    /// `fnv1_64`: the low half of FNV-1.
    Fnv1_64,
    /// `fnv1a_64`: the low half of FNV-1a.
    Fnv1a64,
    /// `fnv1_32`.
    Fnv1_32,
    /// `fnv1a_32`.
    Fnv1a32,
    /// `murmur`: `MurmurHash2`.
    Murmur,
}

impl KeyHash {
    /// The names that [`KeyHash::from_name`] knows.
    pub const NAMES: [&str; 8] = [
        "default", "md5", "crc", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "murmur",
    ];

    /// The hash that pylibmc calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" => Self::OneAtATime,
            "md5" => Self::Md5,
            "crc" => Self::Crc,
            "fnv1_64" => Self::Fnv1_64,
            "fnv1a_64" => Self::Fnv1a64,
            "fnv1_32" => Self::Fnv1_32,
            "fnv1a_32" => Self::Fnv1a32,
            "murmur" => Self::Murmur,
            _ => return None,
        })
    }

    /// The hash of `key`.
    pub fn hash(self, key: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => one_at_a_time(key),
            Self::Md5 => md5_word(key, 0),
            Self::Crc => crc(key),
            Self::Fnv1_64 => fnv1(key, FNV_64_INIT_LOW, FNV_64_PRIME_LOW),
            Self::Fnv1a64 => fnv1a(key, FNV_64_INIT_LOW, FNV_64_PRIME_LOW),
            Self::Fnv1_32 => fnv1(key, FNV_32_INIT, FNV_32_PRIME),
            Self::Fnv1a32 => fnv1a(key, FNV_32_INIT, FNV_32_PRIME),
            Self::Murmur => murmur2(key),
        }
    }
}

// Only the low 32 bits of the 64-bit FNV state ever reach the result.
const FNV_64_INIT_LOW: u32 = 0x8422_2325;
const FNV_64_PRIME_LOW: u32 = 0x0000_01b3;
const FNV_32_INIT: u32 = 0x811c_9dc5;
const FNV_32_PRIME: u32 = 0x0100_0193;

/// A byte as libhashkit's `char` widens it on x86 and ARM Linux builds: with its sign.
fn widen(byte: u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut value = key.iter().fold(0_u32, |value, byte| {
        let value = value.wrapping_add(widen(*byte));
        let value = value.wrapping_add(value << 10);
        value ^ (value >> 6)
    });
    value = value.wrapping_add(value << 3);
    value ^= value >> 11;
    value.wrapping_add(value << 15)
}

/// The `word`th (0 to 3) little-endian 32-bit word of the MD5 digest of `text`.
pub(in crate::backend::memcached) fn md5_word(text: &[u8], word: usize) -> u32 {
    let digest = Md5::digest(text);
    digest[word * 4..word * 4 + 4]
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 8) | u32::from(*byte))
}

fn crc(key: &[u8]) -> u32 {
    let crc = key.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    (!crc >> 16) & 0x7fff
}

fn fnv1(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter()
        .fold(init, |hash, byte| hash.wrapping_mul(prime) ^ widen(*byte))
}

fn fnv1a(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter()
        .fold(init, |hash, byte| (hash ^ widen(*byte)).wrapping_mul(prime))
}

fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // Keys are at most 250 bytes.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = 0xdead_beef_u32.wrapping_mul(length) ^ length;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = word
            .iter()
            .rev()
            .fold(0, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libmemcached 1.0.18 (`memcached_generate_hash_value`) answers.
    #[test]
    #[allow(
        clippy::unreadable_literal,
        reason = "as the other program prints them"
    )]
    fn hashes_agree_with_libmemcached() {
        let keys = ["a", "ab", "abc", "abcd", "flask_cache_view//x", "é"];
        for (name, expected) in [
            (
                "default",
                [
                    3392050242, 1172708952, 3977453403, 3448463878, 4100518044, 26298542,
                ],
            ),
            (
                "md5",
                [
                    3111502092, 1140096536, 2555380112, 1282538722, 2402488998, 2546851174,
                ],
            ),
            ("crc", [26807, 7811, 13604, 28034, 20802, 3588]),
            (
                "fnv1_64",
                [
                    2248259518, 3035314104, 1806675403, 4219752341, 410429579, 3035330621,
                ],
            ),
            (
                "fnv1a_64",
                [
                    2248273036, 3041237098, 88168267, 3993445597, 549412583, 3033280513,
                ],
            ),
            (
                "fnv1_32",
                [
                    84696446, 1886858552, 1134309195, 3118363509, 50420843, 376872957,
                ],
            ),
            (
                "fnv1a_32",
                [
                    3826002220, 1294271946, 440920331, 3459545533, 463104583, 1023043777,
                ],
            ),
            (
                "murmur",
                [
                    1262581116, 3820310011, 2064434216, 4016735919, 2301937291, 2111574343,
                ],
            ),
        ] {
            let hash = KeyHash::from_name(name).unwrap();
            for (key, expected) in keys.iter().zip(expected) {
                assert_eq!(hash.hash(key.as_bytes()), expected, "{name} of {key}");
            }
        }
    }

    #[test]
    fn every_listed_name_is_known_and_no_other() {
        for name in KeyHash::NAMES {
            assert!(KeyHash::from_name(name).is_some(), "{name}");
        }
        assert_eq!(KeyHash::from_name("hsieh"), None);
    }
}
