//! Room on the disk for what is written.
//!
//! Writing into mapped memory costs half of what the system's calls to write cost; but a page that a full
//! disk has no room for ends the process. So before anything is written, room is made for the most that
//! it can take, or it is refused. Where a file system does not keep what it was asked for, LMDB writes
//! by calls.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::{Resource, getrlimit};

use crate::backend::lmdb::files::host;

/// What is asked for at a time, and what is left for deletions where something is stored, in bytes.
const STEP: u64 = 1 << 20;

/// What a transaction may write: a page of a table is written anew once, so that there is a bound.
#[derive(Clone, Copy)]
pub(in crate::backend::lmdb) struct Claim {
    /// The bytes in use when it began.
    used: u64,
    anew: u64,
    added: u64,
    left: u64,
}

impl Claim {
    /// That of a transaction in a store of which `used` bytes are in use. Its list of free pages may be
    /// written anew as well.
    pub(in crate::backend::lmdb) fn new(used: u64) -> Self {
        Self {
            used,
            anew: 0,
            added: (128 << 10) + used / 256,
            left: 0,
        }
    }

    /// An entry is deleted: pages of three tables change.
    pub(in crate::backend::lmdb) fn delete(&mut self) {
        self.anew += 48 << 10;
    }

    /// An entry is stored, its key and value of `length` bytes. It is to be possible to delete it.
    pub(in crate::backend::lmdb) fn store(&mut self, length: usize) {
        self.delete();
        self.added += 2 * length as u64 + (16 << 10);
        self.left = STEP;
    }

    /// Many entries leave.
    pub(in crate::backend::lmdb) fn evict(&mut self) {
        self.anew += 16 << 20;
    }

    /// How large the file may get.
    fn bytes(&self) -> u64 {
        self.used + self.anew.min(self.used) + self.added + self.left
    }
}

/// The room that the file of a store has.
pub(in crate::backend::lmdb) struct Room {
    file: File,
    /// The size of the mapping.
    most: u64,
}

impl Room {
    /// That of `file`, which gets as large as `most`; `None` where there can be no room ahead.
    pub(in crate::backend::lmdb) fn of(file: File, most: u64) -> Option<Self> {
        let limit = getrlimit(Resource::Fsize).current;
        if !host::keeps_room(&file) || limit.is_some_and(|limit| limit < most) {
            return None;
        }
        let room = Self { file, most };
        room.take(0, 2 * STEP).ok().map(|_| room)
    }

    /// Makes sure of what is claimed. `taken`: the bytes that there is room for; the caller has the turn to
    /// write.
    ///
    /// # Errors
    /// There is no room.
    pub(in crate::backend::lmdb) fn ensure(
        &self,
        claim: &Claim,
        taken: &AtomicU64,
    ) -> io::Result<()> {
        let before = taken.load(Ordering::Relaxed);
        let claimed = claim.bytes();
        if claimed.min(self.most) <= before {
            return Ok(());
        }
        taken.store(self.take(before, claimed)?, Ordering::Relaxed);
        Ok(())
    }

    /// Takes room for `claimed` bytes, where there is some for `before`; how much there is then.
    fn take(&self, before: u64, claimed: u64) -> io::Result<u64> {
        let until = claimed.next_multiple_of(STEP).min(self.most);
        let length = until.saturating_sub(before);
        loop {
            match fallocate(self.file.as_fd(), FallocateFlags::KEEP_SIZE, before, length) {
                Ok(()) => return Ok(until.max(before)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
