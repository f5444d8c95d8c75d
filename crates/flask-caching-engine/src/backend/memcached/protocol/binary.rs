//! The binary protocol (memcached's `doc/protocol-binary.xml`), which servers with SASL speak.

use super::wire::Wire;
use super::{Counted, Direction, Entry, Item, MOST_STATISTICS, Statistic, Store, Stored, windows};
use crate::Value;
use crate::backend::memcached::failure::{Failure, Outcome};

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
const HEADER: usize = 24;

mod opcode {
    pub(in crate::backend::memcached) const GET: u8 = 0x00;
    pub(in crate::backend::memcached) const SET: u8 = 0x01;
    pub(in crate::backend::memcached) const ADD: u8 = 0x02;
    pub(in crate::backend::memcached) const REPLACE: u8 = 0x03;
    pub(in crate::backend::memcached) const DELETE: u8 = 0x04;
    pub(in crate::backend::memcached) const INCREMENT: u8 = 0x05;
    pub(in crate::backend::memcached) const DECREMENT: u8 = 0x06;
    pub(in crate::backend::memcached) const FLUSH: u8 = 0x08;
    pub(in crate::backend::memcached) const APPEND: u8 = 0x0e;
    pub(in crate::backend::memcached) const PREPEND: u8 = 0x0f;
    pub(in crate::backend::memcached) const STAT: u8 = 0x10;
    pub(in crate::backend::memcached) const TOUCH: u8 = 0x1c;
    pub(in crate::backend::memcached) const SASL_AUTH: u8 = 0x21;
}

mod status {
    pub(in crate::backend::memcached) const OK: u16 = 0x00;
    pub(in crate::backend::memcached) const NOT_FOUND: u16 = 0x01;
    pub(in crate::backend::memcached) const EXISTS: u16 = 0x02;
    pub(in crate::backend::memcached) const TOO_LARGE: u16 = 0x03;
    pub(in crate::backend::memcached) const NOT_STORED: u16 = 0x05;
    pub(in crate::backend::memcached) const NOT_A_NUMBER: u16 = 0x06;
    pub(in crate::backend::memcached) const AUTH_ERROR: u16 = 0x20;
    pub(in crate::backend::memcached) const AUTH_CONTINUE: u16 = 0x21;
    pub(in crate::backend::memcached) const UNKNOWN_COMMAND: u16 = 0x81;
    pub(in crate::backend::memcached) const OUT_OF_MEMORY: u16 = 0x82;
}

/// Requests sent before their replies are read.
const WINDOW_REQUESTS: usize = 500;
const WINDOW_KEYS: usize = 16 * 1024;

/// An `exptime` of a counter that says: do not create it.
const DO_NOT_CREATE: u32 = u32::MAX;

struct Request<'a> {
    opcode: u8,
    cas: u64,
    extras: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Request<'a> {
    fn new(opcode: u8, key: &'a [u8]) -> Self {
        Self {
            opcode,
            cas: 0,
            extras: &[],
            key,
            value: &[],
        }
    }

    /// Appends the request to `bytes`.
    ///
    /// # Errors
    /// The value is larger than the protocol can say.
    fn write(&self, bytes: &mut Vec<u8>) -> Outcome<()> {
        let body = self.extras.len() + self.key.len() + self.value.len();
        let too_large = || Failure::Value("it is larger than the protocol can say".to_owned());
        let body = u32::try_from(body).map_err(|_| too_large())?;
        let key = u16::try_from(self.key.len()).map_err(|_| too_large())?;
        let extras = u8::try_from(self.extras.len()).map_err(|_| too_large())?;
        bytes.extend_from_slice(&[REQUEST, self.opcode]);
        bytes.extend_from_slice(&key.to_be_bytes());
        bytes.extend_from_slice(&[extras, 0, 0, 0]);
        bytes.extend_from_slice(&body.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.cas.to_be_bytes());
        bytes.extend_from_slice(self.extras);
        bytes.extend_from_slice(self.key);
        bytes.extend_from_slice(self.value);
        Ok(())
    }
}

