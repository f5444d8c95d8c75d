//! What tells one page from another.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use twox_hash::XxHash3_128;

/// Takes the parts of a request one after the other. Each is preceded by its length, so that no two
/// lists of parts read the same.
#[derive(Clone, Default)]
pub struct Identity(Sha256);

impl Identity {
    /// Adds a part.
    pub fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds the arguments of a query: sorted by name, those of one name in their order.
    ///
    /// `names`: those that count; `None`: all do. They are separated by `&` alone, as the application
    /// reads them.
    pub fn query(&mut self, query: &[u8], names: Option<&[Vec<u8>]>) {
        let pairs = sorted(query, names);
        self.part(&(pairs.len() as u64).to_le_bytes());
        for (name, pair) in pairs {
            self.part(&name);
            self.part(&decoded(&pair[after_name(pair)..]));
        }
    }

    /// The arguments of [`query`](Self::query), told apart by how they are written, too: an application may
    /// show them as they are, where
    /// `<` and `%3C` are not the same.
    pub fn written_query(&mut self, query: &[u8], names: Option<&[Vec<u8>]>) {
        let pairs = sorted(query, names);
        self.part(&(pairs.len() as u64).to_le_bytes());
        for (_, pair) in pairs {
            self.part(pair);
        }
    }

    /// Adds the cookies that have one of the names, each with its values in their order.
    ///
    /// A header that applications read in more than one way is added whole: what is a space, and where
    /// a quoted value ends, no two versions of Werkzeug agree about.
    pub fn cookies(&mut self, header: &[u8], names: &[Vec<u8>]) {
        for wanted in names {
            self.part(wanted);
            for pair in header.split(|byte| *byte == b';') {
                let end = pair.iter().position(|byte| *byte == b'=');
                let (name, value) = pair.split_at(end.unwrap_or(pair.len()));
                if name.trim_ascii() == wanted {
                    self.part(value.trim_ascii());
                }
            }
            self.part(b"\0");
        }
        if is_ambiguous(header) {
            self.part(header);
        }
    }

    /// The digest of all parts.
    #[must_use]
    pub fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// Appends the digest of all parts to `text`, in hexadecimal.
    pub fn finish(self, text: &mut String) {
        push_hexadecimal(text, &self.digest());
    }

    /// The first half of that in URL-safe base64.
    #[must_use]
    pub fn short(self) -> [u8; 22] {
        let mut text = [0; 22];
        // 16 bytes are 22 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(&self.digest()[..16], &mut text);
        text
    }
}

/// A strong entity tag of a body. It tells versions of one page apart, which who could make two of one
/// tag has written himself: no digest that withstands attacks is needed, which takes ten times as long.
#[must_use]
pub fn etag(body: &[u8]) -> String {
    let digest = XxHash3_128::oneshot(body).to_be_bytes();
    let mut tag = String::with_capacity(2 * digest.len() + 2);
    tag.push('"');
    push_hexadecimal(&mut tag, &digest);
    tag.push('"');
    tag
}

/// Whether it depends on who reads a header `Cookie` which cookies it has.
fn is_ambiguous(header: &[u8]) -> bool {
    // Some read `=name` as the cookie of that name.
    let is_nameless = |pair: &[u8]| pair.trim_ascii_start().starts_with(b"=");
    let is_torn = |pair: &[u8]| {
        // An odd number of quotes makes an even number of parts.
        pair.split(|byte| *byte == b'"').count() % 2 == 0
            || pair.windows(2).any(|two| two == b"\\\"")
    };
    header.iter().any(|byte| !matches!(byte, b' '..=b'~'))
        || header.split(|byte| *byte == b';').any(is_nameless)
        || (header.contains(&b'"') && header.split(|byte| *byte == b';').any(is_torn))
}

