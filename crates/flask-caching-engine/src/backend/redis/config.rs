//! How to reach and use Redis servers.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::connection::tls::Tls;
use super::fault::LoginRefused;
use crate::{Error, ErrorKind, resilience};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Endpoint {
    /// What errors call the server there.
    pub(super) fn server(&self) -> String {
        format!("Redis at {self}")
    }
}

/// Who this client is to a server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The ACL user; the default user where there is none.
    pub username: Option<String>,
    /// The password; no login where there is none.
    pub password: Option<String>,
}

impl Login {
    /// Whether `text` holds the user's name or the password.
    pub(super) fn is_told_by(&self, text: &str) -> bool {
        let secrets = [self.username.as_deref(), self.password.as_deref()];
        let mut secrets = secrets.into_iter().flatten();
        secrets.any(|secret| !secret.is_empty() && text.contains(secret))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Says who this client is to a server, anew for each connection: for credentials that expire.
///
/// It is asked while nothing is locked that other operations need, and within the deadline of the
/// operation that connects, which it cannot be interrupted for.
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// The login of the connection that is being made.
    ///
    /// # Errors
    /// Why there is none; the message must hold no secret.
    fn login(&self) -> Result<Login, String>;
}

/// TCP keepalive; `None`: the system's own value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// How long a connection is idle before it is probed.
    pub idle: Option<Duration>,
    /// The time between two probes.
    pub interval: Option<Duration>,
    /// How many probes may go unanswered.
    pub count: Option<u32>,
}

/// How to connect to each of the servers.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Who we are.
    pub login: Login,
    /// Who says who we are, in place of `login`.
    pub credentials: Option<Arc<dyn CredentialProvider>>,
    /// The number of the database.
    pub database: u32,
    /// TLS; plain text where there is none.
    pub tls: Option<Arc<Tls>>,
    /// TCP keepalive; off where there is none.
    pub keepalive: Option<Keepalive>,
    /// Whether to speak version 3 of the protocol; version 2 says the same here.
    pub resp3: bool,
    /// Whether children of `fork()` keep it open, which is no matter where they are not sent to.
    pub is_inherited: bool,
    /// The name of the connection, for `CLIENT LIST`.
    pub client_name: Option<String>,
    /// A connection idle for longer than this is asked whether it lives before it is used.
    pub health_check_interval: Option<Duration>,
    /// How many connections one process has to one server at most.
    pub max_connections: Option<usize>,
    /// Whether an operation that timed out is tried once more.
    pub retry_on_timeout: bool,
    /// Deadlines and breaker.
    pub settings: resilience::Settings,
}

impl ConnectionConfig {
    /// Who we are to the server at `endpoint`, which is being connected to for `operation`.
    pub(super) fn login(
        &self,
        operation: &'static str,
        endpoint: &Endpoint,
    ) -> crate::Result<Cow<'_, Login>> {
        match &self.credentials {
            None => Ok(Cow::Borrowed(&self.login)),
            Some(provider) => provider.login().map(Cow::Owned).map_err(|reason| {
                Error::new(ErrorKind::Refused, operation, endpoint.server(), reason)
                    .with_source(LoginRefused)
            }),
        }
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            login: Login::default(),
            credentials: None,
            database: 0,
            tls: None,
            keepalive: Some(Keepalive::default()),
            resp3: false,
            is_inherited: true,
            client_name: None,
            health_check_interval: None,
            max_connections: None,
            retry_on_timeout: false,
            settings: resilience::Settings::default(),
        }
    }
}