struct Response {
    status: u16,
    cas: u64,
    extras: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Response {
    /// Reads the answer to a request of `opcode`.
    fn read(wire: &mut impl Wire, opcode: u8) -> Outcome<Self> {
        let header = wire.block(HEADER)?;
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if header[0] != RESPONSE || header[1] != opcode {
            return Err(Failure::nonsense(&header));
        }
        let key = usize::from(half(2));
        let extras = usize::from(header[4]);
        let body = (usize::from(half(8)) << 16) | usize::from(half(10));
        let cas = header[16..24]
            .iter()
            .fold(0, |cas, byte| (cas << 8) | u64::from(*byte));
        let mut value = wire.block(body)?;
        if key + extras > body {
            return Err(Failure::nonsense(&header));
        }
        let mut extras_and_key: Vec<u8> = value.drain(..extras + key).collect();
        let key = extras_and_key.split_off(extras);
        Ok(Self {
            status: half(6),
            cas,
            extras: extras_and_key,
            key,
            value,
        })
    }

    /// The failure that this answer is, where its status is none that the caller expects.
    fn failure(&self) -> Failure {
        let words = String::from_utf8_lossy(&self.value);
        Failure::Refused(match self.status {
            status::AUTH_ERROR => {
                "the server asks for a user name and password, which this connection has none of \
                 or which it no longer accepts"
                    .to_owned()
            }
            status => format!("the server answered status {status:#04x} ({words})"),
        })
    }
}

/// Logs in with the mechanism PLAIN (RFC 4616).
///
/// # Errors
/// [`Failure::Refused`] where the server does not accept them; neither is named in it.
pub(in crate::backend::memcached) fn log_in(
    wire: &mut impl Wire,
    username: &str,
    password: &str,
) -> Outcome<()> {
    let mut request = Vec::new();
    Request {
        value: format!("\0{username}\0{password}").as_bytes(),
        ..Request::new(opcode::SASL_AUTH, b"PLAIN")
    }
    .write(&mut request)?;
    wire.send(&request)?;
    let response = Response::read(wire, opcode::SASL_AUTH)?;
    match response.status {
        status::OK => Ok(()),
        status::AUTH_ERROR => Err(Failure::Refused(
            "authentication failed: the server does not accept the user name or the password"
                .to_owned(),
        )),
        status::UNKNOWN_COMMAND => Err(Failure::Refused(
            "a user name is configured, but the server does not do SASL authentication".to_owned(),
        )),
        status::AUTH_CONTINUE => Err(Failure::Refused(
            "authentication failed: the server does not offer the mechanism PLAIN".to_owned(),
        )),
        _ => Err(response.failure()),
    }
}

pub(in crate::backend::memcached) fn get(
    wire: &mut impl Wire,
    keys: &[&[u8]],
) -> Outcome<Vec<Option<Item>>> {
    let mut items = Vec::with_capacity(keys.len());
    for window in windows(keys, WINDOW_REQUESTS, WINDOW_KEYS, |key| key.len() + HEADER) {
        let mut requests = Vec::new();
        for key in window {
            Request::new(opcode::GET, key).write(&mut requests)?;
        }
        wire.send(&requests)?;
        for _ in window {
            let response = Response::read(wire, opcode::GET)?;
            items.push(match response.status {
                status::OK => Some(item(response)?),
                status::NOT_FOUND => None,
                _ => return Err(response.failure()),
            });
        }
    }
    Ok(items)
}

fn item(response: Response) -> Outcome<Item> {
    let flags = match response.extras.as_slice() {
        [a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]),
        extras => return Err(Failure::nonsense(extras)),
    };
    Ok(Item {
        value: Value {
            data: response.value,
            flags,
        },
        cas: response.cas,
    })
}

