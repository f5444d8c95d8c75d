//! The text protocol (memcached's `doc/protocol.txt`).
//!
//! The classic commands, which every server and proxy knows; of the meta commands only `mg`, where
//! the server has it.

use super::wire::Wire;
use super::{
    Counted, Direction, Entry, Item, MOST_STATISTICS, Remaining, Statistic, Store, Stored, windows,
};
use crate::Value;
use crate::backend::memcached::failure::{Failure, Outcome};

/// Requests sent before their replies are read: replies to more would not fit socket buffers.
const WINDOW_REQUESTS: usize = 500;

/// Bytes of keys asked for before the replies are read.
const WINDOW_KEYS: usize = 16 * 1024;

pub(in crate::backend::memcached) fn get(
    wire: &mut impl Wire,
    keys: &[&[u8]],
    cas: bool,
) -> Outcome<Vec<Option<Item>>> {
    let mut items = Vec::with_capacity(keys.len());
    for window in windows(keys, 100, WINDOW_KEYS, |key| key.len() + 1) {
        let mut request =
            Vec::with_capacity(8 + window.iter().map(|key| key.len() + 1).sum::<usize>());
        request.extend_from_slice(if cas { b"gets" } else { b"get" });
        for key in window {
            request.push(b' ');
            request.extend_from_slice(key);
        }
        request.extend_from_slice(b"\r\n");
        wire.send(&request)?;
        read_items(wire, window, &mut items)?;
    }
    Ok(items)
}

/// Reads `VALUE <key> <flags> <bytes> [<cas>]` blocks up to `END`. The server answers in the order
/// of the request and leaves out what it has not.
fn read_items(wire: &mut impl Wire, keys: &[&[u8]], items: &mut Vec<Option<Item>>) -> Outcome<()> {
    let mut awaited = keys.iter();
    loop {
        let line = wire.line()?;
        if line == b"END" {
            items.extend(awaited.map(|_| None));
            return Ok(());
        }
        let (key, flags, length, cas) = value_line(line).ok_or_else(|| answer_to(line))?;
        loop {
            match awaited.next() {
                Some(asked) if *asked == key => break,
                Some(_) => items.push(None),
                None => return Err(Failure::nonsense(line)),
            }
        }
        let mut data = wire.block(length + 2)?;
        if !data.ends_with(b"\r\n") {
            return Err(Failure::nonsense(&data[length..]));
        }
        data.truncate(length);
        let value = Value { data, flags };
        items.push(Some(Item { value, cas }));
    }
}

fn value_line(line: &[u8]) -> Option<(&[u8], u32, usize, u64)> {
    let mut words = line.split(|byte| *byte == b' ');
    if words.next()? != b"VALUE" {
        return None;
    }
    let key = words.next()?;
    let flags = number(words.next()?)?;
    let length: u32 = number(words.next()?)?;
    let cas = match words.next() {
        Some(cas) => number(cas)?,
        None => 0,
    };
    words
        .next()
        .is_none()
        .then_some((key, flags, length as usize, cas))
}

