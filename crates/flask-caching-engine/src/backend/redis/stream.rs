//! Sockets, plain or with TLS, whose every step ends by one deadline.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{RecvFlags, sockopt};
use rustls::{ClientConnection, StreamOwned};

use super::config::{Endpoint, Keepalive};
use super::tls::Tls;
use crate::resilience::Deadline;

/// Timer ticks round up, so a timeout this much too long is not worth a system call.
const SLACK: Duration = Duration::from_millis(2);

/// A connected socket.
pub(super) enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    /// Connects to `endpoint`, before `deadline`.
    pub(super) fn connect(
        endpoint: &Endpoint,
        keepalive: Option<Keepalive>,
        tls: Option<&Tls>,
        deadline: Deadline,
    ) -> io::Result<Self> {
        let (socket, host) = match endpoint {
            Endpoint::Tcp(host, port) => {
                let socket = connect_tcp(host, *port, deadline)?;
                socket.set_nodelay(true)?;
                if let Some(keepalive) = keepalive {
                    set_keepalive(&socket, keepalive)?;
                }
                (Socket::Tcp(socket), host.as_str())
            }
            Endpoint::Unix(path) => (Socket::Unix(connect_unix(path)?), "localhost"),
        };
        let timed = Timed {
            socket,
            deadline,
            read_timeout: None,
            write_timeout: None,
        };
        let Some(tls) = tls else {
            return Ok(Self::Plain(timed));
        };
        let mut stream = StreamOwned::new(tls.session(host)?, timed);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Everything from now on ends by `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        match self {
            Self::Plain(timed) => timed.deadline = deadline,
            Self::Tls(stream) => stream.sock.deadline = deadline,
        }
    }

    /// Whether the connection can still be used: between two operations nothing may have arrived,
    /// the end of the stream least of all.
    pub(super) fn is_usable(&self) -> bool {
        let (timed, tls) = match self {
            Self::Plain(timed) => (timed, false),
            Self::Tls(stream) => (&stream.sock, true),
        };
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(timed.socket.fd(), &mut [0_u8; 1], flags) {
            Err(error) => error == rustix::io::Errno::WOULDBLOCK,
            // A TLS server may have sent session tickets.
            Ok((count, _)) => tls && count > 0,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A socket whose reads and writes end by a deadline, however many there are.
pub(super) struct Timed {
    socket: Socket,
    deadline: Deadline,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }

    fn set_timeout(&self, direction: sockopt::Timeout, timeout: Duration) -> io::Result<()> {
        Ok(sockopt::set_socket_timeout(
            self.fd(),
            direction,
            Some(timeout),
        )?)
    }
}

impl Timed {
    /// Does `step` until it is done or the deadline is over.
    fn until_deadline<T>(
        &mut self,
        direction: sockopt::Timeout,
        mut step: impl FnMut(&mut Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let left = self.deadline.remaining()?;
            let applied = match direction {
                sockopt::Timeout::Recv => &mut self.read_timeout,
                sockopt::Timeout::Send => &mut self.write_timeout,
            };
            // A shorter timeout than what is left only means to come round once more.
            if applied.is_none_or(|applied| applied > left + SLACK) {
                self.socket.set_timeout(direction, left)?;
                *applied = Some(left);
            }
            match step(&mut self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *applied = None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_deadline(sockopt::Timeout::Recv, |socket| match socket {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
        })
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.until_deadline(sockopt::Timeout::Send, |socket| match socket {
            Socket::Tcp(socket) => socket.write(buffer),
            Socket::Unix(socket) => socket.write(buffer),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect_tcp(host: &str, port: u16, deadline: Deadline) -> io::Result<TcpStream> {
    let addresses = resolve(host, port, deadline)?;
    let mut failure = io::Error::new(
        io::ErrorKind::NotFound,
        format!("the name {host} has no address"),
    );
    for (tried, address) in addresses.iter().enumerate() {
        // One address that swallows packets does not cost the others their chance.
        let left = deadline.remaining()?;
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match TcpStream::connect_timeout(address, share.max(SLACK)) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = deadline.timed_out();
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The addresses of `host`. The system's resolver knows no deadline, so it is waited for in a
/// thread that is left behind where it takes too long.
fn resolve(host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("cache-resolve".into())
        .spawn(move || {
            let addresses = (name.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>);
            // Nobody waits any more where the deadline was over.
            let _ = sender.send(addresses);
        })?;
    receiver
        .recv_timeout(deadline.remaining()?)
        .map_err(|_| deadline.timed_out())?
}

/// A blocking connect waits without end for a server whose backlog is full; this one does not.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let socket = UnixStream::from(socket);
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn set_keepalive(socket: &TcpStream, keepalive: Keepalive) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    if let Some(idle) = keepalive.idle {
        sockopt::set_tcp_keepidle(socket, idle)?;
    }
    if let Some(interval) = keepalive.interval {
        sockopt::set_tcp_keepintvl(socket, interval)?;
    }
    if let Some(count) = keepalive.count {
        sockopt::set_tcp_keepcnt(socket, count)?;
    }
    Ok(())
}
