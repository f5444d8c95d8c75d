//! One connection to one server: TCP or a unix socket, every step of an operation against one
//! deadline.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_keepalive, set_socket_timeout, set_tcp_nodelay};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::address::{Address, Endpoint};
use super::failure::{Failure, Outcome};
use super::protocol::wire::{Buffer, Wire};
use crate::backend::net;
use crate::resilience::Deadline;

/// The most that one system call is asked for.
const LARGEST_READ: usize = 256 * 1024;

/// How sockets are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Send small requests at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Let the kernel notice a peer that is gone (`SO_KEEPALIVE`).
    pub keepalive: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: true,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    buffer: Buffer,
    deadline: Deadline,
    /// The socket's own timeout for sends and receives.
    armed: Duration,
}

impl Connection {
    /// Connects to `address` by `deadline`.
    pub(super) fn open(
        address: &Address,
        options: SocketOptions,
        deadline: Deadline,
    ) -> io::Result<Self> {
        let socket = match &address.endpoint {
            Endpoint::Tcp(host, port) => open_tcp(host, *port, options, deadline)?,
            Endpoint::Unix(path) => OwnedFd::from(net::connect_unix(path, deadline)?),
        };
        let mut connection = Self {
            socket,
            buffer: Buffer::default(),
            deadline,
            armed: Duration::ZERO,
        };
        connection.arm(deadline.remaining()?)?;
        Ok(connection)
    }

    /// Begins an operation that ends by `deadline`, which lies `total` ahead or less.
    pub(super) fn begin(&mut self, deadline: Deadline, total: Duration) -> io::Result<()> {
        self.deadline = deadline;
        // The common case costs no system call: the socket's timeout is already right.
        if self.armed == total {
            Ok(())
        } else {
            self.arm(total)
        }
    }

    /// Whether nothing has happened on the connection since it was put to rest: the server has not
    /// closed it, and has not sent what nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [0_u8; 1];
        self.buffer.unread().is_empty()
            && matches!(
                recv(
                    &self.socket,
                    &mut byte,
                    RecvFlags::PEEK | RecvFlags::DONTWAIT
                ),
                Err(Errno::AGAIN)
            )
    }

    fn arm(&mut self, timeout: Duration) -> io::Result<()> {
        // The kernel takes zero for no timeout at all.
        let timeout = timeout.max(Duration::from_millis(1));
        set_socket_timeout(&self.socket, Timeout::Recv, Some(timeout))?;
        set_socket_timeout(&self.socket, Timeout::Send, Some(timeout))?;
        self.armed = timeout;
        Ok(())
    }

    /// Sees to it that the next system call does not wait past the deadline.
    fn before_wait(&mut self) -> io::Result<()> {
        let left = self.deadline.remaining()?;
        if left + Duration::from_millis(20) < self.armed {
            self.arm(left)?;
        }
        Ok(())
    }

    fn receive_into(&mut self, into: &mut [u8]) -> Outcome<usize> {
        loop {
            self.before_wait()?;
            match recv(&self.socket, &mut *into, RecvFlags::empty()) {
                Ok((0, _)) => {
                    return Err(Failure::Io(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed the connection",
                    )));
                }
                Ok((count, _)) => return Ok(count),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.os_error(errno)),
            }
        }
    }

    fn os_error(&self, errno: Errno) -> Failure {
        Failure::Io(match errno {
            Errno::AGAIN => self.deadline.timed_out(),
            errno => errno.into(),
        })
    }
}

impl Wire for Connection {
    fn send(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        while !bytes.is_empty() {
            self.before_wait()?;
            // NOSIGNAL: a peer that is gone is an error, not the end of the process.
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.os_error(errno)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, into: &mut Vec<u8>, wanted: usize) -> Outcome<()> {
        let start = into.len();
        into.resize(start + wanted.min(LARGEST_READ), 0);
        let received = self.receive_into(&mut into[start..]);
        into.truncate(start + received.as_ref().map_or(0, |count| *count));
        received.map(drop)
    }

    fn buffer(&mut self) -> &mut Buffer {
        &mut self.buffer
    }
}

fn open_tcp(
    host: &str,
    port: u16,
    options: SocketOptions,
    deadline: Deadline,
) -> io::Result<OwnedFd> {
    let socket = OwnedFd::from(net::connect_tcp(host, port, deadline)?);
    set_tcp_nodelay(&socket, options.nodelay)?;
    set_socket_keepalive(&socket, options.keepalive)?;
    Ok(socket)
}
