use proptest::prelude::*;

use super::*;
use crate::backend::memcached::protocol::wire::script::Script;

/// A response as the protocol's document lays it out.
fn response(opcode: u8, status: u16, cas: u64, extras: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = u32::try_from(extras.len() + key.len() + value.len()).unwrap();
    let mut bytes = vec![RESPONSE, opcode];
    bytes.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
    bytes.extend([u8::try_from(extras.len()).unwrap(), 0]);
    bytes.extend(status.to_be_bytes());
    bytes.extend(body.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(cas.to_be_bytes());
    bytes.extend([extras, key, value].concat());
    bytes
}

#[test]
fn a_request_has_the_documented_layout() {
    let mut bytes = Vec::new();
    Request {
        extras: &[0xde, 0xad, 0xbe, 0xef, 0, 0, 0x0e, 0x10],
        value: b"World",
        ..Request::new(opcode::ADD, b"Hello")
    }
    .write(&mut bytes)
    .unwrap();
    let expected = [
        b"\x80\x02\x00\x05\x08\x00\x00\x00\x00\x00\x00\x12".as_slice(),
        &[0; 12],
        b"\xde\xad\xbe\xef\x00\x00\x0e\x10HelloWorld",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn get_reads_flags_token_and_value_and_a_miss() {
    let bytes = [
        response(opcode::GET, status::OK, 7, &16_u32.to_be_bytes(), b"", b"x"),
        response(opcode::GET, status::NOT_FOUND, 0, b"", b"", b"Not found"),
    ];
    let items = get(&mut Script::new(&bytes.concat(), 5), &[b"a", b"b"]).unwrap();
    let value = Value {
        data: b"x".to_vec(),
        flags: 16,
    };
    assert_eq!(items, [Some(Item { value, cas: 7 }), None]);
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let bytes = response(
        opcode::SASL_AUTH,
        status::AUTH_ERROR,
        0,
        b"",
        b"",
        b"Auth failure.",
    );
    let failure = log_in(&mut Script::new(&bytes, 50), "me", "hunter2").unwrap_err();
    let message = failure.into_error("get", "there").to_string();
    assert!(message.contains("password"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn an_answer_to_another_question_is_nonsense() {
    let bytes = response(opcode::DELETE, status::OK, 0, b"", b"", b"");
    let outcome = get(&mut Script::new(&bytes, 50), &[b"a"]);
    assert!(matches!(outcome, Err(Failure::Nonsense(_))));
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        header in any::<bool>(),
        step in 1_usize..30,
    ) {
        if header && bytes.len() >= 2 {
            bytes[0] = RESPONSE;
            bytes[1] = opcode::GET;
        }
        // An error is fine; a panic or an endless loop is not.
        let _ = get(&mut Script::new(&bytes, step), &[b"k", b"j"]);
        let _ = delete(&mut Script::new(&bytes, step), &[b"k"]);
        let _ = count(&mut Script::new(&bytes, step), b"k", Direction::Up, 1);
        let _ = log_in(&mut Script::new(&bytes, step), "u", "p");
    }

    #[test]
    fn any_value_survives_the_way_back(
        data in proptest::collection::vec(any::<u8>(), 0..300), flags: u32, cas: u64,
    ) {
        let bytes = response(opcode::GET, status::OK, cas, &flags.to_be_bytes(), b"", &data);
        let items = get(&mut Script::new(&bytes, 17), &[b"k"]).unwrap();
        prop_assert_eq!(items, vec![Some(Item { value: Value { data, flags }, cas })]);
    }
}