/// The arguments of a query by name: their names, and they themselves as they are written.
fn sorted<'a>(query: &'a [u8], names: Option<&[Vec<u8>]>) -> Vec<(Cow<'a, [u8]>, &'a [u8])> {
    let mut pairs: Vec<_> = query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=');
            (decoded(&pair[..end.unwrap_or(pair.len())]), pair)
        })
        .filter(|(name, _)| names.is_none_or(|names| names.iter().any(|it| **it == **name)))
        .collect();
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    pairs
}

/// Where the value of an argument begins.
fn after_name(pair: &[u8]) -> usize {
    let end = pair.iter().position(|byte| *byte == b'=');
    end.map_or(pair.len(), |end| end + 1)
}

/// A name or value of a query as the bytes that it stands for. What is no escape stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
        at += 1;
    }
    Cow::Owned(bytes)
}

fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_query(query: &str, names: Option<&[&str]>) -> [u8; 32] {
        let names: Option<Vec<Vec<u8>>> =
            names.map(|names| names.iter().map(|name| name.as_bytes().to_vec()).collect());
        let mut identity = Identity::default();
        identity.query(query.as_bytes(), names.as_deref());
        identity.digest()
    }

    #[test]
    fn the_order_of_names_does_not_count_that_of_values_does() {
        assert_eq!(of_query("a=1&b=2", None), of_query("b=2&&%61=1", None));
        assert_ne!(of_query("a=1&a=2", None), of_query("a=2&a=1", None));
    }

    #[test]
    fn how_it_is_written_counts_where_it_is_shown() {
        let written = |query: &str| {
            let mut identity = Identity::default();
            identity.written_query(query.as_bytes(), None);
            identity.digest()
        };
        assert_eq!(written("a=1&b=2"), written("b=2&&a=1"));
        assert_ne!(written("a=<"), written("a=%3C"));
        assert_ne!(written("a=%3c"), written("a=%3C"));
        assert_ne!(written("a=1"), written("%61=1"));
        assert_ne!(written("a"), written("a="));
        assert_ne!(written("a=1&a=2"), written("a=2&a=1"));
    }

    #[test]
    fn other_names_are_left_out() {
        let names = Some(&["page"][..]);
        assert_eq!(of_query("utm_x=1&page=2", names), of_query("page=2", names));
        assert_ne!(of_query("page=1", names), of_query("page=2", names));
    }

    #[test]
    fn nothing_is_cloaked() {
        // `;` separates nothing, and what is escaped separates nothing either.
        assert_ne!(of_query("a=1;b=2", None), of_query("a=1&b=2", None));
        assert_ne!(of_query("a=1%26b=2", None), of_query("a=1&b=2", None));
        assert_ne!(of_query("a=%FF", None), of_query("a=%FE", None));
        assert_ne!(of_query("ab=c", None), of_query("a=bc", None));
    }

    #[test]
    fn cookies_that_may_be_read_in_another_way_are_other_cookies() {
        let of = |header: &[u8]| {
            let mut identity = Identity::default();
            identity.cookies(header, &[b"lang".to_vec()]);
            identity.digest()
        };
        assert_eq!(of(b"lang=de; a=1"), of(b"b=\"2,3\";lang =de"));
        assert_ne!(of(b"lang=de"), of(b"lang=de; lang=fr"));
        assert_ne!(of(b"lang=de; lang=fr"), of(b"lang=fr; lang=de"));
        assert_ne!(of(b"lang"), of(b""));
        let odd: [&[u8]; 8] = [
            b"=lang",
            b"a=1; =lang",
            b"\xc2\xa0lang=de",
            b"\x0clang=de",
            b"\tlang=de",
            b"a=\"; lang=de; \"",
            b"a=\"\\\"; lang=de; \"",
            b"a=\xff",
        ];
        for header in odd {
            assert_ne!(of(header), of(b""), "{header:?}");
            assert_ne!(of(header), of(b"lang=de"), "{header:?}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: [&str; 2]| {
            let mut identity = Identity::default();
            for part in parts {
                identity.part(part.as_bytes());
            }
            identity.digest()
        };
        assert_ne!(of(["a", "bc"]), of(["ab", "c"]));
    }
}
