//! The memcached backend keeps the contract, on two real servers.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flask_caching_engine::backend::memcached::{Address, Config, Memcached};

use crate::free_port;
use crate::suite::Subject;

/// A server of the test's own, ended with it.
struct Server {
    process: Child,
    address: Address,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        let mut process = Command::new("memcached")
            .args([
                "-l",
                "127.0.0.1",
                "-U",
                "0",
                "-u",
                "root",
                "-m",
                "16",
                "-t",
                "2",
            ])
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("the tests need memcached");
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "memcached ended");
            std::thread::yield_now();
        }
        let address = Address::parse(&format!("127.0.0.1:{port}")).unwrap();
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn open() -> Subject {
    let servers = [Server::start(), Server::start()];
    let addresses = servers
        .iter()
        .map(|server| server.address.clone())
        .collect();
    let mut config = Config::new(addresses);
    config.pool.size = 4;
    Subject::new(Memcached::new(config).unwrap())
        .with_time(wait, Duration::from_millis(200))
        .keeping(servers)
}

#[allow(clippy::disallowed_methods, reason = "the time is the server's")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

contract_tests!(open);

#[test]
fn a_value_that_is_too_large_is_refused_and_leaves_no_old_value() {
    let subject = open();
    let forever = flask_caching_engine::Lifetime::Forever;
    let large = vec![0; 2 * 1024 * 1024].into();
    let small = b"small".to_vec().into();
    assert!(subject.backend.set(b"key", &small, forever).unwrap());
    let stored = subject
        .backend
        .set_many(&[(b"key", &large), (b"other", &small)], forever);
    assert_eq!(stored.unwrap(), [false, true]);
    assert!(!subject.backend.has(b"key").unwrap());
}
