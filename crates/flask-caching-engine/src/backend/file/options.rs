//! How a file store is set up.

use std::path::PathBuf;
use std::time::Duration;

use super::HashMethod;

/// How long a write waits for its turn. A turn takes microseconds, or a scan of the directory: to
/// wait this long, another process must have been stopped while it had its turn.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the values of a [`super::FileStore`] are to those who read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Pickles: they carry a checksum that readers of pickles pass over.
    Pickle,
    /// JSON.
    Json,
    /// Bytes of which nothing is known.
    Opaque,
}

/// How a [`super::FileStore`] is set up.
#[derive(Debug)]
pub struct FileOptions {
    /// The directory; it is made where it is missing.
    pub directory: PathBuf,
    /// The most entries that are kept; 0: no limit.
    pub threshold: u64,
    /// The most bytes that the files of entries take together; 0: no limit.
    pub max_bytes: u64,
    /// Permission bits of the files.
    pub mode: u32,
    /// The hash that names files.
    pub hash_method: HashMethod,
    /// What the values are.
    pub contents: Contents,
    /// How long a write waits for other writers of the directory before it fails.
    pub lock_timeout: Duration,
}

impl FileOptions {
    /// The options of `directory` with Flask-Caching's defaults: 500 entries, mode 0600, SHA-256.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            threshold: 500,
            max_bytes: 0,
            mode: 0o600,
            hash_method: HashMethod::Sha256,
            contents: Contents::Pickle,
            lock_timeout: LOCK_TIMEOUT,
        }
    }
}
