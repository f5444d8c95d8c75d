use proptest::prelude::*;

use super::*;
use crate::backend::memcached::protocol::wire::script::Script;

fn answers(bytes: &[u8]) -> Script {
    Script::new(bytes, 3)
}

fn value(data: &[u8], flags: u32) -> Value {
    Value {
        data: data.to_vec(),
        flags,
    }
}

#[test]
fn get_puts_every_answer_in_its_place() {
    let mut wire = answers(b"VALUE a 4 1\r\n7\r\nVALUE c 0 4\r\nx\r\ny\r\nEND\r\n");
    let items = get(&mut wire, &[b"a", b"b", b"c", b"d"], false).unwrap();
    let values: Vec<_> = items
        .into_iter()
        .map(|item| item.map(|i| i.value))
        .collect();
    let expected = vec![Some(value(b"7", 4)), None, Some(value(b"x\r\ny", 0)), None];
    assert_eq!(values, expected);
    assert_eq!(wire.sent, b"get a b c d\r\n");
}

#[test]
fn a_value_that_was_not_asked_for_is_nonsense() {
    let mut wire = answers(b"VALUE other 0 1\r\nx\r\nEND\r\n");
    assert!(matches!(
        get(&mut wire, &[b"a"], false),
        Err(Failure::Nonsense(_))
    ));
}

#[test]
fn stores_are_pipelined_and_each_has_its_answer() {
    let (one, two) = (value(b"1", 4), value(b"22", 0));
    let entries = [
        Entry {
            key: b"a",
            value: &one,
            exptime: 10,
        },
        Entry {
            key: b"b",
            value: &two,
            exptime: 0,
        },
    ];
    let mut wire = answers(b"STORED\r\nSERVER_ERROR object too large for cache\r\n");
    let stored = store(&mut wire, Store::Cas(9), &entries).unwrap();
    let refused = Stored::Refused("object too large for cache".to_owned());
    assert_eq!(stored, [Stored::Yes, refused]);
    assert_eq!(wire.sent, b"cas a 4 10 1 9\r\n1\r\ncas b 0 0 2 9\r\n22\r\n");
}

#[test]
fn what_is_left_of_a_life() {
    for (answer, expected) in [
        (b"HD t-1\r\n".as_slice(), Remaining::Forever),
        (b"HD t12\r\n", Remaining::Seconds(12)),
        (b"EN\r\n", Remaining::Missing),
        (b"ERROR\r\n", Remaining::Unknown),
    ] {
        assert_eq!(remaining(&mut answers(answer), b"k").unwrap(), expected);
    }
}

#[test]
fn a_server_without_meta_commands_is_asked_another_way() {
    for error in ["ERROR", "SERVER_ERROR Command not supported"] {
        let mut wire = answers(format!("{error}\r\nSTORED\r\n").as_bytes());
        assert!(has(&mut wire, b"k").unwrap());
        assert_eq!(wire.sent, b"mg k\r\nappend k 0 0 0\r\n\r\n");
    }
}

#[test]
fn an_error_in_words_is_passed_on() {
    let failure = flush_all(&mut answers(b"SERVER_ERROR busy\r\n"), 0).unwrap_err();
    assert!(matches!(failure, Failure::Refused(words) if words.contains("busy")));
}

#[test]
fn an_endless_line_ends_the_conversation() {
    let mut wire = Script::new(&vec![b'x'; 100_000], 1000);
    assert!(matches!(
        count(&mut wire, b"k", Direction::Up, 1),
        Err(Failure::Nonsense(_))
    ));
}

/// Bytes that look enough like answers to get past the first word.
fn near_answers() -> impl Strategy<Value = Vec<u8>> {
    let pieces = proptest::sample::select(vec![
        "VALUE ",
        "k",
        " ",
        "0",
        "4294967295",
        "99999999999",
        "-1",
        "\r\n",
        "\n",
        "END\r\n",
        "STORED\r\n",
        "HD t",
        "EN\r\n",
        "DELETED\r\n",
        "SERVER_ERROR ",
        "\0",
        "1",
        "7\r\n",
    ]);
    prop_oneof![
        proptest::collection::vec(pieces, 0..20).prop_map(|words| words.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(bytes in near_answers(), step in 1_usize..8) {
        let wire = || Script::new(&bytes, step);
        let value = Value::default();
        let entry = Entry { key: b"k", value: &value, exptime: 0 };
        // An error is fine; a panic, an endless loop or a value out of nowhere is not.
        if let Ok(items) = get(&mut wire(), &[b"k", b"j"], true) {
            prop_assert_eq!(items.len(), 2);
        }
        let _ = store(&mut wire(), Store::Set, &[entry]);
        let _ = delete(&mut wire(), &[b"k"]);
        let _ = count(&mut wire(), b"k", Direction::Up, 1);
        let _ = has(&mut wire(), b"k");
        let _ = remaining(&mut wire(), b"k");
        let _ = touch(&mut wire(), b"k", 1);
    }

    #[test]
    fn any_value_survives_the_way_back(
        data in proptest::collection::vec(any::<u8>(), 0..300), flags: u32, cas: u64, step in 1_usize..40,
    ) {
        let mut bytes = format!("VALUE k {flags} {} {cas}\r\n", data.len()).into_bytes();
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(b"\r\nEND\r\n");
        let items = get(&mut Script::new(&bytes, step), &[b"k"], true).unwrap();
        prop_assert_eq!(items, vec![Some(Item { value: Value { data, flags }, cas })]);
    }
}
