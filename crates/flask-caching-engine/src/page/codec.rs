//! A page as bytes: a mark, then each part with its length before it.

use super::{Coding, Header};

/// What a stored page begins with; the last byte is the version of the format.
const MARK: &[u8; 8] = b"\xf0FCpage\x02";

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The status line without the protocol, as in `200 OK`.
    pub status: Vec<u8>,
    /// The application's headers in their order.
    pub headers: Vec<Header>,
    /// What is added to them.
    pub added: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// The entity tag; empty where there is none.
    pub etag: Vec<u8>,
    /// When it was stored: milliseconds since 1970.
    pub stored: u64,
    /// How long it is fresh, in milliseconds; 0: for ever.
    pub lifetime: u64,
    /// For how many milliseconds after that it is answered while it is refreshed.
    pub while_refreshed: u64,
    /// For how many where that fails.
    pub if_error: u64,
    /// Its body in other codings.
    pub variants: Vec<Variant>,
}

/// A body in another coding.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Which.
    pub coding: Coding,
    /// Its entity tag; empty where the page has none.
    pub etag: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// Whether stored bytes are a page.
#[must_use]
pub fn is_page(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK)
}

/// The bytes of a page.
#[must_use]
pub fn encode(page: &Page) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(page.body.len() + 1024);
    bytes.extend(MARK);
    let times = [
        page.stored,
        page.lifetime,
        page.while_refreshed,
        page.if_error,
    ];
    bytes.extend(times.iter().flat_map(|time| time.to_le_bytes()));
    put(&mut bytes, &page.status);
    put(&mut bytes, &page.etag);
    for headers in [&page.headers, &page.added] {
        bytes.extend((headers.len() as u64).to_le_bytes());
        for (name, value) in headers {
            put(&mut bytes, name);
            put(&mut bytes, value);
        }
    }
    put(&mut bytes, &page.body);
    bytes.extend((page.variants.len() as u64).to_le_bytes());
    for variant in &page.variants {
        put(&mut bytes, variant.coding.name().as_bytes());
        put(&mut bytes, &variant.etag);
        put(&mut bytes, &variant.body);
    }
    bytes
}

/// The page that [`encode`] made `bytes` of; `None` where they are no page, or one of another format.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Page> {
    let mut rest = bytes.strip_prefix(MARK)?;
    let stored = number(&mut rest)?;
    let lifetime = number(&mut rest)?;
    let while_refreshed = number(&mut rest)?;
    let if_error = number(&mut rest)?;
    let status = take(&mut rest)?;
    let etag = take(&mut rest)?;
    let headers = headers(&mut rest)?;
    let added = self::headers(&mut rest)?;
    let body = take(&mut rest)?;
    let variants = variants(&mut rest)?;
    rest.is_empty().then_some(Page {
        status,
        headers,
        added,
        body,
        etag,
        stored,
        lifetime,
        while_refreshed,
        if_error,
        variants,
    })
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn take(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part.to_vec())
}

fn headers(rest: &mut &[u8]) -> Option<Vec<Header>> {
    let count = number(rest)?;
    // No room is made for a number that may be anything: each header takes bytes that are there.
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((take(rest)?, take(rest)?));
    }
    Some(headers)
}

fn variants(rest: &mut &[u8]) -> Option<Vec<Variant>> {
    let count = number(rest)?;
    let mut variants = Vec::new();
    for _ in 0..count {
        let name = take(rest)?;
        variants.push(Variant {
            coding: Coding::from_name(std::str::from_utf8(&name).ok()?)?,
            etag: take(rest)?,
            body: take(rest)?,
        });
    }
    Some(variants)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..40)
    }

    fn some_headers() -> impl Strategy<Value = Vec<Header>> {
        proptest::collection::vec((part(), part()), 0..5)
    }

    fn some_variants() -> impl Strategy<Value = Vec<Variant>> {
        let coding = prop_oneof![Just(Coding::Brotli), Just(Coding::Zstd), Just(Coding::Gzip)];
        let variant = (coding, part(), part());
        let variant = variant.prop_map(|(coding, etag, body)| Variant { coding, etag, body });
        proptest::collection::vec(variant, 0..4)
    }

    prop_compose! {
        fn page()(
            status in part(), headers in some_headers(), added in some_headers(), body in part(),
            etag in part(), times in any::<[u64; 4]>(), variants in some_variants(),
        ) -> Page {
            let [stored, lifetime, while_refreshed, if_error] = times;
            Page {
                status, headers, added, body, etag, stored, lifetime, while_refreshed, if_error,
                variants,
            }
        }
    }

    #[test]
    fn the_seeds_of_its_fuzzer_are_of_this_format() {
        let whole = include_bytes!("../../../../fuzz/seeds/stored_page/whole");
        let page = decode(whole).expect("a page");
        assert_eq!(page.variants.len(), 3);
        let cut = include_bytes!("../../../../fuzz/seeds/stored_page/cut");
        assert!(is_page(cut));
        assert_eq!(decode(cut), None);
    }

    proptest! {
        #[test]
        fn a_page_comes_back_as_it_was(page in page()) {
            let bytes = encode(&page);
            prop_assert!(is_page(&bytes));
            prop_assert_eq!(decode(&bytes), Some(page));
        }

        #[test]
        fn what_is_cut_or_longer_is_no_page(page in page(), at in any::<prop::sample::Index>()) {
            let mut bytes = encode(&page);
            prop_assert_eq!(decode(&bytes[..at.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn no_bytes_are_too_much(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&MARK[..], &tail].concat());
        }
    }
}
