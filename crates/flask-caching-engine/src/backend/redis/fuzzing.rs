//! What holds whatever a Redis server answers.

use std::io::{self, Read};

use super::command::Reader;
use super::config::Endpoint;
use super::resp::{Incoming, Reply, encode};
use super::topology::cluster;
use super::topology::sentinel;

/// A peer whose bytes arrive `step` at a time.
struct Peer<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Peer<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(into.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        into[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

fn replies(bytes: &[u8], step: usize) -> (Vec<Reply>, io::ErrorKind) {
    let (mut peer, mut incoming) = (Peer { bytes, step }, Incoming::new());
    let mut replies = Vec::new();
    loop {
        match incoming.reply(&mut peer) {
            Ok(reply) => replies.push(reply),
            Err(error) => return (replies, error.kind()),
        }
    }
}

/// Any bytes are read or refused, the same however they arrive; and whatever they say, it is
/// understood or refused, too. What is sent is read as it was.
///
/// # Panics
/// It does not hold.
pub fn redis_replies(input: &[u8]) {
    let (found, end) = replies(input, usize::MAX);
    for step in [1, 13] {
        assert_eq!(replies(input, step), (found.clone(), end));
    }
    let reader = Reader {
        operation: "get",
        target: "fuzzer",
    };
    let asked = Endpoint::Tcp("fuzzer".to_owned(), 1);
    for reply in found {
        cluster::understand(&reply, &asked);
        sentinel::understand(&reply);
        let _ = (reader.done(&reply), reader.integer(&reply));
        let _ = (
            reader.scanned(reply.clone()),
            reader.values(reply.clone(), 2),
        );
        let _ = reader.value(reply);
    }
    let args: Vec<&[u8]> = input.split(|byte| *byte == 0).collect();
    let mut packed = Vec::new();
    encode(&mut packed, &args);
    let args = args.iter().map(|arg| Reply::Data(arg.to_vec())).collect();
    assert_eq!(replies(&packed, 5).0, [Reply::Array(args)]);
}
