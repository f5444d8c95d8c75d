//! Counters: integers as decimal digits, as pylibmc stores them.

use super::connection::Connection;
use super::failure::{Failure, Outcome};
use super::protocol::expiry::{exptime, now};
use super::protocol::{Counted, Direction, Entry, Protocol, Store, Stored};
use super::server::{one, remaining_exptime, store_one};
use crate::{Lifetime, Value};

/// The flags of an integer (`PYLIBMC_FLAG_LONG`).
pub const INTEGER_FLAGS: u32 = 1 << 2;

/// The flags that pylibmc gives a bool, and python-memcached an int (`PYLIBMC_FLAG_INTEGER`).
const SHORT_INTEGER_FLAGS: u32 = 1 << 1;

/// Adds `delta` to the integer under the wire key `key` and returns the sum.
///
/// The server counts by itself, but knows no negative numbers: it stops at 0. What is, or becomes,
/// negative is therefore exchanged for the sum on condition that nobody was faster, as often as that
/// takes. The deadline of the connection ends it.
pub(super) fn incr(
    protocol: Protocol,
    wire: &mut Connection,
    key: &[u8],
    delta: i64,
    lifetime: Lifetime,
) -> Outcome<i64> {
    loop {
        let Some(item) = one(protocol, wire, key)? else {
            let Some(exptime) = exptime(lifetime, now()) else {
                return Ok(delta);
            };
            if put(protocol, wire, Store::Add, key, delta, exptime)? {
                return Ok(delta);
            }
            continue;
        };
        let count = integer(&item.value)
            .ok_or_else(|| Failure::Value("what is stored is not an integer".to_owned()))?;
        let too_large = || Failure::Value("the sum does not fit 64 bits".to_owned());
        let sum = count
            .checked_add(i128::from(delta))
            .and_then(|sum| i64::try_from(sum).ok())
            .ok_or_else(too_large)?;
        match u64::try_from(delta) {
            Ok(delta) if count >= 0 && item.value.flags == INTEGER_FLAGS => {
                if let Counted::To(sum) = protocol.count(wire, key, Direction::Up, delta)? {
                    return i64::try_from(sum).map_err(|_| too_large());
                }
            }
            _ => {
                let done = match remaining_exptime(protocol, wire, key, lifetime)? {
                    Some(exptime) => put(protocol, wire, Store::Cas(item.cas), key, sum, exptime)?,
                    None => protocol.remove(wire, key, item.cas)?,
                };
                if done {
                    return Ok(sum);
                }
            }
        }
    }
}

fn put(
    protocol: Protocol,
    wire: &mut Connection,
    store: Store,
    key: &[u8],
    count: i64,
    exptime: u32,
) -> Outcome<bool> {
    let value = Value {
        data: count.to_string().into_bytes(),
        flags: INTEGER_FLAGS,
    };
    let entry = Entry {
        key,
        value: &value,
        exptime,
    };
    match store_one(protocol, wire, store, entry)? {
        Stored::Yes => Ok(true),
        Stored::No | Stored::Missing => Ok(false),
        Stored::Refused(words) => Err(Failure::Refused(words)),
    }
}

fn integer(value: &Value) -> Option<i128> {
    if value.flags != INTEGER_FLAGS && value.flags != SHORT_INTEGER_FLAGS {
        return None;
    }
    // A server that counted down to fewer digits pads with spaces.
    std::str::from_utf8(&value.data)
        .ok()?
        .trim_end()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_stored_as_an_integer_is_one() {
        let value = |data: &[u8], flags| Value {
            data: data.to_vec(),
            flags,
        };
        assert_eq!(integer(&value(b"12", INTEGER_FLAGS)), Some(12));
        assert_eq!(integer(&value(b"9 ", INTEGER_FLAGS)), Some(9));
        assert_eq!(integer(&value(b"-3", INTEGER_FLAGS)), Some(-3));
        assert_eq!(integer(&value(b"1", SHORT_INTEGER_FLAGS)), Some(1));
        assert_eq!(integer(&value(b"12", 16)), None, "a str of digits");
        assert_eq!(integer(&value(b"12", 0)), None, "bytes of digits");
        assert_eq!(integer(&value(b"x", INTEGER_FLAGS)), None);
    }
}
