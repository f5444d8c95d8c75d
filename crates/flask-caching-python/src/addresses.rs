//! Addresses of objects in texts, in whatever spelling a `__repr__` may choose.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

/// Fewer digits than these are not taken for a part of an address.
const FEWEST: usize = 6;

/// In how many bases a number may be written, and with how many digits, at the end of a longer run of
/// digits or as the whole of one, it is not another number by chance.
const SPELLINGS: [Spelling; 4] = [
    Spelling {
        base: Base::Hexadecimal,
        within: 8,
        whole: 6,
    },
    Spelling {
        base: Base::Decimal,
        within: 9,
        whole: 7,
    },
    Spelling {
        base: Base::Octal,
        within: 10,
        whole: 8,
    },
    Spelling {
        base: Base::Binary,
        within: 28,
        whole: 20,
    },
];

/// Where objects may lie: below is what an application counts, above is nothing on any processor of
/// today.
const PLAUSIBLE: std::ops::Range<u128> = 1 << 32..1 << 57;

struct Spelling {
    base: Base,
    within: usize,
    whole: usize,
}

#[derive(Clone, Copy)]
enum Base {
    Hexadecimal,
    Decimal,
    Octal,
    Binary,
}

/// Hexadecimal digits one after the other, in lower case.
type Run = SmallVec<[u8; 64]>;

/// Whether `text` shows the number `address`, or the default hash of an object that lies there: in
/// decimal, hexadecimal, octal or binary digits, padded, grouped or cut off at the beginning.
#[pyfunction]
pub(crate) fn spells_address(text: &Bound<'_, PyString>, address: u64) -> bool {
    spells(&text.to_string_lossy(), address)
}

/// Whether `text` has a number that may be an address.
#[pyfunction]
pub(crate) fn may_spell_addresses(text: &Bound<'_, PyString>) -> bool {
    has_plausible(&text.to_string_lossy())
}

/// Whether `text` has digits enough in a row for an address, however that is written. Most have not.
#[inline]
pub(crate) fn has_long_number(text: &str) -> bool {
    let mut digits = 0;
    text.bytes().any(|byte| {
        if byte.is_ascii_hexdigit() {
            digits += 1;
        } else if !matches!(byte, b'_' | b',') {
            digits = 0;
        }
        digits >= FEWEST
    })
}

/// See [`spells_address`].
pub(crate) fn spells(text: &str, address: u64) -> bool {
    let mut written = String::new();
    runs(text).any(|run| {
        // As CPython makes the hash of what has no other.
        let hash = address.rotate_right(4).cast_signed().unsigned_abs();
        [address, hash].into_iter().any(|number| {
            SPELLINGS.iter().any(|spelling| {
                written.clear();
                spelling.write(&mut written, number);
                spelling.is_in(&run, written.as_bytes())
            })
        })
    })
}

/// See [`may_spell_addresses`].
pub(crate) fn has_plausible(text: &str) -> bool {
    runs(text).any(|run| {
        let Ok(digits) = std::str::from_utf8(&run) else {
            return false;
        };
        [10, 16].into_iter().any(|base| {
            u128::from_str_radix(digits, base).is_ok_and(|number| PLAUSIBLE.contains(&number))
        })
    })
}

impl Spelling {
    fn write(&self, text: &mut String, number: u64) {
        let written = match self.base {
            Base::Hexadecimal => write!(text, "{number:x}"),
            Base::Decimal => write!(text, "{number}"),
            Base::Octal => write!(text, "{number:o}"),
            Base::Binary => write!(text, "{number:b}"),
        };
        debug_assert!(written.is_ok(), "a string takes all that is written");
    }

    fn is_in(&self, run: &[u8], number: &[u8]) -> bool {
        if run.len() >= self.whole && number.ends_with(run) {
            return true;
        }
        let end = &number[number.len().saturating_sub(self.within)..];
        end.len() == self.within && run.windows(self.within).any(|part| part == end)
    }
}

/// The runs of at least [`FEWEST`] digits in `text`. Single underscores and commas between digits, by
/// which Python groups them, do not end a run.
fn runs(text: &str) -> impl Iterator<Item = Run> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let mut run = Run::new();
            while let Some(byte) = bytes.get(at) {
                let follows = bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit);
                if byte.is_ascii_hexdigit() {
                    run.push(byte.to_ascii_lowercase());
                } else if run.is_empty() || !matches!(byte, b'_' | b',') || !follows {
                    break;
                }
                at += 1;
            }
            at += 1;
            if run.len() >= FEWEST {
                return Some(run);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: u64 = 0x7f3a_91c4_d0b0;

    fn grouped(number: u64) -> String {
        let digits = number.to_string().into_bytes();
        let groups: Vec<_> = digits
            .rchunks(3)
            .rev()
            .map(String::from_utf8_lossy)
            .collect();
        groups.join(",")
    }

    #[test]
    fn an_address_is_found_in_every_spelling() {
        for text in [
            format!("<T {ADDRESS}>"),
            format!("<T {ADDRESS:x}>"),
            format!("<T {ADDRESS:X}>"),
            format!("T{ADDRESS:020x}"),
            format!("T{ADDRESS:030}."),
            format!("0o{ADDRESS:o}"),
            format!("0b{ADDRESS:b}"),
            format!("17{ADDRESS}abc"),
            format!("<T #{}>", ADDRESS >> 4),
            format!("<T {:x}>", ADDRESS >> 4),
            format!("<T {}>", grouped(ADDRESS)),
            "<T 7f3a_91c4_d0b0>".to_owned(),
            "<T c4d0b0>".to_owned(),
            format!("<T {:07}>", ADDRESS % 10_000_000),
        ] {
            assert!(spells(&text, ADDRESS), "{text}");
            assert!(!spells(&text, 0x7f3a_91c5_11a0), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_address() {
        for text in [
            "<User 5>",
            "<User 'facade'>",
            "<Order 2026-11-24 000123>",
            "UUID('12345678-1234-5678-1234-567812345678')",
            "",
            "<T 0b0>",
            "größe 123456789",
        ] {
            assert!(!spells(text, ADDRESS), "{text}");
        }
    }

    #[test]
    fn a_number_is_plausible_where_objects_may_lie() {
        for text in [
            "139889530425520",
            "x7f3a91c4d0b0",
            "7f3a_91c4_d0b0",
            "94,000,000,000,000",
        ] {
            assert!(has_plausible(text), "{text}");
        }
        for text in [
            "5",
            "1234567",
            "2026-11-24 12:30:00",
            "1000000000000000000",
            "decade",
        ] {
            assert!(!has_plausible(text), "{text}");
        }
    }
}
