//! The lock that the processes of one directory take turns with.

use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::Duration;

use super::Directory;
use crate::{Error, ErrorKind, Result};

/// The name of the file that is locked.
pub(in crate::backend::file) const NAME: &str = "lock.__wz_cache";

const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// A turn. It ends when this is dropped, or when the process dies.
///
/// Every turn opens the file anew: so threads exclude each other like processes do, and a forked
/// child has no part in its parent's turns.
pub(in crate::backend::file) struct FileLock(File);

impl FileLock {
    /// Waits for a turn at `directory`, no longer than `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`], what the operating system says of the lock file, or that it is not this
    /// user's own.
    pub(in crate::backend::file) fn wait(
        operation: &'static str,
        directory: &Directory,
        timeout: Duration,
    ) -> Result<Self> {
        let path = directory.file(NAME);
        let failed = |error: io::Error| Error::io(operation, path.display().to_string(), error);
        let open = || {
            let opened = directory.open_bookkeeping(NAME, true)?;
            opened.ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        let (file, _) = directory.again(open).map_err(failed)?;
        let mut pause = SHORTEST_PAUSE;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if waited > timeout {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    operation,
                    path.display().to_string(),
                    format!("another process kept it locked for {timeout:?}"),
                ));
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "there is no other way to wait for a file lock with a deadline"
            )]
            thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing is not enough: a child forked meanwhile holds the same open file. An error here
        // leaves the file to be unlocked by being closed.
        let _ = self.0.unlock();
    }
}
