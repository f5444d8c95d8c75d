//! The one error type of the engine: what failed, where, and whether trying again can help.

use std::borrow::Cow;
use std::fmt;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting cannot be used as it is. Trying again does not help.
    Config,
    /// The key cannot be used. Trying again does not help.
    Key,
    /// The value cannot be stored, or what was stored cannot be this value (an `incr` of a string).
    Value,
    /// The operating system refused (permission, full disk, missing directory).
    Io,
    /// The server could not be reached, or the connection was lost. Trying again can help.
    Unavailable,
    /// No answer within the deadline. Trying again can help.
    Timeout,
    /// The server answered that it will not (out of memory, read-only, wrong password).
    Refused,
    /// The server answered something the protocol does not allow.
    Protocol,
}

impl ErrorKind {
    /// Whether the same operation may succeed when tried again later, unchanged.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }
}

/// A failure of the engine. A miss is never an error: it is `Ok(None)`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    /// The operation that failed, for example `get` or `connect`.
    operation: Cow<'static, str>,
    /// Where: a host and port, a path, a configuration key. Never a password.
    target: String,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` in `operation` on `target` (host, path or configuration key; the caller
    /// guarantees that it holds no password), described by `message`.
    pub fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        target: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            operation: operation.into(),
            target: target.into(),
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause attached.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error once more, for another caller; without its cause, which only one can have.
    #[must_use]
    pub fn again(&self) -> Self {
        let operation = self.operation.clone();
        Self::new(
            self.kind,
            operation,
            self.target.clone(),
            self.message.clone(),
        )
    }

    /// The same error, whose message goes on with `words`.
    #[must_use]
    pub fn saying(mut self, words: &str) -> Self {
        self.message.push_str(words);
        self
    }

    /// An error of the operating system in `operation` on `target`.
    pub fn io(
        operation: impl Into<Cow<'static, str>>,
        target: impl Into<String>,
        source: std::io::Error,
    ) -> Self {
        Self::new(ErrorKind::Io, operation, target, source.to_string()).with_source(source)
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What went wrong, without operation and target.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it failed: a host and port, a path or a configuration key.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the same operation may succeed when tried again later, unchanged.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {} failed: {}",
            self.operation, self.target, self.message
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
