//! The commands of a cache, and what their replies mean.

use std::time::Duration;

use super::fault;
use super::resp::{self, Reply};
use super::server::Batch;
use crate::backend::Value;
use crate::{Error, ErrorKind, Lifetime, Result};

/// Adds to an integer and gives a new one its lifetime, in one step. Answers with the stored text:
/// numbers of the script language are exact up to 2^53 only.
const INCR: &[u8] = b"if redis.call('EXISTS', KEYS[1]) == 0 then \
    redis.call('SET', KEYS[1], '0', 'PX', ARGV[2]) end \
    redis.call('INCRBY', KEYS[1], ARGV[1]) \
    return redis.call('GET', KEYS[1])";

/// Lets a key live longer, never shorter, in one step (`PEXPIRE ... GT` needs Redis 7).
const EXTEND: &[u8] = b"local left = redis.call('PTTL', KEYS[1]) \
    if left == -2 then return 0 end \
    if left >= 0 and left < tonumber(ARGV[1]) then \
    redis.call('PEXPIRE', KEYS[1], ARGV[2] or ARGV[1]) end \
    return 1";

/// Lets a key live for ever, in one step with the question whether it is there.
const PERSIST: &[u8] = b"redis.call('PERSIST', KEYS[1]) return redis.call('EXISTS', KEYS[1])";

/// Replaces a value that is still the expected one, or removes it where there is no new one; in
/// one step. The lifetime stays (`SET ... KEEPTTL` needs Redis 6).
const COMPARE_EXCHANGE: &[u8] = b"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if not ARGV[2] then redis.call('UNLINK', KEYS[1]) return 1 end \
    local left = redis.call('PTTL', KEYS[1]) \
    if left > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', left) \
    else redis.call('SET', KEYS[1], ARGV[2]) end \
    return 1";

/// The time to live is in milliseconds; without one, the entry lives for ever.
const SET_IF: &[u8] = b"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
    else redis.call('SET', KEYS[1], ARGV[2]) end \
    return 1";

/// How many keys one step of clearing looks at. A step blocks the server for less
/// than a millisecond.
const SCAN_COUNT: &[u8] = b"300";

impl Batch {
    /// The batch of one command.
    pub(super) fn of(args: &[&[u8]]) -> Self {
        let mut batch = Self::default();
        batch.push(args);
        batch
    }

    /// Adds a command.
    pub(super) fn push(&mut self, args: &[&[u8]]) {
        resp::encode(&mut self.packed, args);
        self.count += 1;
    }

    /// Adds the commands of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        self.packed.extend_from_slice(&other.packed);
        self.count += other.count;
    }
}

pub(super) fn get(key: &[u8]) -> Batch {
    Batch::of(&[b"GET", key])
}

/// Asks how long `key` lives on.
pub(super) fn life(key: &[u8]) -> Batch {
    Batch::of(&[b"PTTL", key])
}

/// What the reply to [`life`] says; `None`: nothing that can be counted on.
pub(super) fn lifetime(reply: &Reply) -> Option<Lifetime> {
    match reply {
        Reply::Int(-1) => Some(Lifetime::Forever),
        Reply::Int(left) => {
            let left = u64::try_from(*left).ok()?;
            Some(Lifetime::For(Duration::from_millis(left)))
        }
        _ => None,
    }
}

/// One command over `keys`: `MGET`, `UNLINK`.
pub(super) fn over<'a>(name: &[u8], keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Batch {
    let mut batch = Batch {
        packed: Vec::new(),
        count: 1,
    };
    resp::encode_head(&mut batch.packed, keys.len() + 1);
    resp::encode_arg(&mut batch.packed, name);
    for key in keys {
        resp::encode_arg(&mut batch.packed, key);
    }
    batch
}

/// Stores `value`; `only_new`: where there is nothing yet.
pub(super) fn set(key: &[u8], value: &Value, lifetime: Lifetime, only_new: bool) -> Batch {
    let (unit, time): (&[u8], String) = match lifetime {
        Lifetime::Forever => (b"", String::new()),
        Lifetime::Expired => return Batch::of(&[b"UNLINK", key]),
        Lifetime::For(duration) if duration.subsec_nanos() == 0 => {
            (b"EX", duration.as_secs().to_string())
        }
        Lifetime::For(duration) => (b"PX", milliseconds(duration)),
    };
    let mut args: [&[u8]; 6] = [b"SET", key, &value.data, b"", b"", b""];
    let mut count = 3;
    if !unit.is_empty() {
        args[3] = unit;
        args[4] = time.as_bytes();
        count = 5;
    }
    if only_new {
        args[count] = b"NX";
        count += 1;
    }
    Batch::of(&args[..count])
}