pub(in crate::backend::memcached) fn store(
    wire: &mut impl Wire,
    store: Store,
    entries: &[Entry<'_>],
) -> Outcome<Vec<Stored>> {
    let (command, token) = match store {
        Store::Set => ("set", String::new()),
        Store::Add => ("add", String::new()),
        Store::Replace => ("replace", String::new()),
        Store::Append => ("append", String::new()),
        Store::Prepend => ("prepend", String::new()),
        Store::Cas(token) => ("cas", format!(" {token}")),
    };
    let mut results = Vec::with_capacity(entries.len());
    for window in windows(entries, WINDOW_REQUESTS, 1024 * 1024, |e| {
        e.value.data.len()
    }) {
        let size: usize = window
            .iter()
            .map(|e| e.value.data.len() + e.key.len() + 64)
            .sum();
        let mut request = Vec::with_capacity(size);
        for Entry {
            key,
            value,
            exptime,
        } in window
        {
            request.extend_from_slice(command.as_bytes());
            request.push(b' ');
            request.extend_from_slice(key);
            request.extend_from_slice(
                format!(" {} {exptime} {}{token}\r\n", value.flags, value.data.len()).as_bytes(),
            );
            request.extend_from_slice(&value.data);
            request.extend_from_slice(b"\r\n");
        }
        wire.send(&request)?;
        for _ in window {
            results.push(stored(wire.line()?)?);
        }
    }
    Ok(results)
}

fn stored(line: &[u8]) -> Outcome<Stored> {
    match line {
        b"STORED" => Ok(Stored::Yes),
        b"NOT_STORED" | b"EXISTS" => Ok(Stored::No),
        b"NOT_FOUND" => Ok(Stored::Missing),
        _ => match line.strip_prefix(b"SERVER_ERROR ") {
            // The value was read and thrown away; the connection goes on.
            Some(words) if is_about_room(words) => {
                Ok(Stored::Refused(String::from_utf8_lossy(words).into_owned()))
            }
            _ => Err(answer_to(line)),
        },
    }
}

fn is_about_room(words: &[u8]) -> bool {
    words.starts_with(b"object too large") || words.starts_with(b"out of memory")
}

pub(in crate::backend::memcached) fn delete(
    wire: &mut impl Wire,
    keys: &[&[u8]],
) -> Outcome<Vec<bool>> {
    let mut deleted = Vec::with_capacity(keys.len());
    for window in windows(keys, WINDOW_REQUESTS, WINDOW_KEYS * 4, |key| key.len() + 9) {
        let request: Vec<u8> = window
            .iter()
            .flat_map(|key| [b"delete ".as_slice(), key, b"\r\n"].concat())
            .collect();
        wire.send(&request)?;
        for _ in window {
            deleted.push(match wire.line()? {
                b"DELETED" => true,
                b"NOT_FOUND" => false,
                line => return Err(answer_to(line)),
            });
        }
    }
    Ok(deleted)
}

/// The protocol deletes on no condition, but it stores on one, and what is over when it is stored is
/// gone.
pub(in crate::backend::memcached) fn remove(
    wire: &mut impl Wire,
    key: &[u8],
    cas: u64,
) -> Outcome<bool> {
    let rest = format!(" 0 -1 0 {cas}\r\n");
    let line = ask(wire, &[b"cas ", key, rest.as_bytes()])?;
    Ok(stored(line)? == Stored::Yes)
}

pub(in crate::backend::memcached) fn count(
    wire: &mut impl Wire,
    key: &[u8],
    direction: Direction,
    delta: u64,
) -> Outcome<Counted> {
    let command: &[u8] = match direction {
        Direction::Up => b"incr ",
        Direction::Down => b"decr ",
    };
    let line = ask(wire, &[command, key, format!(" {delta}").as_bytes()])?;
    Ok(match line {
        b"NOT_FOUND" => Counted::Missing,
        line if line.starts_with(b"CLIENT_ERROR cannot increment") => Counted::NotANumber,
        line => Counted::To(number(line).ok_or_else(|| answer_to(line))?),
    })
}

pub(in crate::backend::memcached) fn has(wire: &mut impl Wire, key: &[u8]) -> Outcome<bool> {
    match ask(wire, &[b"mg ", key])? {
        b"HD" => Ok(true),
        b"EN" => Ok(false),
        // Appending nothing says whether there is something.
        line if is_unknown_command(line) => {
            let line = ask(wire, &[b"append ", key, b" 0 0 0\r\n"])?;
            match line {
                b"STORED" => Ok(true),
                b"NOT_STORED" => Ok(false),
                line => Err(answer_to(line)),
            }
        }
        line => Err(answer_to(line)),
    }
}

pub(in crate::backend::memcached) fn remaining(
    wire: &mut impl Wire,
    key: &[u8],
) -> Outcome<Remaining> {
    match ask(wire, &[b"mg ", key, b" t"])? {
        b"HD t-1" => Ok(Remaining::Forever),
        b"EN" => Ok(Remaining::Missing),
        line if is_unknown_command(line) => Ok(Remaining::Unknown),
        line => line
            .strip_prefix(b"HD t")
            .and_then(number)
            .map(Remaining::Seconds)
            .ok_or_else(|| answer_to(line)),
    }
}

pub(in crate::backend::memcached) fn touch(
    wire: &mut impl Wire,
    key: &[u8],
    exptime: u32,
) -> Outcome<bool> {
    match ask(wire, &[b"touch ", key, format!(" {exptime}").as_bytes()])? {
        b"TOUCHED" => Ok(true),
        b"NOT_FOUND" => Ok(false),
        line => Err(answer_to(line)),
    }
}

pub(in crate::backend::memcached) fn flush_all(wire: &mut impl Wire, delay: u32) -> Outcome<()> {
    let delay = match delay {
        0 => String::new(),
        delay => format!(" {delay}"),
    };
    match ask(wire, &[b"flush_all", delay.as_bytes()])? {
        b"OK" => Ok(()),
        line => Err(answer_to(line)),
    }
}

pub(in crate::backend::memcached) fn statistics(
    wire: &mut impl Wire,
    about: &str,
) -> Outcome<Vec<Statistic>> {
    let request = match about {
        "" => "stats\r\n".to_owned(),
        about => format!("stats {about}\r\n"),
    };
    wire.send(request.as_bytes())?;
    let mut statistics = Vec::new();
    loop {
        let line = wire.line()?;
        // What changes something, as `reset` and `detail on`, answers one line.
        if matches!(line, b"END" | b"RESET" | b"OK") {
            return Ok(statistics);
        }
        if statistics.is_empty() && is_unknown_command(line) {
            return Err(Failure::Value(format!("there are none about {about:?}")));
        }
        let statistic = line.strip_prefix(b"STAT ").or(line.strip_prefix(b"ITEM "));
        let Some(statistic) = statistic.filter(|_| statistics.len() < MOST_STATISTICS) else {
            return Err(answer_to(line));
        };
        let mut halves = statistic.splitn(2, |byte| *byte == b' ');
        let mut half = || halves.next().unwrap_or_default().to_vec();
        statistics.push((half(), half()));
    }
}

/// The keys that start with `prefix`, up to `most`, of the items that a crawler tells of; `None` where the
/// server has none, or it is busy. Where there are more, the rest is not read.
pub(in crate::backend::memcached) fn keys(
    wire: &mut impl Wire,
    prefix: &[u8],
    most: usize,
) -> Outcome<Option<Vec<Vec<u8>>>> {
    wire.send(b"lru_crawler metadump all\r\n")?;
    let mut keys = Vec::new();
    while keys.len() < most {
        let line = wire.line()?;
        match line.strip_prefix(b"key=") {
            Some(rest) => {
                let encoded = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
                let key = unquoted(encoded).ok_or_else(|| Failure::nonsense(line))?;
                if key.starts_with(prefix) {
                    keys.push(key);
                }
            }
            None if line == b"END" => break,
            None if line.starts_with(b"BUSY") || is_unknown_command(line) => return Ok(None),
            None => return Err(answer_to(line)),
        }
    }
    Ok(Some(keys))
}

/// The bytes that percent-encoded ones stand for.
fn unquoted(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut parts = encoded.split(|byte| *byte == b'%');
    let mut bytes = parts.next()?.to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        bytes.extend_from_slice(rest);
    }
    Some(bytes)
}

/// Sends one command line and returns the one line of the answer.
fn ask<'a>(wire: &'a mut impl Wire, words: &[&[u8]]) -> Outcome<&'a [u8]> {
    let mut request = words.concat();
    request.extend_from_slice(b"\r\n");
    wire.send(&request)?;
    wire.line()
}

/// Whether the answer to a meta command says that the server, or a proxy, knows none.
fn is_unknown_command(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"SERVER_ERROR")
}

/// The failure that an answer other than the expected ones is.
fn answer_to(line: &[u8]) -> Failure {
    if line.starts_with(b"SERVER_ERROR") || line.starts_with(b"CLIENT_ERROR") {
        return Failure::Refused(format!(
            "the server answered {}",
            String::from_utf8_lossy(line)
        ));
    }
    Failure::nonsense(line)
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    // `str::parse` would take a plus sign.
    word.first().filter(|byte| byte.is_ascii_digit())?;
    std::str::from_utf8(word).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
