//! Where a server listens, as libmemcached's clients write it.

use std::fmt;
use std::path::PathBuf;

use crate::{Error, ErrorKind, Result};

/// The port of memcached where an address names none.
pub const DEFAULT_PORT: u16 = 11211;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host name or IP address (IPv6 without brackets) and a port.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// A server: where it listens and its share of the keys in weighted distributions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its weight, 1 or more; only `ketama_weighted` looks at it.
    pub weight: u32,
}

/// The error of a text that is no address, and shows nothing of it.
fn invalid(why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        "reading a memcached server address",
        "CACHE_MEMCACHED_SERVERS",
        format!(
            "{why}; an address is host, host:port, host:port:weight, [ipv6]:port or /path/of/socket"
        ),
    )
}

impl Address {
    /// Reads `host`, `host:port`, `host:port:weight`, `[ipv6]:port`, `ipv6` or `/path/of/socket`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where `text` is none of these. The message shows nothing of it: a
    /// password may have been put there by mistake.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with('/') {
            return Ok(Self {
                endpoint: Endpoint::Unix(PathBuf::from(text)),
                weight: 1,
            });
        }
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed
                    .split_once(']')
                    .ok_or_else(|| invalid("the bracket is not closed"))?;
                match rest.strip_prefix(':') {
                    Some(rest) => (host, Some(rest)),
                    None if rest.is_empty() => (host, None),
                    None => return Err(invalid("only a port may follow the bracket")),
                }
            }
            None if text.parse::<std::net::Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, rest)) => (host, Some(rest)),
                None => (text, None),
            },
        };
        let no_name = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
        if host.is_empty() || host.contains(no_name) {
            return Err(invalid("it names no host"));
        }
        let is_bracketed = text.starts_with('[');
        let address = host
            .split_once('%')
            .map_or(host, |(address, _zone)| address);
        if host.contains(['@', '/', '?', '#'])
            || (is_bracketed && address.parse::<std::net::Ipv6Addr>().is_err())
        {
            return Err(invalid(
                "it names no host; a user name and a password have settings of their own",
            ));
        }
        if host == "udp" {
            return Err(invalid("UDP is not supported"));
        }
        let (port, weight) = match rest.map(|rest| rest.split_once(':').unwrap_or((rest, "1"))) {
            None => (DEFAULT_PORT, 1),
            Some((port, weight)) => (
                port.parse()
                    .map_err(|_| invalid("the port is not a number from 0 to 65535"))?,
                weight
                    .parse()
                    .ok()
                    .filter(|weight| *weight > 0)
                    .ok_or_else(|| invalid("the weight is not a number of 1 or more"))?,
            ),
        };
        Ok(Self {
            endpoint: Endpoint::Tcp(host.to_owned(), port),
            weight,
        })
    }

    /// How libmemcached spells the server where it places it on a continuum.
    pub(super) fn continuum_name(&self) -> String {
        match &self.endpoint {
            Endpoint::Tcp(host, DEFAULT_PORT) => host.clone(),
            Endpoint::Tcp(host, port) => format!("{host}:{port}"),
            Endpoint::Unix(path) => format!("{}:0", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, weight: u32) -> Address {
        Address {
            endpoint: Endpoint::Tcp(host.to_owned(), port),
            weight,
        }
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("localhost", tcp("localhost", 11211, 1)),
            ("10.0.0.1:22122", tcp("10.0.0.1", 22122, 1)),
            ("a:1:3", tcp("a", 1, 3)),
            ("[::1]:5", tcp("::1", 5, 1)),
            ("[::1]", tcp("::1", 11211, 1)),
            ("[::1]:5:2", tcp("::1", 5, 2)),
            ("::1", tcp("::1", 11211, 1)),
        ] {
            assert_eq!(Address::parse(text).unwrap(), expected, "{text}");
        }
        assert_eq!(
            Address::parse("/run/m.sock").unwrap().endpoint,
            Endpoint::Unix("/run/m.sock".into())
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in [
            "", ":1", "a:", "[[a]", "a]", "[/a]", "a:x", "a:70000", "[::1", "[::1]x", "a b",
            "a:1:0", "udp:a:1",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains("host:port"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for text in ["a:1", "[::1]:5", "/run/m.sock"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }
}
