//! What holds whatever a memcached server answers, and whatever keys and addresses are.

use std::sync::LazyLock;

use super::failure::{Failure, Outcome};
use super::key::{MAX_KEY_LENGTH, wire_key};
use super::protocol::wire::Wire as _;
use super::protocol::wire::script::Script;
use super::protocol::{Direction, Entry, Protocol, Store};
use super::spread::pieces;
use super::{Address, Distribution, KeyHash, Placement};
use crate::Value;

/// Any answers to any request are read or refused, the same however they arrive.
///
/// # Panics
/// It does not hold.
pub fn memcached_text(input: &[u8]) {
    converse(Protocol::Text, input);
}

/// As [`memcached_text`].
///
/// # Panics
/// It does not hold.
pub fn memcached_binary(input: &[u8]) {
    converse(Protocol::Binary, input);
}

/// The first byte of `input` says what is asked, the others are the answers.
fn converse(protocol: Protocol, input: &[u8]) {
    let Some((asked, answers)) = input.split_first() else {
        return;
    };
    let all_at_once = ask(protocol, *asked, answers, usize::MAX);
    for step in [1, 13] {
        assert_eq!(ask(protocol, *asked, answers, step), all_at_once);
    }
}

/// What is understood, or how it is refused, and how many bytes are left where it is understood.
fn ask(protocol: Protocol, asked: u8, answers: &[u8], step: usize) -> (String, usize) {
    const KEYS: [&[u8]; 3] = [b"k", b"other", b"k"];
    let mut wire = Script::new(answers, step);
    let value = Value {
        data: b"value".to_vec(),
        flags: 16,
    };
    let entries = KEYS.map(|key| Entry {
        key,
        value: &value,
        exptime: 0,
    });
    let outcome = match asked % 12 {
        0 => shown(protocol.get(&mut wire, &KEYS, true), Vec::len),
        1 => shown(protocol.store(&mut wire, Store::Set, &entries), Vec::len),
        2 => shown(protocol.store(&mut wire, Store::Cas(7), &entries), Vec::len),
        3 => shown(protocol.delete(&mut wire, &KEYS), Vec::len),
        4 => shown(protocol.count(&mut wire, KEYS[0], Direction::Up, 1), |_| {
            KEYS.len()
        }),
        5 => shown(protocol.has(&mut wire, KEYS[0]), |_| KEYS.len()),
        6 => shown(protocol.remaining(&mut wire, KEYS[0]), |_| KEYS.len()),
        7 => shown(protocol.touch(&mut wire, KEYS[0], 1), |_| KEYS.len()),
        8 => shown(protocol.flush_all(&mut wire, 0), |()| KEYS.len()),
        9 => shown(protocol.store(&mut wire, Store::Append, &entries), Vec::len),
        10 => shown(
            protocol.count(&mut wire, KEYS[0], Direction::Down, 1),
            |_| KEYS.len(),
        ),
        _ => shown(protocol.statistics(&mut wire, "items"), |_| KEYS.len()),
    };
    // After a failure the connection is closed.
    let left = match &outcome {
        Ok(_) => wire.left() + wire.buffer().unread().len(),
        Err(_) => 0,
    };
    (outcome.unwrap_or_else(str::to_owned), left)
}

/// `outcome` as text; it is of as many requests as were made.
fn shown<T: std::fmt::Debug>(
    outcome: Outcome<T>,
    count: impl FnOnce(&T) -> usize,
) -> Result<String, &'static str> {
    match outcome {
        Ok(answer) => {
            assert_eq!(count(&answer), 3);
            Ok(format!("{answer:?}"))
        }
        Err(Failure::Io(_)) => Err("io"),
        Err(Failure::Nonsense(_)) => Err("nonsense"),
        Err(Failure::Refused(_)) => Err("refused"),
        Err(Failure::Value(_)) => Err("value"),
    }
}

/// Any key goes over the wire as one word, and to one of the servers; an address that is read is
/// read again as it is shown; a value comes back from its pieces, and from nothing else.
///
/// # Panics
/// It does not hold.
pub fn memcached_names(input: &[u8]) {
    let wire = wire_key(input);
    assert!(!wire.is_empty() && wire.len() <= MAX_KEY_LENGTH);
    assert!(wire.iter().all(|byte| *byte > b' '));
    assert_eq!(wire_key(input), wire);
    if let Ok(address) = Address::parse(&String::from_utf8_lossy(input)) {
        let shown = Address::parse(&address.to_string()).map(|again| again.endpoint);
        assert_eq!(shown.ok(), Some(address.endpoint));
    }
    for placement in &*PLACEMENTS {
        assert!(placement.server_of(&wire) < SERVERS.len());
    }
    spread(input);
}

const SERVERS: [&str; 3] = ["one", "two:1:3", "[::1]:5"];

/// Every way to place keys on [`SERVERS`].
static PLACEMENTS: LazyLock<Vec<Placement>> = LazyLock::new(|| {
    let servers: Vec<Address> = SERVERS
        .iter()
        .filter_map(|server| Address::parse(server).ok())
        .collect();
    let hashes = KeyHash::NAMES.iter();
    let hashes: Vec<KeyHash> = hashes.filter_map(|name| KeyHash::from_name(name)).collect();
    [
        Distribution::Modula,
        Distribution::Ketama,
        Distribution::KetamaWeighted,
    ]
    .iter()
    .flat_map(|distribution| {
        let servers = &servers;
        let place = move |hash: &KeyHash| Placement::new(*distribution, *hash, servers);
        hashes.iter().map(place)
    })
    .collect()
});

fn spread(input: &[u8]) {
    let size = usize::from(input.first().copied().unwrap_or(0)) + 1;
    let (key, data) = input.split_at(input.len() / 3);
    let whole = pieces::split(key, data, 5, size, 4096).map(|pieces| {
        let pieces: Vec<Option<Value>> = pieces.into_iter().map(Some).collect();
        pieces::join(key, &pieces)
    });
    let whole = whole.flatten().map(|whole| (whole.data, whole.expires));
    assert_eq!(whole, Some((data.to_vec(), Some(5))));
    let strange = |(flags, data): (usize, &[u8])| Value {
        data: data.to_vec(),
        flags: (u32::from(input[flags % input.len()]) << 8) | 1 << 16,
    };
    let strange: Vec<Option<Value>> = data
        .chunks(size)
        .enumerate()
        .map(strange)
        .map(Some)
        .collect();
    if let Some(whole) = pieces::join(key, &strange) {
        assert_eq!(whole.expires, None, "a seal that was not made");
    }
}
