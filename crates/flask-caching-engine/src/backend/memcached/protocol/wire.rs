//! Bytes to and from a server, whatever carries them.

use crate::backend::memcached::failure::{Failure, Outcome};

/// The longest line a server may answer.
pub(in crate::backend::memcached) const LONGEST_LINE: usize = 8 * 1024;

/// The largest block a server may announce: the largest item memcached can be told to hold.
const LARGEST_BLOCK: usize = 1024 * 1024 * 1024;

/// A two-way stream with a read buffer.
pub(in crate::backend::memcached) trait Wire {
    /// Sends all of `bytes`.
    fn send(&mut self, bytes: &[u8]) -> Outcome<()>;

    /// Receives at least one byte at the end of `into`, which has room for `wanted` more.
    fn receive(&mut self, into: &mut Vec<u8>, wanted: usize) -> Outcome<()>;

    /// What was received and not read yet.
    fn buffer(&mut self) -> &mut Buffer;

    /// The next line, without its CR LF.
    fn line(&mut self) -> Outcome<&[u8]> {
        let mut searched = 0;
        loop {
            let unread = self.buffer().unread();
            let end = unread[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                // The same line is too long whether it arrives in one piece or in many.
                if searched + end > LONGEST_LINE {
                    return Err(Failure::nonsense(unread));
                }
                let line = self.buffer().read(searched + end + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            searched = unread.len();
            if searched > LONGEST_LINE {
                return Err(Failure::nonsense(unread));
            }
            self.fill()?;
        }
    }

    /// The next `count` bytes.
    fn block(&mut self, count: usize) -> Outcome<Vec<u8>> {
        if count > LARGEST_BLOCK {
            return Err(Failure::Nonsense(format!(
                "the server announced a value of {count} bytes"
            )));
        }
        let buffer = self.buffer();
        let buffered = buffer.unread().len().min(count);
        let mut block = Vec::with_capacity(count.min(4 * 1024 * 1024));
        block.extend_from_slice(buffer.read(buffered));
        while block.len() < count {
            let wanted = count - block.len();
            self.receive(&mut block, wanted)?;
        }
        Ok(block)
    }

    /// Reads more into the buffer.
    fn fill(&mut self) -> Outcome<()> {
        let mut bytes = std::mem::take(self.buffer()).into_unread();
        let outcome = self.receive(&mut bytes, 16 * 1024);
        *self.buffer() = Buffer { bytes, start: 0 };
        outcome
    }
}

/// Bytes received and not read yet.
#[derive(Debug, Default)]
pub(in crate::backend::memcached) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// What is left.
    pub(in crate::backend::memcached) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The next `count` bytes, which the caller guarantees to be there.
    fn read(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start += count;
        &self.bytes[start..self.start]
    }

    fn into_unread(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }
}

/// A server that answers from a script, for the tests of the protocols.
#[cfg(any(test, fuzzing))]
pub(in crate::backend::memcached) mod script {
    use super::{Buffer, Failure, Outcome, Wire};

    pub(crate) struct Script {
        answers: Vec<u8>,
        /// How much of the answers is delivered at a time.
        step: usize,
        pub(crate) sent: Vec<u8>,
        buffer: Buffer,
    }

    impl Script {
        pub(crate) fn new(answers: &[u8], step: usize) -> Self {
            Self {
                answers: answers.to_vec(),
                step: step.max(1),
                sent: Vec::new(),
                buffer: Buffer::default(),
            }
        }

        /// How many bytes have not been delivered.
        pub(crate) fn left(&self) -> usize {
            self.answers.len()
        }
    }

    impl Wire for Script {
        fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
            self.sent.extend_from_slice(bytes);
            Ok(())
        }

        fn receive(&mut self, into: &mut Vec<u8>, wanted: usize) -> Outcome<()> {
            let count = self.step.min(wanted).min(self.answers.len());
            if count == 0 {
                return Err(Failure::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            into.extend(self.answers.drain(..count));
            Ok(())
        }

        fn buffer(&mut self) -> &mut Buffer {
            &mut self.buffer
        }
    }
}
