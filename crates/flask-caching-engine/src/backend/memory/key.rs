//! The keys of entries: kept inside the entry where they are short, as nearly all are. Comparing one
//! then costs no memory access beyond the entry's own.

/// Makes a stored key 40 bytes, which its heap form would take with the allocation's own overhead.
const INLINE: usize = 38;

/// A key as an entry holds it.
pub(super) enum StoredKey {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl StoredKey {
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for StoredKey {
    fn from(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..key.len()].copy_from_slice(key);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(key.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_is_what_it_was() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 255, 256, 1000] {
            let key: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            assert_eq!(StoredKey::from(&key[..]).as_bytes(), key);
        }
    }

    #[test]
    fn a_stored_key_takes_40_bytes() {
        assert_eq!(size_of::<StoredKey>(), 40);
    }
}
