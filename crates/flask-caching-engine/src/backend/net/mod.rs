//! Sockets to servers: connected to by a deadline, the look-up of their names included; and several
//! servers asked at once.

mod fan_out;
mod names;

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

pub(super) use fan_out::fan_out;

use crate::resilience::Deadline;

/// The kernel takes a timeout of zero for none at all.
const SHORTEST: Duration = Duration::from_millis(1);

/// Connects to `host`, a name or an address, by `deadline`.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] where the deadline is over; what the last address failed with.
pub(super) fn connect_tcp(host: &str, port: u16, deadline: Deadline) -> io::Result<TcpStream> {
    let addresses = names::resolve(host, port, deadline)?;
    let mut failure = io::Error::new(
        io::ErrorKind::NotFound,
        format!("the name {host} has no address"),
    );
    for (tried, address) in addresses.iter().enumerate() {
        // One address that swallows packets does not cost the others their chance.
        let left = deadline.remaining()?;
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match TcpStream::connect_timeout(address, share.max(SHORTEST)) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = deadline.timed_out();
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects to the unix socket at `path` by `deadline`. The socket keeps a timeout of its own for
/// sending; the caller sets another one.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] where the server does not accept until then.
pub(super) fn connect_unix(path: &Path, deadline: Deadline) -> io::Result<UnixStream> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Where the server's backlog is full, connecting waits as long as sending may.
    let left = deadline.remaining()?.max(SHORTEST);
    set_socket_timeout(&socket, Timeout::Send, Some(left))?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(Errno::AGAIN) => Err(deadline.timed_out()),
        Err(errno) => Err(errno.into()),
    }
}
