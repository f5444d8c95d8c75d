//! Sockets, plain or with TLS, whose every step ends by one deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvFlags, Shutdown, shutdown, sockopt};
use rustls::{ClientConnection, StreamOwned};

use super::inherited::{self, NotInherited};
use crate::backend::net;
use crate::backend::redis::config::{ConnectionConfig, Endpoint, Keepalive};
use crate::resilience::Deadline;

/// Timer ticks round up, so a timeout this much too long is not worth a system call.
const SLACK: Duration = Duration::from_millis(2);

/// A connected socket.
pub(in crate::backend::redis) enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    /// Connects to `endpoint`, before `deadline`.
    pub(in crate::backend::redis) fn connect(
        endpoint: &Endpoint,
        config: &ConnectionConfig,
        deadline: Deadline,
    ) -> io::Result<Self> {
        let host = match endpoint {
            Endpoint::Tcp(host, _) => host.as_str(),
            Endpoint::Unix(_) => "localhost",
        };
        let (socket, not_inherited) = if config.is_inherited {
            (Socket::connect(endpoint, config, deadline)?, None)
        } else {
            Socket::alone(|| Socket::connect(endpoint, config, deadline))?
        };
        let timed = Timed {
            not_inherited,
            socket,
            deadline,
            read_timeout: None,
            write_timeout: None,
        };
        let Some(tls) = &config.tls else {
            return Ok(Self::Plain(timed));
        };
        let mut stream = StreamOwned::new(tls.session(host)?, timed);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Everything from now on ends by `deadline`.
    pub(in crate::backend::redis) fn set_deadline(&mut self, deadline: Deadline) {
        match self {
            Self::Plain(timed) => timed.deadline = deadline,
            Self::Tls(stream) => stream.sock.deadline = deadline,
        }
    }

    /// Whether the connection can still be used: between two operations nothing may have arrived,
    /// the end of the stream least of all.
    pub(in crate::backend::redis) fn is_usable(&self) -> bool {
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
pub(in crate::backend::redis) struct Timed {
    /// The first of the fields: it ends before the socket is closed.
    #[expect(dead_code, reason = "it stands while the socket is open")]
    not_inherited: Option<NotInherited>,
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
    fn connect(
        endpoint: &Endpoint,
        config: &ConnectionConfig,
        deadline: Deadline,
    ) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(host, port) => {
                let socket = net::connect_tcp(host, *port, deadline)?;
                socket.set_nodelay(true)?;
                if let Some(keepalive) = config.keepalive {
                    set_keepalive(&socket, keepalive)?;
                }
                Ok(Self::Tcp(socket))
            }
            Endpoint::Unix(path) => Ok(Self::Unix(net::connect_unix(path, deadline)?)),
        }
    }

    /// A socket that no child has: neither one that was forked while it was made, nor a later one.
    fn alone(
        mut make: impl FnMut() -> io::Result<Self>,
    ) -> io::Result<(Self, Option<NotInherited>)> {
        loop {
            let before = inherited::forks();
            let socket = make()?;
            let not_inherited = NotInherited::new(socket.fd());
            if before.is_some() && inherited::forks() == before {
                return Ok((socket, not_inherited));
            }
            // The child keeps it: for the server it is over all the same.
            shutdown(socket.fd(), Shutdown::Both)?;
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "it forks")]
    fn a_child_that_is_forked_meanwhile_has_no_connection() {
        let (mut other_end_of_child, other_end) = UnixStream::pair().unwrap();
        let mut children = Vec::new();
        let mut servers = Vec::new();
        let alone = Socket::alone(|| {
            let (client, server) = UnixStream::pair()?;
            servers.push(server);
            if children.is_empty() {
                // SAFETY: the child makes system calls only.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    let _ = other_end_of_child.read(&mut [0]);
                    // SAFETY: it ends this process.
                    unsafe { libc::_exit(0) };
                }
                children.push(child);
            }
            Ok(Socket::Unix(client))
        });
        // The child has the other end, and lives.
        assert_eq!(servers[0].read(&mut [0]).unwrap(), 0);
        assert!(servers.len() > 1);
        drop(alone.unwrap());
        assert_eq!(servers.last_mut().unwrap().read(&mut [0]).unwrap(), 0);
        // SAFETY: it is a child of this process.
        unsafe { libc::kill(children[0], libc::SIGKILL) };
        // SAFETY: likewise.
        unsafe { libc::waitpid(children[0], std::ptr::null_mut(), 0) };
        drop(other_end);
    }
}
