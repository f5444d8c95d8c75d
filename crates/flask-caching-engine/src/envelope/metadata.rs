//! What is known of an entry beside its value: until when it is fresh, which tags it depends on, and who
//! computes it anew.
//!
//! It stands behind the value, where a pickle is over: whoever unpickles the entry reads nothing past
//! the pickle's end. Only entries that need it have it.
//!
//! ```text
//! value | fresh until (u64) | number of tags (u16) | per tag: key, version (each u16 length, bytes)
//!       | of a lease, where there is one: kind (u8), token (16 bytes), until (u64)
//!       | length of all that (u32) | check (4 bytes of its SHA-256) | MAGIC
//! ```
//!
//! Numbers are little-endian; "fresh until" and "until" are in milliseconds since 1970, and all ones: always.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// What an entry with metadata ends with. No pickle does (its last byte is a full stop), and no number.
pub const MAGIC: &[u8; 8] = b"\0\xffmeta\x01\xff";

/// The most tags of an entry.
pub const MOST_TAGS: usize = 256;

const ALWAYS: u64 = u64::MAX;
/// What follows the part that is checked.
const TAIL: usize = 4 + 4 + MAGIC.len();

/// What is known of an entry beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Until when it is fresh, as the time since 1970; `None`: always.
    pub fresh_until: Option<Duration>,
    /// The keys of its tags, and the versions that these had when it was stored.
    pub tags: Vec<(String, String)>,
    /// Who computes it.
    pub lease: Option<Lease>,
}

/// Who computes an entry, among all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What this entry is for.
    pub kind: LeaseKind,
    /// What only its owner knows.
    pub token: [u8; 16],
    /// Until when it counts, as the time since 1970; `None`: for as long as the entry lives.
    pub until: Option<Duration>,
}

/// What an entry with a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LeaseKind {
    /// There is no value yet: somebody computes it.
    InPlace = 1,
    /// There is an older value, which somebody computes anew.
    Over = 2,
    /// There is no value, and nobody waits for the next one: the last result was its caller's alone.
    Refused = 3,
    /// There is an older value, and nobody waits for the next one: the last result was its caller's alone.
    RefusedOver = 4,
    /// There is an older value. It could not be computed anew, and that is tried no sooner.
    FailedOver = 5,
}

impl Lease {
    /// Whether the entry has no value.
    pub fn is_in_place(&self) -> bool {
        matches!(self.kind, LeaseKind::InPlace | LeaseKind::Refused)
    }

    /// For how long it counts at `now`, the time since 1970; `None`: no more.
    pub fn remaining(&self, now: Duration) -> Option<Duration> {
        let left = self.until.unwrap_or(Duration::MAX).saturating_sub(now);
        Some(left).filter(|left| !left.is_zero())
    }

    fn parse(rest: &[u8]) -> Option<Self> {
        let ([kind], rest) = rest.split_first_chunk::<1>()?;
        let (token, rest) = rest.split_first_chunk::<16>()?;
        let (until, []) = rest.split_first_chunk::<8>()? else {
            return None;
        };
        let kind = match kind {
            1 => LeaseKind::InPlace,
            2 => LeaseKind::Over,
            3 => LeaseKind::Refused,
            4 => LeaseKind::RefusedOver,
            5 => LeaseKind::FailedOver,
            _ => return None,
        };
        let until = point(u64::from_le_bytes(*until));
        let token = *token;
        Some(Self { kind, token, until })
    }
}

/// Metadata that is none, though something ends as if it were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its metadata is damaged")]
pub struct Damaged;

impl Metadata {
    /// `value` with this metadata behind it.
    ///
    /// Tags beyond [`MOST_TAGS`], and texts of more than 65,535 bytes, are for the caller to refuse:
    /// `None`.
    pub fn seal(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.tags.len() > MOST_TAGS {
            return None;
        }
        let mut body = milliseconds(self.fresh_until).to_le_bytes().to_vec();
        body.extend(u16::try_from(self.tags.len()).ok()?.to_le_bytes());
        for text in self.tags.iter().flat_map(|(key, version)| [key, version]) {
            body.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
            body.extend(text.as_bytes());
        }
        if let Some(lease) = &self.lease {
            body.push(lease.kind as u8);
            body.extend(lease.token);
            body.extend(milliseconds(lease.until).to_le_bytes());
        }
        enclose(value, &body)
    }

    /// How long the value is, and its metadata; `None` where it has none.
    ///
    /// # Errors
    /// [`Damaged`]: there is some, and it cannot be read.
    pub fn unseal(data: &[u8]) -> Result<Option<(usize, Self)>, Damaged> {
        let Some(rest) = data.strip_suffix(MAGIC) else {
            return Ok(None);
        };
        let (rest, found) = rest.split_last_chunk::<4>().ok_or(Damaged)?;
        let (rest, length) = rest.split_last_chunk::<4>().ok_or(Damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damaged)?;
        let at = rest.len().checked_sub(length).ok_or(Damaged)?;
        let body = &rest[at..];
        if check(body) != *found {
            return Err(Damaged);
        }
        Ok(Some((at, Self::parse(body).ok_or(Damaged)?)))
    }

