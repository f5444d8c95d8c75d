//! What is read, and what is refused.

use super::*;

/// Hands out its bytes in pieces of `step`.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(into.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        into[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

fn read(bytes: &[u8]) -> io::Result<Reply> {
    let whole = Incoming::new().reply(&mut { bytes });
    let mut source = Dribble { bytes, step: 1 };
    let dribbled = Incoming::new().reply(&mut source);
    assert_eq!(
        whole.as_ref().map_err(io::Error::kind),
        dribbled.as_ref().map_err(io::Error::kind)
    );
    whole
}

#[test]
fn commands_are_arrays_of_strings() {
    let mut out = Vec::new();
    encode(&mut out, &[b"SET", b"a\r\nb", b""]);
    assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    let mut out = Vec::new();
    encode_arg(&mut out, &[b'x'; 1205]);
    assert!(out.starts_with(b"$1205\r\nxxx"));
}

#[test]
fn every_kind_of_reply() {
    let data = |text: &str| Reply::Data(text.as_bytes().to_vec());
    for (bytes, reply) in [
        ("+OK\r\n", data("OK")),
        ("-ERR no\r\n", Reply::Error("ERR no".into())),
        ("!6\r\nERR no\r\n", Reply::Error("ERR no".into())),
        (":-12\r\n", Reply::Int(-12)),
        ("$5\r\na\r\nbc\r\n", data("a\r\nbc")),
        ("$0\r\n\r\n", data("")),
        ("$-1\r\n", Reply::Nil),
        ("*-1\r\n", Reply::Nil),
        ("_\r\n", Reply::Nil),
        ("#t\r\n", Reply::Int(1)),
        (",1.5\r\n", data("1.5")),
        ("=6\r\ntxt:ab\r\n", data("txt:ab")),
        (
            "*2\r\n:1\r\n*1\r\n$-1\r\n",
            Reply::Array(vec![Reply::Int(1), Reply::Array(vec![Reply::Nil])]),
        ),
        (
            "%1\r\n+a\r\n:1\r\n",
            Reply::Array(vec![data("a"), Reply::Int(1)]),
        ),
        (">2\r\n+invalidate\r\n:1\r\n:7\r\n", Reply::Int(7)),
    ] {
        assert_eq!(read(bytes.as_bytes()).unwrap(), reply, "{bytes:?}");
    }
}

#[test]
fn messages_come_between_replies() {
    let data = |text: &str| Reply::Data(text.as_bytes().to_vec());
    let mut source: &[u8] =
        b"|1\r\n+a\r\n:1\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n+PONG\r\n>2\r\n+invalidate\r\n_\r\n";
    let mut incoming = Incoming::new();
    let keys = Reply::Array(vec![data("k")]);
    for expected in [
        Message::Push(vec![data("invalidate"), keys]),
        Message::Reply(data("PONG")),
        Message::Push(vec![data("invalidate"), Reply::Nil]),
    ] {
        incoming.wait(&mut source).unwrap();
        assert_eq!(incoming.message(&mut source).unwrap(), expected);
    }
    let error = incoming.wait(&mut source).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn long_strings_arrive_in_chunks() {
    let text = "x".repeat(3 * CHUNK + 17);
    let bytes = format!("${}\r\n{text}\r\n", text.len());
    let mut source = Dribble {
        bytes: bytes.as_bytes(),
        step: 70_000,
    };
    let reply = Incoming::new().reply(&mut source).unwrap();
    assert_eq!(reply, Reply::Data(text.into_bytes()));
}

#[test]
fn replies_of_a_pipeline_follow_each_other() {
    let mut incoming = Incoming::new();
    let mut source: &[u8] = b":1\r\n$1\r\nx\r\n:2\r\n";
    assert_eq!(incoming.reply(&mut source).unwrap(), Reply::Int(1));
    assert_eq!(
        incoming.reply(&mut source).unwrap(),
        Reply::Data(b"x".to_vec())
    );
    assert!(!incoming.is_empty());
    assert_eq!(incoming.reply(&mut source).unwrap(), Reply::Int(2));
    assert!(incoming.is_empty());
}

#[test]
fn nonsense_is_an_error_not_an_allocation() {
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\n",
        "$99999999999999\r\n",
        "$-7\r\n",
        "*x\r\n",
        ":\r\n",
        "\r\n",
        "+no carriage return\n",
        "$3\r\nabcd\r\n",
        "%9223372036854775807\r\n",
    ] {
        let error = read(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
    }
    let endless = vec![b'+'; 3 * BUFFER];
    let error = read(&endless).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let nested = b"*1\r\n".repeat(100_000);
    let error = read(&nested).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, step in 1_usize..40) {
        let mut source = Dribble { bytes: &bytes, step };
        let mut incoming = Incoming::new();
        while incoming.reply(&mut source).is_ok() {}
    }

    #[test]
    fn bytes_like_replies_are_read_or_refused(text in "([-+:$*%>|=!,#_(][-0-9]{0,3}\r\n[a-z]{0,3}(\r\n)?){0,9}") {
        let _ = read(text.as_bytes());
    }

    #[test]
    fn strings_come_through(data: Vec<u8>, step in 1_usize..40) {
        let mut bytes = Vec::new();
        encode_arg(&mut bytes, &data);
        let mut source = Dribble { bytes: &bytes, step };
        proptest::prop_assert_eq!(Incoming::new().reply(&mut source).unwrap(), Reply::Data(data));
    }
}

#[test]
fn a_closed_connection_is_the_end_of_the_file() {
    for bytes in ["", "+O", "$5\r\nab", "*2\r\n:1\r\n", "*1000000000\r\n"] {
        let error = read(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
    }
}
