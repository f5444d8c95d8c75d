//! Pickles of one long `bytes` or `str` and nothing else, as pickle writes them since protocol 4:
//! what they hold can be written from where it is, and read into place, with no pickle between.

use std::cell::Cell;

/// `PROTO`, the protocol, `BINBYTES` or `BINUNICODE`, and the length.
const HEAD: usize = 7;
/// `MEMOIZE`, `STOP`.
pub(crate) const TAIL: [u8; 2] = *b"\x94.";
/// Shorter objects are pickled into a frame.
const FRAMED: usize = 64 * 1024;

/// What a pickle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bytes,
    /// Text in UTF-8, with what Python allows beyond it.
    Text,
}

/// What stands before `length` bytes of contents in their pickle; `None` where pickle writes something
/// else.
pub(crate) fn head(kind: Kind, length: usize) -> Option<[u8; HEAD]> {
    let [a, b, c, d] = u32::try_from(length).ok()?.to_le_bytes();
    let opcode = match kind {
        Kind::Bytes => b'B',
        Kind::Text => b'X',
    };
    (length >= FRAMED).then_some([0x80, 5, opcode, a, b, c, d])
}

/// A pickle that begins like one of a single object, and is as long.
pub(crate) struct Single {
    pub(crate) kind: Kind,
    /// The length of the contents in bytes.
    pub(crate) length: usize,
    pub(crate) head: [u8; HEAD],
    pub(crate) tail: [u8; TAIL.len()],
}

impl Single {
    /// Of a pickle that begins with `beginning`, and has `length` bytes.
    pub(crate) fn of(beginning: &[u8], length: usize) -> Option<Self> {
        let (head, _) = beginning.split_first_chunk::<HEAD>()?;
        let (kind, contents) = match *head {
            [0x80, 4 | 5, b'B', contents @ ..] => (Kind::Bytes, contents),
            [0x80, 4 | 5, b'X', contents @ ..] => (Kind::Text, contents),
            _ => return None,
        };
        let contents = usize::try_from(u32::from_le_bytes(contents)).ok()?;
        (contents >= FRAMED && contents + HEAD + TAIL.len() == length).then_some(Self {
            kind,
            length: contents,
            head: [0; HEAD],
            tail: [0; TAIL.len()],
        })
    }

    /// Whether it also ended like one, now that it is read.
    pub(crate) fn is_whole(&self) -> bool {
        self.tail == TAIL
    }

    /// The pickle, around its `contents`.
    pub(crate) fn pickle(&self, contents: &[u8]) -> Vec<u8> {
        [&self.head, contents, &self.tail].concat()
    }
}

/// A buffer of this thread's that is used again: new memory for as much comes from the kernel page by
/// page, which costs ten times as much as to fill it.
pub(crate) struct Buffer(Vec<u8>);

/// A longer buffer is not kept.
const KEPT: usize = 1 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Buffer {
    /// One of `length` bytes; `None` where there is no memory for it.
    pub(crate) fn take(length: usize) -> Option<Self> {
        let mut bytes = BUFFER.take();
        bytes
            .try_reserve_exact(length.saturating_sub(bytes.len()))
            .ok()?;
        bytes.resize(length, 0);
        Some(Self(bytes))
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            BUFFER.set(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pickle(opcode: u8, length: usize, end: &[u8]) -> Vec<u8> {
        let head = [0x80, 5, opcode];
        let counted = u32::try_from(length).unwrap().to_le_bytes();
        [&head, &counted[..], &vec![b'x'; length], end].concat()
    }

    fn of(pickle: &[u8]) -> Option<(Kind, usize)> {
        Single::of(&pickle[..pickle.len().min(100)], pickle.len())
            .map(|single| (single.kind, single.length))
    }

    #[test]
    fn only_pickles_of_one_long_object_are_meant() {
        assert_eq!(
            of(&pickle(b'B', FRAMED, b"\x94.")),
            Some((Kind::Bytes, FRAMED))
        );
        assert_eq!(
            of(&pickle(b'X', 70_000, b"\x94.")),
            Some((Kind::Text, 70_000))
        );
        assert_eq!(of(&pickle(b'B', FRAMED - 1, b"\x94.")), None);
        assert_eq!(of(&pickle(b'B', FRAMED, b".")), None);
        assert_eq!(of(&pickle(b'B', FRAMED, b"\x940N.")), None);
        assert_eq!(of(&pickle(b'C', FRAMED, b"\x94.")), None);
        assert_eq!(of(b"\x80\x05B"), None);
        assert_eq!(of(b""), None);
    }

    #[test]
    fn a_buffer_is_used_again_with_the_length_that_is_asked_for() {
        for length in [10, 3, 100, 0, KEPT, KEPT + 1, 5] {
            assert_eq!(Buffer::take(length).unwrap().bytes().len(), length);
        }
        assert!(BUFFER.take().capacity() <= KEPT);
        assert!(Buffer::take(usize::MAX).is_none());
    }
}