    /// For how long it has been stale at `now`, the time since 1970; `None`: it is fresh.
    pub fn stale_for(&self, now: Duration) -> Option<Duration> {
        now.checked_sub(self.fresh_until?)
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (fresh_until, rest) = body.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if count > MOST_TAGS {
            return None;
        }
        let fresh_until = u64::from_le_bytes(*fresh_until);
        let mut tags = Vec::with_capacity(count);
        for _ in 0..count {
            let key = text(&mut rest)?;
            tags.push((key, text(&mut rest)?));
        }
        let lease = if rest.is_empty() {
            None
        } else {
            Some(Lease::parse(rest)?)
        };
        Some(Self {
            fresh_until: point(fresh_until),
            tags,
            lease,
        })
    }
}

/// `body` behind `value`, as an entry has it; `None` where it is too long.
pub(crate) fn enclose(value: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(value.len() + body.len() + TAIL);
    sealed.extend(value);
    sealed.extend(body);
    sealed.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
    sealed.extend(check(body));
    sealed.extend(MAGIC);
    Some(sealed)
}

fn milliseconds(point: Option<Duration>) -> u64 {
    point.map_or(ALWAYS, |point| {
        u64::try_from(point.as_millis()).unwrap_or(ALWAYS)
    })
}

fn point(milliseconds: u64) -> Option<Duration> {
    (milliseconds != ALWAYS).then(|| Duration::from_millis(milliseconds))
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let (length, behind) = rest.split_first_chunk::<2>()?;
    let (text, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *rest = behind;
    String::from_utf8(text.to_vec()).ok()
}

fn check(body: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(body);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_found_behind_its_value(
            value: Vec<u8>,
            fresh_until in proptest::option::of(0..u64::MAX / 2),
            tags in proptest::collection::vec((".{0,40}", ".{0,40}"), 0..5),
            lease in proptest::option::of((0..5_usize, any::<[u8; 16]>(), proptest::option::of(0..u64::MAX / 2))),
        ) {
            let lease = lease.map(|(kind, token, until)| Lease {
                kind: [
                    LeaseKind::InPlace,
                    LeaseKind::Over,
                    LeaseKind::Refused,
                    LeaseKind::RefusedOver,
                    LeaseKind::FailedOver,
                ][kind],
                token,
                until: until.map(Duration::from_millis),
            });
            let fresh_until = fresh_until.map(Duration::from_millis);
            let metadata = Metadata { fresh_until, tags, lease };
            let sealed = metadata.seal(&value).unwrap();
            prop_assert!(sealed.starts_with(&value));
            prop_assert_eq!(Metadata::unseal(&sealed), Ok(Some((value.len(), metadata))));
        }

        #[test]
        fn whatever_is_damaged_is_no_metadata(mut data: Vec<u8>, at: usize, bits in 1..=255_u8) {
            let _ = Metadata::unseal(&data);
            data.extend(MAGIC);
            prop_assert_eq!(Metadata::unseal(&data), Err(Damaged));
            let tags = vec![("tag".to_owned(), "version".to_owned())];
            let mut sealed = Metadata { tags, ..Metadata::default() }.seal(b"").unwrap();
            let at = at % (sealed.len() - MAGIC.len());
            sealed[at] ^= bits;
            prop_assert_eq!(Metadata::unseal(&sealed), Err(Damaged));
        }
    }

    #[test]
    fn an_entry_without_it_has_none() {
        assert_eq!(Metadata::unseal(b"\x80\x04K\x01."), Ok(None));
    }

    #[test]
    fn more_tags_than_an_entry_may_have_are_refused() {
        let tag = || ("t".to_owned(), "v".to_owned());
        let sealed = |count| {
            let tags = std::iter::repeat_with(tag).take(count).collect();
            let metadata = Metadata {
                tags,
                ..Metadata::default()
            };
            metadata.seal(b"")
        };
        assert!(sealed(MOST_TAGS).is_some());
        assert!(sealed(MOST_TAGS + 1).is_none());
    }

    #[test]
    fn it_is_stale_from_the_moment_on_until_which_it_is_fresh() {
        let metadata = Metadata {
            fresh_until: Some(Duration::from_secs(10)),
            ..Metadata::default()
        };
        assert_eq!(metadata.stale_for(Duration::from_secs(9)), None);
        assert_eq!(
            metadata.stale_for(Duration::from_secs(10)),
            Some(Duration::ZERO)
        );
        assert_eq!(
            metadata.stale_for(Duration::from_secs(12)),
            Some(Duration::from_secs(2))
        );
        assert_eq!(Metadata::default().stale_for(Duration::MAX), None);
    }

    #[test]
    fn a_lease_counts_until_it_ends() {
        let lease = |kind, until| Lease {
            kind,
            token: [7; 16],
            until,
        };
        let (before, at) = (Duration::from_secs(9), Duration::from_secs(10));
        let endless = lease(LeaseKind::InPlace, None).remaining(before);
        assert!(endless > Some(Duration::from_secs(1 << 40)));
        let over = lease(LeaseKind::Over, Some(at));
        assert_eq!(over.remaining(before), Some(Duration::from_secs(1)));
        assert_eq!(over.remaining(at), None);
        for (kind, is_in_place) in [
            (LeaseKind::InPlace, true),
            (LeaseKind::Refused, true),
            (LeaseKind::Over, false),
            (LeaseKind::RefusedOver, false),
            (LeaseKind::FailedOver, false),
        ] {
            assert_eq!(lease(kind, None).is_in_place(), is_in_place);
        }
    }
}