pub(in crate::backend::memcached) fn store(
    wire: &mut impl Wire,
    store: Store,
    entries: &[Entry<'_>],
) -> Outcome<Vec<Stored>> {
    let (opcode, cas) = match store {
        Store::Set => (opcode::SET, 0),
        Store::Add => (opcode::ADD, 0),
        Store::Replace => (opcode::REPLACE, 0),
        Store::Append => (opcode::APPEND, 0),
        Store::Prepend => (opcode::PREPEND, 0),
        Store::Cas(cas) => (opcode::SET, cas),
    };
    // What joins an item has no flags and no lifetime of its own.
    let joins = matches!(store, Store::Append | Store::Prepend);
    let mut results = Vec::with_capacity(entries.len());
    for window in windows(entries, WINDOW_REQUESTS, 1024 * 1024, |e| {
        e.value.data.len()
    }) {
        let mut requests = Vec::new();
        for Entry {
            key,
            value,
            exptime,
        } in window
        {
            let mut extras = [0; 8];
            extras[..4].copy_from_slice(&value.flags.to_be_bytes());
            extras[4..].copy_from_slice(&exptime.to_be_bytes());
            Request {
                cas,
                extras: if joins { &[] } else { &extras },
                value: &value.data,
                ..Request::new(opcode, key)
            }
            .write(&mut requests)?;
        }
        wire.send(&requests)?;
        for _ in window {
            let response = Response::read(wire, opcode)?;
            results.push(match response.status {
                status::OK => Stored::Yes,
                status::EXISTS | status::NOT_STORED => Stored::No,
                status::NOT_FOUND => Stored::Missing,
                status::TOO_LARGE | status::OUT_OF_MEMORY => {
                    Stored::Refused(String::from_utf8_lossy(&response.value).into_owned())
                }
                _ => return Err(response.failure()),
            });
        }
    }
    Ok(results)
}

pub(in crate::backend::memcached) fn delete(
    wire: &mut impl Wire,
    keys: &[&[u8]],
) -> Outcome<Vec<bool>> {
    let mut deleted = Vec::with_capacity(keys.len());
    for window in windows(keys, WINDOW_REQUESTS, WINDOW_KEYS * 4, |key| {
        key.len() + HEADER
    }) {
        let mut requests = Vec::new();
        for key in window {
            Request::new(opcode::DELETE, key).write(&mut requests)?;
        }
        wire.send(&requests)?;
        for _ in window {
            let response = Response::read(wire, opcode::DELETE)?;
            deleted.push(found(&response)?);
        }
    }
    Ok(deleted)
}

pub(in crate::backend::memcached) fn remove(
    wire: &mut impl Wire,
    key: &[u8],
    cas: u64,
) -> Outcome<bool> {
    let request = Request {
        cas,
        ..Request::new(opcode::DELETE, key)
    };
    let response = ask(wire, &request)?;
    match response.status {
        status::EXISTS => Ok(false),
        _ => found(&response),
    }
}

pub(in crate::backend::memcached) fn count(
    wire: &mut impl Wire,
    key: &[u8],
    direction: Direction,
    delta: u64,
) -> Outcome<Counted> {
    let opcode = match direction {
        Direction::Up => opcode::INCREMENT,
        Direction::Down => opcode::DECREMENT,
    };
    let mut extras = [0; 20];
    extras[..8].copy_from_slice(&delta.to_be_bytes());
    extras[16..].copy_from_slice(&DO_NOT_CREATE.to_be_bytes());
    let request = Request {
        extras: &extras,
        ..Request::new(opcode, key)
    };
    let response = ask(wire, &request)?;
    match response.status {
        status::OK => match <[u8; 8]>::try_from(response.value.as_slice()) {
            Ok(count) => Ok(Counted::To(u64::from_be_bytes(count))),
            Err(_) => Err(Failure::nonsense(&response.value)),
        },
        status::NOT_FOUND => Ok(Counted::Missing),
        status::NOT_A_NUMBER => Ok(Counted::NotANumber),
        _ => Err(response.failure()),
    }
}

/// Appending nothing says whether there is something, and does not transfer it.
pub(in crate::backend::memcached) fn has(wire: &mut impl Wire, key: &[u8]) -> Outcome<bool> {
    let response = ask(wire, &Request::new(opcode::APPEND, key))?;
    match response.status {
        status::NOT_STORED => Ok(false),
        _ => found(&response),
    }
}

pub(in crate::backend::memcached) fn touch(
    wire: &mut impl Wire,
    key: &[u8],
    exptime: u32,
) -> Outcome<bool> {
    let extras = exptime.to_be_bytes();
    let request = Request {
        extras: &extras,
        ..Request::new(opcode::TOUCH, key)
    };
    found(&ask(wire, &request)?)
}

pub(in crate::backend::memcached) fn flush_all(wire: &mut impl Wire, delay: u32) -> Outcome<()> {
    let extras = delay.to_be_bytes();
    let request = Request {
        extras: if delay == 0 { &[] } else { &extras },
        ..Request::new(opcode::FLUSH, b"")
    };
    let response = ask(wire, &request)?;
    match response.status {
        status::OK => Ok(()),
        _ => Err(response.failure()),
    }
}

pub(in crate::backend::memcached) fn statistics(
    wire: &mut impl Wire,
    about: &str,
) -> Outcome<Vec<Statistic>> {
    let mut response = ask(wire, &Request::new(opcode::STAT, about.as_bytes()))?;
    let mut statistics = Vec::new();
    loop {
        match response.status {
            status::OK => {}
            status::NOT_FOUND => {
                return Err(Failure::Value(format!("there are none about {about:?}")));
            }
            _ => return Err(response.failure()),
        }
        // The last answer is empty.
        if response.key.is_empty() && response.value.is_empty() {
            return Ok(statistics);
        }
        if statistics.len() == MOST_STATISTICS {
            return Err(Failure::nonsense(&response.key));
        }
        statistics.push((response.key, response.value));
        response = Response::read(wire, opcode::STAT)?;
    }
}

fn ask(wire: &mut impl Wire, request: &Request<'_>) -> Outcome<Response> {
    let mut bytes = Vec::new();
    request.write(&mut bytes)?;
    wire.send(&bytes)?;
    Response::read(wire, request.opcode)
}

fn found(response: &Response) -> Outcome<bool> {
    match response.status {
        status::OK => Ok(true),
        status::NOT_FOUND => Ok(false),
        _ => Err(response.failure()),
    }
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
