//! Which file belongs to which key, and which files of a directory are entries at all.

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::{Error, ErrorKind, Result};

/// What every file of bookkeeping ends with, cachelib's and ours: neither counts it nor clears it.
pub(in crate::backend::file) const BOOKKEEPING: &str = ".__wz_cache";

/// The key under which cachelib keeps the number of entries.
const COUNT_KEY: &[u8] = b"__wz_cache_count";

/// A hash given by the caller: the name it makes of a key.
pub type CustomHash = Box<dyn Fn(&[u8]) -> Result<String> + Send + Sync>;

/// The hash that turns a key into a file's name.
pub enum HashMethod {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256, the default.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// Any other. It is called without a lock held.
    Custom(CustomHash),
}

impl fmt::Debug for HashMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "Md5",
            Self::Sha1 => "Sha1",
            Self::Sha224 => "Sha224",
            Self::Sha256 => "Sha256",
            Self::Sha384 => "Sha384",
            Self::Sha512 => "Sha512",
            Self::Custom(_) => "Custom",
        })
    }
}

impl HashMethod {
    /// The method that Python's `hashlib` knows by `name`, where it is one of those built in here.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    fn hexdigest(&self, data: &[u8]) -> Result<String> {
        Ok(match self {
            Self::Md5 => hex(&Md5::digest(data)),
            Self::Sha1 => hex(&Sha1::digest(data)),
            Self::Sha224 => hex(&Sha224::digest(data)),
            Self::Sha256 => hex(&Sha256::digest(data)),
            Self::Sha384 => hex(&Sha384::digest(data)),
            Self::Sha512 => hex(&Sha512::digest(data)),
            Self::Custom(hash) => hash(data)?,
        })
    }
}

/// The names of a directory.
#[derive(Debug)]
pub(in crate::backend::file) struct Naming {
    method: HashMethod,
    /// The name of cachelib's file with the number of entries.
    count: String,
    /// The length every name has; `None`: they differ.
    length: Option<usize>,
    hexadecimal: bool,
    /// What follows the last dot of every name, where that is the same.
    suffix: Option<String>,
}

impl Naming {
    /// # Errors
    /// [`ErrorKind::Config`] where the hash gives nothing that can be a file's name.
    pub(in crate::backend::file) fn new(method: HashMethod) -> Result<Self> {
        let count = checked(method.hexdigest(COUNT_KEY)?)?;
        let other = checked(method.hexdigest(b"")?)?;
        Ok(Self {
            suffix: suffix(&count)
                .filter(|own| suffix(&other) == Some(own))
                .map(str::to_owned),
            length: (count.len() == other.len()).then_some(count.len()),
            hexadecimal: [&count, &other].iter().all(|name| is_hexadecimal(name)),
            count,
            method,
        })
    }

    /// The name of the file of `key`.
    ///
    /// # Errors
    /// What a custom hash fails with, or [`ErrorKind::Config`] where it gives no name.
    pub(in crate::backend::file) fn of(&self, key: &[u8]) -> Result<String> {
        // The key of cachelib's count is a user's key like any other. It and those like it move
        // aside by one NUL, so that no two keys meet.
        let reserved = key
            .strip_prefix(COUNT_KEY)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
        if reserved {
            return checked(self.method.hexdigest(&[key, b"\0"].concat())?);
        }
        let name = self.method.hexdigest(key)?;
        match self.method {
            HashMethod::Custom(_) => checked(name),
            _ => Ok(name),
        }
    }

    /// The name of cachelib's file with the number of entries.
    pub(in crate::backend::file) fn count(&self) -> &str {
        &self.count
    }

    /// Whether a file of this `name` can be an entry. What cannot is somebody else's.
    pub(in crate::backend::file) fn is_entry(&self, name: &str) -> bool {
        self.length.is_none_or(|length| length == name.len())
            && if self.hexadecimal {
                is_hexadecimal(name)
            } else {
                checked(name.to_owned()).is_ok() && suffix(name) == self.suffix.as_deref()
            }
            && name != self.count
    }
}

fn suffix(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, suffix)| suffix)
}

fn is_hexadecimal(name: &str) -> bool {
    name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `name`, where it can be a file's name and nobody mistakes it for another kind of file.
fn checked(name: String) -> Result<String> {
    let usable = (1..=200).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with(BOOKKEEPING);
    if usable {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::Config,
        "setup",
        "CACHE_FILE_HASH_METHOD",
        format!(
            "its hexdigest() must be up to 200 letters, digits, '_', '-' or '.', not {:?}",
            name.chars().take(40).collect::<String>()
        ),
    ))
}

fn hex(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(method: HashMethod) -> Naming {
        Naming::new(method).unwrap()
    }

    #[test]
    fn names_are_the_hexdigests_of_hashlib() {
        for (method, name) in [
            ("md5", "acbd18db4cc2f85cedef654fccc4a4d8"),
            ("sha1", "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"),
            (
                "sha224",
                "0808f64e60d58979fcb676c96ec938270dea42445aeefcd3a4e6f8db",
            ),
            (
                "sha256",
                "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            ),
        ] {
            let naming = naming(HashMethod::from_name(method).unwrap());
            assert_eq!(naming.of(b"foo").unwrap(), name);
            assert!(naming.is_entry(name));
        }
        assert_eq!(naming(HashMethod::Sha384).of(b"").unwrap().len(), 96);
        assert_eq!(naming(HashMethod::Sha512).of(b"").unwrap().len(), 128);
        assert!(HashMethod::from_name("shake_128").is_none());
    }

    #[test]
    fn what_is_not_named_by_the_hash_is_foreign() {
        let naming = naming(HashMethod::Sha256);
        for name in [
            "README.txt",
            "new-abc.__wz_cache",
            "acbd18db4cc2f85cedef654fccc4a4d8",
            "2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE",
            naming.count(),
        ] {
            assert!(!naming.is_entry(name), "{name}");
        }
    }

    #[test]
    fn keys_like_our_bookkeeping_are_keys_like_any_other() {
        let naming = naming(HashMethod::Sha256);
        let names: Vec<String> = [
            &b"__wz_cache_count"[..],
            b"__wz_cache_count\0",
            b"__wz_cache_count\0\0",
            b"__wz_cache_count\0x",
        ]
        .iter()
        .map(|key| naming.of(key).unwrap())
        .collect();
        for (i, name) in names.iter().enumerate() {
            assert!(naming.is_entry(name));
            assert!(!names[..i].contains(name));
        }
    }

    #[test]
    fn a_custom_hash_names_files_where_it_can() {
        let custom = HashMethod::Custom(Box::new(|key| Ok(format!("0x{}", key.len()))));
        let custom = naming(custom);
        assert_eq!(custom.of(b"abc").unwrap(), "0x3");
        assert!(custom.is_entry("0x77"));
        for bad in ["", "../x", "a b"] {
            let hash = HashMethod::Custom(Box::new(move |_| Ok(bad.to_owned())));
            assert_eq!(Naming::new(hash).unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
