//! Bodies in other codings, and which of them a request wants (RFC 9110, 8.4 and 12.5.3).

use std::io::Write;

/// A coding of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Brotli.
    Brotli,
    /// zstd (RFC 8878), with windows of no more than the 8 MiB that clients have to have.
    Zstd,
    /// gzip.
    Gzip,
}

/// Shorter bodies are left alone: the header that names the coding takes what is gained.
const SHORTEST: usize = 256;
/// What brotli's encoder offers from 0 to 11; from here on it takes a multiple of zstd's time.
const BROTLI_QUALITY: i32 = 5;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// Beyond this a window would be larger than clients have to have.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Coding {
    /// The coding that HTTP calls `name`, in lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            "gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// What HTTP calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// A body in this coding; `None` where that is not worth it.
    #[must_use]
    pub fn encode(self, body: &[u8]) -> Option<Vec<u8>> {
        if body.len() < SHORTEST {
            return None;
        }
        let encoded = match self {
            Self::Brotli => brotli_encoded(body),
            Self::Zstd => zstd_encoded(body),
            Self::Gzip => gzip_encoded(body),
        }
        .ok()?;
        // A twentieth less, or the client unpacks it for nothing.
        (encoded.len() <= body.len() - body.len() / 20).then_some(encoded)
    }
}

fn brotli_encoded(mut body: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        size_hint: body.len(),
        ..Default::default()
    };
    let mut encoded = Vec::with_capacity(body.len() / 4);
    brotli::BrotliCompress(&mut body, &mut encoded, &parameters)?;
    Ok(encoded)
}

fn zstd_encoded(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::with_capacity(body.len() / 4), ZSTD_LEVEL)?;
    if body.len() > 1 << ZSTD_WINDOW_LOG {
        encoder.window_log(ZSTD_WINDOW_LOG)?;
    }
    encoder.set_pledged_src_size(Some(body.len() as u64))?;
    encoder.write_all(body)?;
    encoder.finish()
}

fn gzip_encoded(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

/// Which of the codings `available` a request is answered in, by its `Accept-Encoding`; `None`: in none.
///
/// The one with the highest weight is; among equals the first. A body as it is counts least where the
/// request does not name `identity`, and is sent where nothing that it wants is there.
#[must_use]
pub fn choose(accept: &str, available: &[Coding]) -> Option<usize> {
    let mut weights = [None; 3];
    let (mut identity, mut others) = (None, None);
    for member in accept.split(',') {
        let (name, parameters) = member.split_once(';').unwrap_or((member, ""));
        let name = name.trim_matches([' ', '\t']);
        let Some(weight) = weight(parameters) else {
            continue;
        };
        let place = if name.eq_ignore_ascii_case("br") {
            &mut weights[Coding::Brotli as usize]
        } else if name.eq_ignore_ascii_case("zstd") {
            &mut weights[Coding::Zstd as usize]
        } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            &mut weights[Coding::Gzip as usize]
        } else if name.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if name == "*" {
            &mut others
        } else {
            continue;
        };
        // What is named twice counts as it is named first.
        place.get_or_insert(weight);
    }
    let identity = identity.unwrap_or(0);
    let mut best = None;
    for (at, coding) in available.iter().enumerate() {
        let weight = weights[*coding as usize].or(others).unwrap_or(0);
        if weight > 0 && weight >= identity && best.is_none_or(|(_, highest)| weight > highest) {
            best = Some((at, weight));
        }
    }
    best.map(|(at, _)| at)
}

/// The weight that parameters give, in thousandths; `None`: it cannot be read.
fn weight(parameters: &str) -> Option<u16> {
    let parameters = parameters.trim_matches([' ', '\t']);
    if parameters.is_empty() {
        return Some(1000);
    }
    let digits = parameters
        .strip_prefix("q=")
        .or_else(|| parameters.strip_prefix("Q="))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn chosen(accept: &str) -> &'static str {
        choose(accept, &ALL).map_or("identity", |at| ALL[at].name())
    }

    #[test]
    fn the_heaviest_is_chosen_and_among_equals_the_first() {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, zstd", "zstd"),
            ("GZip", "gzip"),
            ("x-gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.8", "gzip"),
            ("br;q=0.001, gzip; q=0", "br"),
            ("*", "br"),
            ("*;q=0.5, br;q=0", "zstd"),
            ("gzip;q=1.000 , br;Q=0.999", "gzip"),
        ] {
            assert_eq!(chosen(accept), coding, "{accept}");
        }
    }

    #[test]
    fn a_body_stays_as_it_is_where_that_is_wanted_or_nothing_else_is_there() {
        for accept in [
            "",
            "deflate",
            "identity",
            "gzip;q=0",
            "*;q=0",
            "identity, gzip;q=0.5",
            "gzip;q=2, br;q=-1, zstd;q=0.0000",
            "gzip;level=1",
            "gzip gzip",
        ] {
            assert_eq!(chosen(accept), "identity", "{accept}");
        }
        assert_eq!(choose("gzip, identity;q=0", &[]), None);
        assert_eq!(choose("br, identity;q=0", &[Coding::Gzip]), None);
    }

    #[test]
    fn another_coding_goes_before_an_identity_of_the_same_weight() {
        assert_eq!(chosen("identity, gzip"), "gzip");
        assert_eq!(chosen("gzip, identity;q=0"), "gzip");
        assert_eq!(chosen("identity;q=0, *;q=0.1"), "br");
    }

    #[test]
    fn bodies_come_back_as_they_were() {
        let body = b"whatever it is ".repeat(100);
        let mut plain = Vec::new();
        let encoded = Coding::Gzip.encode(&body).unwrap();
        flate2::read::GzDecoder::new(&*encoded)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, body);
        let encoded = Coding::Zstd.encode(&body).unwrap();
        assert_eq!(zstd::stream::decode_all(&*encoded).unwrap(), body);
        let encoded = Coding::Brotli.encode(&body).unwrap();
        plain.clear();
        brotli::BrotliDecompress(&mut &*encoded, &mut plain).unwrap();
        assert_eq!(plain, body);
    }

    #[test]
    fn what_is_short_or_gets_no_smaller_is_left_alone() {
        let random = (0..2000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]);
        let random: Vec<u8> = random.collect();
        for coding in ALL {
            assert_eq!(coding.encode(&[b'x'; SHORTEST - 1]), None);
            let encoded = coding.encode(&random);
            assert!(encoded.is_none_or(|encoded| encoded.len() <= 1900));
            assert_eq!(coding.encode(&sha_of_sha(&random)), None);
            assert_eq!(Coding::from_name(coding.name()), Some(coding));
        }
    }

    /// Bytes that nothing makes smaller.
    fn sha_of_sha(seed: &[u8]) -> Vec<u8> {
        use sha2::{Digest, Sha256};
        let mut bytes = Sha256::digest(seed).to_vec();
        while bytes.len() < 4096 {
            let next = Sha256::digest(&bytes);
            bytes.extend(next);
        }
        bytes
    }
}
