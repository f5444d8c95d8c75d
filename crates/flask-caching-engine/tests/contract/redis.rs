//! The Redis backend keeps the contract, on a real server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use flask_caching_engine::Lifetime::Forever;
use flask_caching_engine::backend::redis::{ConnectionConfig, Endpoint, Servers};
use flask_caching_engine::{Backend, ErrorKind, Value};

use crate::free_port;
use crate::suite::{Clock, Subject};

/// A server of the test's own, ended with it.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        let mut process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the tests need redis-server");
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "redis-server ended");
            std::thread::yield_now();
        }
        Self { process, port }
    }

    fn servers(&self) -> Servers {
        let endpoint = Endpoint::Tcp("127.0.0.1".into(), self.port);
        Servers::single(endpoint, ConnectionConfig::default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server whose entries [`pass`] ages: that of the test that holds the clock.
static PORT: AtomicU16 = AtomicU16::new(0);

/// Lets time pass for the entries of the server, by taking it off their lifetimes.
fn pass(time: Duration) {
    let script = "for _, key in ipairs(redis.call('KEYS', '*')) do \
        local left = redis.call('PTTL', key) \
        if left > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, left - ARGV[1]) \
        elseif left >= 0 then redis.call('DEL', key) end end return 'done'";
    let milliseconds = time.as_millis().to_string();
    let mut command = b"*4\r\n".to_vec();
    for word in ["EVAL", script, "0", &milliseconds] {
        command.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    let port = PORT.load(Ordering::Relaxed);
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.write_all(&command).unwrap();
    let mut answer = [0; 10];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"$4\r\ndone\r\n");
}

fn open_with(prefix: &str) -> Subject {
    let server = Server::start();
    PORT.store(server.port, Ordering::Relaxed);
    Subject::new(server.servers().cache(prefix))
        .with_time(pass, Duration::from_millis(20))
        .keeping(server)
}

fn open() -> Subject {
    open_with("")
}

contract_tests!(open);

#[test]
fn clearing_a_prefix_leaves_what_does_not_start_with_it() {
    let _clock = Clock::hold();
    let subject = open_with("sh*p");
    let value = Value::from(b"value".to_vec());
    let keys: Vec<String> = (0..3000).map(|n| format!("sh*p{n}")).collect();
    let mut entries: Vec<(&[u8], &Value)> = keys.iter().map(|k| (k.as_bytes(), &value)).collect();
    entries.push((b"shop", &value));
    let stored = subject.backend.set_many(&entries, Forever).unwrap();
    assert!(stored.into_iter().all(|stored| stored));
    assert!(subject.backend.clear().unwrap());
    assert!(subject.backend.has(b"shop").unwrap());
    assert!(!subject.backend.has(b"sh*p0").unwrap());
    assert!(!subject.backend.has(b"sh*p2999").unwrap());
}

#[test]
fn a_server_that_is_gone_is_unavailable() {
    let _clock = Clock::hold();
    let server = Server::start();
    let cache = server.servers().cache("");
    let value = Value::from(b"value".to_vec());
    assert!(cache.set(b"key", &value, Forever).unwrap());
    drop(server);
    let error = cache.get(b"key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot connect"), "{error}");
}
