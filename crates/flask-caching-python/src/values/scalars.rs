//! Values that cannot be changed, read from what cachelib's serializer for Redis makes of them: an
//! integer in digits, or an exclamation mark and a pickle.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

/// The value of `data`; `None`: it is none of these, or something is unusual about it.
pub(crate) fn read<'py>(py: Python<'py>, data: &[u8]) -> Option<Bound<'py, PyAny>> {
    let Some(pickle) = data.strip_prefix(b"!") else {
        let digits = std::str::from_utf8(data).ok();
        let number = digits.filter(|digits| is_canonical(digits));
        let number: Option<i64> = number.and_then(|digits| digits.parse().ok());
        return number.map(|number| PyInt::new(py, number).into_any());
    };
    match body(pickle)? {
        b"N" => Some(py.None().into_bound(py)),
        b"\x88" => Some(PyBool::new(py, true).to_owned().into_any()),
        b"\x89" => Some(PyBool::new(py, false).to_owned().into_any()),
        [b'G', number @ ..] => number
            .try_into()
            .ok()
            .map(|number| PyFloat::new(py, f64::from_be_bytes(number)).into_any()),
        [0x8c, length, text @ ..] => sized(text, usize::from(*length))
            .and_then(|text| std::str::from_utf8(text).ok())
            .map(|text| PyString::new(py, text).into_any()),
        [b'C', length, bytes @ ..] => {
            sized(bytes, usize::from(*length)).map(|bytes| PyBytes::new(py, bytes).into_any())
        }
        [b'X', a, b, c, d, text @ ..] => sized(text, length([*a, *b, *c, *d]))
            .and_then(|text| std::str::from_utf8(text).ok())
            .map(|text| PyString::new(py, text).into_any()),
        [b'B', a, b, c, d, bytes @ ..] => {
            sized(bytes, length([*a, *b, *c, *d])).map(|bytes| PyBytes::new(py, bytes).into_any())
        }
        _ => None,
    }
}

/// The text that `data` holds; `None`: it is something else.
pub(crate) fn text(data: &[u8]) -> Option<&str> {
    let text = match body(data.strip_prefix(b"!")?)? {
        [0x8c, length, text @ ..] => sized(text, usize::from(*length))?,
        [b'X', a, b, c, d, text @ ..] => sized(text, length([*a, *b, *c, *d]))?,
        _ => return None,
    };
    std::str::from_utf8(text).ok()
}

/// What is between the head of a pickle, with or without a frame, and its end.
fn body(pickle: &[u8]) -> Option<&[u8]> {
    let [0x80, 4 | 5, rest @ ..] = pickle else {
        return None;
    };
    // A frame with its length, which nothing is made of.
    let rest = match rest.split_at_checked(9) {
        Some(([0x95, ..], framed)) => framed,
        _ => rest,
    };
    let rest = rest.strip_suffix(b".")?;
    // What can be referred to later is remembered, which nobody does here.
    match rest.first()? {
        0x8c | b'C' | b'X' | b'B' => rest.strip_suffix(b"\x94"),
        _ => Some(rest),
    }
}

fn sized(contents: &[u8], length: usize) -> Option<&[u8]> {
    (contents.len() == length).then_some(contents)
}

fn length(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

/// Whether they are digits as the serializer writes them.
fn is_canonical(digits: &str) -> bool {
    let number = digits.strip_prefix('-').unwrap_or(digits);
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}
