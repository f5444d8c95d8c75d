//! Keys, slots and who is in charge of them.
//!
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::backend::redis::config::Endpoint;
use crate::backend::redis::resp::Reply;

/// How many slots there are.
pub(in crate::backend::redis) const SLOTS: u16 = 16_384;

/// The slot of `key`: what is between the first `{` and the first `}` after it, where that is not
/// empty, else the whole key.
pub(in crate::backend::redis) fn slot(key: &[u8]) -> u16 {
    let tag = key
        .iter()
        .position(|&byte| byte == b'{')
        .and_then(|open| {
            let rest = &key[open + 1..];
            let close = rest.iter().position(|&byte| byte == b'}')?;
            (close > 0).then(|| &rest[..close])
        })
        .unwrap_or(key);
    crc16(tag) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(byte))]
    })
}

static TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut value: u16 = 0;
    while value < 256 {
        let mut crc = value << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[value as usize] = crc;
        value += 1;
    }
    table
}

/// The masters of a cluster and their slots, as one of its nodes sees them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend::redis) struct Layout {
    /// The masters.
    pub(in crate::backend::redis) masters: Vec<Endpoint>,
    /// The replicas: they know the cluster too.
    pub(in crate::backend::redis) replicas: Vec<Endpoint>,
    /// For each slot, the place of its master; [`u16::MAX`]: it has none.
    pub(in crate::backend::redis) owners: Vec<u16>,
}

impl Layout {
    /// Reads the reply to `CLUSTER SLOTS` of the node that was reached at `asked`.
    pub(in crate::backend::redis) fn read(reply: &Reply, asked: &Endpoint) -> Option<Self> {
        let Reply::Array(ranges) = reply else {
            return None;
        };
        let mut layout = Self {
            masters: Vec::new(),
            replicas: Vec::new(),
            owners: vec![u16::MAX; usize::from(SLOTS)],
        };
        for range in ranges {
            let Reply::Array(parts) = range else {
                return None;
            };
            let [Reply::Int(first), Reply::Int(last), master, replicas @ ..] = parts.as_slice()
            else {
                return None;
            };
            let Some(master) = node(master, asked) else {
                continue;
            };
            let owner = place(&mut layout.masters, master);
            for replica in replicas.iter().filter_map(|replica| node(replica, asked)) {
                place(&mut layout.replicas, replica);
            }
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let owner = u16::try_from(owner).ok()?;
            layout.owners.get_mut(first..=last)?.fill(owner);
        }
        (!layout.masters.is_empty()).then_some(layout)
    }

    /// A number that changes with who is in charge of which slots, whichever node said so.
    pub(in crate::backend::redis) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for range in self.owners.chunk_by(|one, other| one == other) {
            let master = self.masters.get(usize::from(range[0]));
            (range.len(), master).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The place of the master of `slot`.
    pub(in crate::backend::redis) fn owner(&self, slot: u16) -> Option<usize> {
        self.owners
            .get(usize::from(slot))
            .filter(|&&owner| owner != u16::MAX)
            .map(|&owner| usize::from(owner))
    }
}

fn place(endpoints: &mut Vec<Endpoint>, endpoint: Endpoint) -> usize {
    endpoints
        .iter()
        .position(|known| *known == endpoint)
        .unwrap_or_else(|| {
            endpoints.push(endpoint);
            endpoints.len() - 1
        })
}

/// Where a node listens. One that does not know its own host is where it was reached.
fn node(reply: &Reply, asked: &Endpoint) -> Option<Endpoint> {
    let Reply::Array(parts) = reply else {
        return None;
    };
    let [host, Reply::Int(port), ..] = parts.as_slice() else {
        return None;
    };
    let host = match host {
        Reply::Data(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    address(host, u16::try_from(*port).ok()?, asked)
}

fn address(host: &str, port: u16, asked: &Endpoint) -> Option<Endpoint> {
    match (host, asked) {
        ("", Endpoint::Tcp(asked, _)) => Some(Endpoint::Tcp(asked.clone(), port)),
        ("?", _) | ("", Endpoint::Unix(_)) => None,
        (host, _) => Some(Endpoint::Tcp(host.to_owned(), port)),
    }
}

/// Where an error reply sends us: `MOVED slot host:port` for good, `ASK slot host:port` for once.
pub(in crate::backend::redis) fn redirection(
    message: &str,
    asked: &Endpoint,
) -> Option<(bool, Endpoint)> {
    let mut words = message.split(' ');
    let for_once = match words.next()? {
        "MOVED" => false,
        "ASK" => true,
        _ => return None,
    };
    let (host, port) = words.nth(1)?.rsplit_once(':')?;
    Some((for_once, address(host, port.parse().ok()?, asked)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp(host.into(), port)
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot(b"foo{bar}{zap}"), crc16(b"bar") % SLOTS);
    }

    #[test]
    fn a_layout_is_read_from_the_reply() {
        let node = |host: &str, port| {
            Reply::Array(vec![
                Reply::Data(host.into()),
                Reply::Int(port),
                Reply::Data(b"id".into()),
            ])
        };
        let range = |first, last, nodes: Vec<Reply>| {
            let mut parts = vec![Reply::Int(first), Reply::Int(last)];
            parts.extend(nodes);
            Reply::Array(parts)
        };
        let reply = Reply::Array(vec![
            range(0, 99, vec![node("10.0.0.1", 1), node("10.0.0.2", 2)]),
            range(200, 16_383, vec![node("", 3)]),
        ]);
        let layout = Layout::read(&reply, &tcp("seed", 7)).unwrap();
        assert_eq!(layout.masters, [tcp("10.0.0.1", 1), tcp("seed", 3)]);
        assert_eq!(layout.replicas, [tcp("10.0.0.2", 2)]);
        assert_eq!(layout.owner(99), Some(0));
        assert_eq!(layout.owner(100), None);
        assert_eq!(layout.owner(16_383), Some(1));
        let outside = Reply::Array(vec![range(0, 16_384, vec![node("h", 1)])]);
        assert_eq!(Layout::read(&outside, &tcp("seed", 7)), None);
    }

    #[test]
    fn redirections_are_read() {
        let asked = tcp("here", 1);
        assert_eq!(
            redirection("MOVED 3999 127.0.0.1:6381", &asked),
            Some((false, tcp("127.0.0.1", 6381)))
        );
        assert_eq!(
            redirection("ASK 3999 :6381", &asked),
            Some((true, tcp("here", 6381)))
        );
        assert_eq!(
            redirection("MOVED 1 ::1:6381", &asked),
            Some((false, tcp("::1", 6381)))
        );
        assert_eq!(redirection("ERR no", &asked), None);
    }
}
