//! Locks that processes take of one another, with a deadline.
//!
//! They are POSIX locks of files: the kernel gives them back when a process ends in whatever way, and a
//! forked child has none of its parent's. Closing any descriptor of the file gives them back as well,
//! so a process opens each file once.

use std::fs::File;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::clock;

/// Takes the lock without waiting; `false`: another process has one that excludes it.
pub(super) fn try_lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match fcntl_lock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes the exclusive lock within `patience`; `false`: another process kept it for so long.
#[expect(
    clippy::disallowed_methods,
    reason = "no lock of a file can be waited for for a time"
)]
pub(super) fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
    const SPINS: u32 = 20;
    let start = clock::exact();
    for attempt in 0u32.. {
        if try_lock(file, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(true);
        }
        if clock::exact().since(start) >= patience {
            break;
        }
        if attempt < SPINS {
            std::thread::yield_now();
        } else {
            let pause = 50 << (attempt - SPINS).min(4);
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
    Ok(false)
}

/// Gives the lock back.
pub(super) fn unlock(file: &File) {
    // It can only fail where there is no lock.
    let _ = fcntl_lock(file, FlockOperation::Unlock);
}

/// The turn to write, of one thread of one process at a time.
///
/// The lock of LMDB itself cannot be waited for with a deadline, and a process that is stopped
/// while it writes would block all others for ever.
pub(super) struct Writer {
    file: File,
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

impl Writer {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            is_taken: Mutex::new(false),
            given_back: Condvar::new(),
        }
    }

    /// The turn, within `patience`; `None`: another kept it for so long.
    pub(super) fn turn(&self, patience: Duration) -> io::Result<Option<Turn<'_>>> {
        let start = clock::exact();
        let taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, _) = self
            .given_back
            .wait_timeout_while(taken, patience, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return Ok(None);
        }
        *taken = true;
        drop(taken);
        let turn = Turn(self);
        let left = patience.saturating_sub(clock::exact().since(start));
        // Not given, it is not given back either: dropping gives back what it has.
        Ok(lock_within(&self.file, left)?.then_some(turn))
    }
}

/// Held while writing.
pub(super) struct Turn<'a>(&'a Writer);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        unlock(&self.0.file);
        let taken = self.0.is_taken.lock();
        *taken.unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}
