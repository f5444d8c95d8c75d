//! The Redis serialization protocol, versions 2 and 3: commands out, replies in.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>. What a server sends is bounded
//! before it is believed: a peer that speaks something else is an error, never a huge allocation.

use std::io::{self, Read};

/// Lines (simple strings, errors, lengths) are shorter than this; longer is not Redis.
const BUFFER: usize = 16 * 1024;
/// Redis refuses longer strings (`proto-max-bulk-len` is 512 MB where nobody changed it).
const LONGEST_STRING: u64 = 4 << 30;
/// Memory is taken as bytes arrive, this much at a time.
const CHUNK: usize = 1 << 20;
const DEEPEST: u8 = 16;

/// One reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Nil,
    Int(i64),
    /// A string, simple or bulk, and every RESP3 scalar that has no case of its own.
    Data(Vec<u8>),
    /// An array, a set, or the keys and values of a map by turns.
    Array(Vec<Reply>),
    /// `CODE message`, as the server sent it.
    Error(String),
}

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Reply(Reply),
    /// A message that nobody asked for: its kind, and what it says.
    Push(Vec<Reply>),
}

enum Element {
    Reply(Reply),
    Push(Vec<Reply>),
    Attribute,
}

/// Appends the command made of `args` to `out`.
pub(super) fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    encode_head(out, args.len());
    for arg in args {
        encode_arg(out, arg);
    }
}

/// Appends the head of a command of `count` arguments; they follow by [`encode_arg`].
pub(super) fn encode_head(out: &mut Vec<u8>, count: usize) {
    length(out, b'*', count);
}

/// Appends one argument.
pub(super) fn encode_arg(out: &mut Vec<u8>, arg: &[u8]) {
    length(out, b'$', arg.len());
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}

fn length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = length;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// What has arrived and is not read yet.
#[derive(Debug)]
pub(super) struct Incoming {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// Whether everything that arrived was read: so it is between two operations.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// What `source` fails with; [`io::ErrorKind::InvalidData`] where it does not speak RESP;
    /// [`io::ErrorKind::UnexpectedEof`] where it closed.
    pub(super) fn reply(&mut self, source: &mut impl Read) -> io::Result<Reply> {
        loop {
            // Pushed messages and attributes come between replies; nobody asked for them.
            if let Element::Reply(reply) = self.element(source, 0)? {
                return Ok(reply);
            }
        }
    }

    /// Reads one reply, or a message that the server sends of its own accord.
    ///
    /// # Errors
    /// As [`Incoming::reply`].
    pub(super) fn message(&mut self, source: &mut impl Read) -> io::Result<Message> {
        loop {
            match self.element(source, 0)? {
                Element::Reply(reply) => return Ok(Message::Reply(reply)),
                Element::Push(parts) => return Ok(Message::Push(parts)),
                Element::Attribute => {}
            }
        }
    }

    /// Waits until something has arrived that is not read yet. What there is stays as it is.
    ///
    /// # Errors
    /// As [`Incoming::reply`]; after a timeout it may be waited again.
    pub(super) fn wait(&mut self, source: &mut impl Read) -> io::Result<()> {
        if self.is_empty() {
            self.fill(source)?;
        }
        Ok(())
    }

    fn element(&mut self, source: &mut impl Read, depth: u8) -> io::Result<Element> {
        if depth > DEEPEST {
            return Err(nonsense("a reply nested too deeply"));
        }
        let line = self.line(source)?;
        let Some((&kind, rest)) = self.buffer[line.0..line.1].split_first() else {
            return Err(nonsense("an empty line"));
        };
        Ok(Element::Reply(match kind {
            b'+' | b',' | b'(' => Reply::Data(rest.to_vec()),
            b'-' => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Reply::Int(integer(rest)?),
            b'#' => Reply::Int(i64::from(rest == b"t")),
            b'_' => Reply::Nil,
            b'$' | b'=' => match integer(rest)? {
                -1 => Reply::Nil,
                length => Reply::Data(self.string(source, length)?),
            },
            b'!' => {
                let length = integer(rest)?;
                let text = self.string(source, length)?;
                Reply::Error(String::from_utf8_lossy(&text).into_owned())
            }
            b'*' | b'~' => match integer(rest)? {
                -1 => Reply::Nil,
                count => Reply::Array(self.elements(source, count, depth)?),
            },
            b'%' => {
                let count = doubled(integer(rest)?)?;
                Reply::Array(self.elements(source, count, depth)?)
            }
            b'>' => {
                let count = integer(rest)?;
                return Ok(Element::Push(self.elements(source, count, depth)?));
            }
            b'|' => {
                let count = doubled(integer(rest)?)?;
                self.elements(source, count, depth)?;
                return Ok(Element::Attribute);
            }
            _ => return Err(nonsense("not a Redis reply")),
        }))
    }

    fn elements(
        &mut self,
        source: &mut impl Read,
        count: i64,
        depth: u8,
    ) -> io::Result<Vec<Reply>> {
        let count = usize::try_from(count).map_err(|_| nonsense("a negative count"))?;
        let mut replies = Vec::with_capacity(count.min(1024));
        while replies.len() < count {
            if let Element::Reply(reply) = self.element(source, depth + 1)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    /// The bounds in the buffer of the next line, without its end.
    fn line(&mut self, source: &mut impl Read) -> io::Result<(usize, usize)> {
        let mut searched = self.start;
        loop {
            let unread = &self.buffer[searched..self.end];
            if let Some(at) = unread.iter().position(|&byte| byte == b'\n') {
                let line = (self.start, searched + at);
                self.start = searched + at + 1;
                return if line.1 > line.0 && self.buffer[line.1 - 1] == b'\r' {
                    Ok((line.0, line.1 - 1))
                } else {
                    Err(nonsense("a line that does not end in CR LF"))
                };
            }
            let arrived = self.fill(source)?;
            searched = self.end - arrived;
        }
    }

    /// Reads more, at least one byte. Returns how many.
    fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Err(nonsense("a line too long for Redis"));
        }
        let count = source.read(&mut self.buffer[self.end..])?;
        if count == 0 {
            return Err(closed());
        }
        self.end += count;
        Ok(count)
    }

    /// A string of `length` bytes and the CR LF after it.
    fn string(&mut self, source: &mut impl Read, length: i64) -> io::Result<Vec<u8>> {
        let length = u64::try_from(length)
            .ok()
            .filter(|&length| length <= LONGEST_STRING)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| nonsense("an impossible length"))?;
        let arrived = length.min(self.end - self.start);
        let mut data = Vec::with_capacity(length.min(CHUNK));
        data.extend_from_slice(&self.buffer[self.start..self.start + arrived]);
        self.start += arrived;
        while data.len() < length {
            let from = data.len();
            data.resize(length.min(from + CHUNK), 0);
            source.read_exact(&mut data[from..])?;
        }
        while self.end - self.start < 2 {
            self.fill(source)?;
        }
        if &self.buffer[self.start..self.start + 2] != b"\r\n" {
            return Err(nonsense("a string longer than it said"));
        }
        self.start += 2;
        Ok(data)
    }
}

fn integer(digits: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| nonsense("a number that is none"))
}

fn doubled(count: i64) -> io::Result<i64> {
    count
        .checked_mul(2)
        .ok_or_else(|| nonsense("an impossible count"))
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server sent {what}; is it Redis?"),
    )
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection",
    )
}

#[cfg(test)]
mod tests;
