//! Locks of files, which say who opens a store and who uses it.
//!
//! They are POSIX locks of files: the kernel gives them back when a process ends in whatever way, and a
//! forked child has none of its parent's. Closing any descriptor of the file gives them back as well,
//! so a process opens each file once.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::clock;

/// Takes the lock without waiting; `false`: another process has one that excludes it.
pub(in crate::backend::lmdb) fn try_lock(
    file: &File,
    operation: FlockOperation,
) -> io::Result<bool> {
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
    reason = "waiting for the lock of a file has no deadline, and opening is rare"
)]
pub(in crate::backend::lmdb) fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
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