pub(super) fn incr(key: &[u8], delta: i64, lifetime: Lifetime) -> Batch {
    let delta = delta.to_string();
    let life = match lifetime {
        Lifetime::Forever => return Batch::of(&[b"INCRBY", key, delta.as_bytes()]),
        // It has to be there to be added to; a moment later it is gone.
        Lifetime::Expired => "1".to_owned(),
        Lifetime::For(duration) => milliseconds(duration),
    };
    Batch::of(&[b"EVAL", INCR, b"1", key, delta.as_bytes(), life.as_bytes()])
}

/// Makes a counter where there is none. One that is to expire at once has to be there to be added to.
pub(super) fn begin_count(key: &[u8], lifetime: Lifetime) -> Batch {
    let zero = Value::from(b"0".to_vec());
    let lifetime = match lifetime {
        Lifetime::Expired => Lifetime::For(Duration::from_millis(1)),
        lifetime => lifetime,
    };
    set(key, &zero, lifetime, true)
}

/// Lets `key` end in `duration`, rounded up to whole seconds.
pub(super) fn expire(key: &[u8], duration: Duration) -> Batch {
    let seconds = duration.as_millis().div_ceil(1000).to_string();
    Batch::of(&[b"EXPIRE", key, seconds.as_bytes()])
}

/// Asks for all keys that start with `prefix`.
pub(super) fn keys(prefix: &[u8]) -> Batch {
    Batch::of(&[b"KEYS", &literal_pattern(prefix)])
}

/// Lets `key` live for `lifetime`, where it would end sooner: then a fourth of it longer, where that
/// is to be `seldom`.
pub(super) fn extend(key: &[u8], lifetime: Lifetime, seldom: bool) -> Batch {
    match lifetime {
        Lifetime::Forever => Batch::of(&[b"EVAL", PERSIST, b"1", key]),
        Lifetime::Expired => Batch::of(&[b"EXISTS", key]),
        Lifetime::For(duration) => {
            let least = milliseconds(duration);
            let whole = milliseconds(duration.saturating_add(duration / 4));
            let words: [&[u8]; 6] = [
                b"EVAL",
                EXTEND,
                b"1",
                key,
                least.as_bytes(),
                whole.as_bytes(),
            ];
            Batch::of(if seldom { &words } else { &words[..5] })
        }
    }
}

/// Puts `new` in the place of `expected`, or removes it where there is no `new`.
pub(super) fn compare_exchange(key: &[u8], expected: &Value, new: Option<&Value>) -> Batch {
    let script: [&[u8]; 5] = [b"EVAL", COMPARE_EXCHANGE, b"1", key, &expected.data];
    match new {
        None => Batch::of(&script),
        Some(new) => {
            let mut args = script.to_vec();
            args.push(&new.data);
            Batch::of(&args)
        }
    }
}

/// Stores `value` in the place of `expected`.
pub(super) fn set_if(key: &[u8], expected: &Value, value: &Value, lifetime: Lifetime) -> Batch {
    let script: [&[u8]; 6] = [b"EVAL", SET_IF, b"1", key, &expected.data, &value.data];
    match lifetime {
        Lifetime::Forever => Batch::of(&script),
        Lifetime::Expired => compare_exchange(key, expected, None),
        Lifetime::For(duration) => {
            let life = milliseconds(duration);
            let mut args = script.to_vec();
            args.push(life.as_bytes());
            Batch::of(&args)
        }
    }
}

/// The next step of going through the keys that start with `prefix`, from `cursor` on.
pub(super) fn scan(cursor: &[u8], prefix: &[u8]) -> Batch {
    Batch::of(&[
        b"SCAN",
        cursor,
        b"MATCH",
        &literal_pattern(prefix),
        b"COUNT",
        SCAN_COUNT,
    ])
}

/// The glob pattern that matches what starts with `prefix`, taken literally.
fn literal_pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for &byte in prefix {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

fn milliseconds(duration: Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).max(1).to_string()
}

