//! A file of the directory that was found to be this user's own, and when files were used.

use std::fs::{File, FileTimes, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::OFlags;

use crate::clock;

/// When a file was last written or used, in nanoseconds since 1970.
pub(in crate::backend::file) type Recency = u64;

/// Tells a file from one that replaced it: device, inode, and when it was written.
pub(in crate::backend::file) type Identity = (u64, u64, Recency);

/// A file of the directory that is open for reading and is this user's own.
pub(in crate::backend::file) struct OwnFile {
    pub(in crate::backend::file) file: File,
    /// In bytes. A file is complete before it gets its name, and is never written to again.
    pub(in crate::backend::file) length: u64,
    accessed: Recency,
    modified: Recency,
    pub(in crate::backend::file) identity: Identity,
}

impl OwnFile {
    /// `file`, of which `metadata` tells.
    pub(in crate::backend::file) fn new(file: File, metadata: &Metadata) -> Self {
        let modified = modified(metadata);
        Self {
            length: metadata.len(),
            accessed: accessed(metadata),
            modified,
            identity: (metadata.dev(), metadata.ino(), modified),
            file,
        }
    }

    /// When the file was last written or used.
    pub(in crate::backend::file) fn recency(&self) -> Recency {
        self.accessed.max(self.modified)
    }

    /// The first `length` bytes, or fewer where the file is shorter.
    pub(in crate::backend::file) fn read_head(&mut self, length: usize) -> io::Result<Vec<u8>> {
        // No further than the file's end, which would be asked for once more.
        let length = self.length.min(length as u64);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&mut self.file).take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Records that the file was used, where that is not recorded as of the last `resolution`.
    pub(in crate::backend::file) fn touch(&self, resolution: Duration) {
        let now = now();
        let used_since_written = self.accessed > self.modified;
        if used_since_written && now.saturating_sub(self.accessed) < nanos(resolution) {
            return;
        }
        let times = FileTimes::new().set_accessed(UNIX_EPOCH + Duration::from_nanos(now));
        // On a read-only file system the order of eviction is that of writing.
        if let Err(error) = self.file.set_times(times) {
            log::debug!("the use of a cache file is not recorded: {error}");
        }
    }
}

/// When the file of `metadata` was last written or used.
pub(in crate::backend::file) fn recency(metadata: &Metadata) -> Recency {
    modified(metadata).max(accessed(metadata))
}

/// Opened so, a file is not marked as used.
#[cfg(target_os = "linux")]
pub(in crate::backend::file) fn no_access_time() -> OFlags {
    OFlags::NOATIME
}

#[cfg(not(target_os = "linux"))]
pub(in crate::backend::file) fn no_access_time() -> OFlags {
    OFlags::empty()
}

pub(in crate::backend::file) fn now() -> Recency {
    nanos(clock::system())
}

pub(in crate::backend::file) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanoseconds(seconds: i64, nanos: i64) -> Recency {
    u64::try_from(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)).unwrap_or(0)
}

fn modified(metadata: &Metadata) -> Recency {
    nanoseconds(metadata.mtime(), metadata.mtime_nsec())
}

fn accessed(metadata: &Metadata) -> Recency {
    nanoseconds(metadata.atime(), metadata.atime_nsec())
}