/// Reads replies, naming operation and server where they are errors or make no sense.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) operation: &'static str,
    pub(super) target: &'a str,
}

impl Reader<'_> {
    pub(super) fn value(self, reply: Reply) -> Result<Option<Value>> {
        match reply {
            Reply::Nil => Ok(None),
            Reply::Data(data) => Ok(Some(Value::from(data))),
            // Another program's list or hash: not an entry of this cache.
            Reply::Error(message) if fault::code(&message) == "WRONGTYPE" => Ok(None),
            other => Err(self.unexpected(&other)),
        }
    }

    pub(super) fn values(self, reply: Reply, count: usize) -> Result<Vec<Option<Value>>> {
        match reply {
            Reply::Array(replies) if replies.len() == count => {
                replies.into_iter().map(|reply| self.value(reply)).collect()
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Whether a write was done: `OK`, or a count of what was changed.
    pub(super) fn done(self, reply: &Reply) -> Result<bool> {
        match reply {
            Reply::Data(_) => Ok(true),
            Reply::Int(count) => Ok(*count > 0),
            Reply::Nil => Ok(false),
            other => Err(self.unexpected(other)),
        }
    }

    pub(super) fn integer(self, reply: &Reply) -> Result<i64> {
        match reply {
            Reply::Int(number) => Ok(*number),
            Reply::Data(digits) => std::str::from_utf8(digits)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| self.unexpected(reply)),
            other => Err(self.unexpected(other)),
        }
    }

    /// The next cursor and the keys of a step of a scan.
    pub(super) fn scanned(self, reply: Reply) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
        let Reply::Array(parts) = reply else {
            return Err(self.unexpected(&reply));
        };
        let mut parts = parts.into_iter();
        let (Some(Reply::Data(cursor)), Some(keys)) = (parts.next(), parts.next()) else {
            return Err(self.unexpected(&Reply::Nil));
        };
        Ok((cursor, self.keys(keys)?))
    }

    /// A list of keys.
    pub(super) fn keys(self, reply: Reply) -> Result<Vec<Vec<u8>>> {
        let Reply::Array(keys) = reply else {
            return Err(self.unexpected(&reply));
        };
        let keys = keys.into_iter().map(|key| match key {
            Reply::Data(key) => Ok(key),
            other => Err(self.unexpected(&other)),
        });
        keys.collect()
    }

    pub(super) fn unexpected(self, reply: &Reply) -> Error {
        match reply {
            Reply::Error(message) => fault::server(self.operation, self.target, message),
            other => Error::new(
                ErrorKind::Protocol,
                self.operation,
                self.target,
                format!("an answer of an unexpected kind ({})", other.kind()),
            ),
        }
    }
}

impl Reply {
    fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Int(_) => "integer",
            Self::Data(_) => "string",
            Self::Array(_) => "array",
            Self::Error(_) => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(batch: &Batch) -> Vec<String> {
        String::from_utf8_lossy(&batch.packed)
            .split("\r\n")
            .filter(|part| !part.is_empty() && !part.starts_with(['*', '$']))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn storing_with_a_lifetime_is_one_command() {
        let value = Value::from(b"v".to_vec());
        let for_ms = |ms| Lifetime::For(Duration::from_millis(ms));
        for (lifetime, only_new, expected) in [
            (Lifetime::Forever, false, "SET k v"),
            (for_ms(2000), false, "SET k v EX 2"),
            (for_ms(1500), false, "SET k v PX 1500"),
            (for_ms(2000), true, "SET k v EX 2 NX"),
            (Lifetime::Forever, true, "SET k v NX"),
            (Lifetime::Expired, false, "UNLINK k"),
        ] {
            let batch = set(b"k", &value, lifetime, only_new);
            assert_eq!(batch.count, 1);
            assert_eq!(text(&batch).join(" "), expected);
        }
        let shortest = Lifetime::For(Duration::from_nanos(1));
        assert_eq!(
            text(&set(b"k", &value, shortest, false)).join(" "),
            "SET k v PX 1"
        );
    }

    #[test]
    fn a_prefix_is_matched_literally() {
        assert_eq!(literal_pattern(b"shop_"), b"shop_*");
        assert_eq!(literal_pattern(br"a*b?[c]^d-\e"), br"a\*b\?\[c\]\^d\-\\e*");
    }
}
