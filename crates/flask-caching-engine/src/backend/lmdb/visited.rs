//! Which entries were read since the hand of eviction passed them: a file that processes map.
//!
//! A byte for each of many entries, so that a read writes nothing to the store. It is a hint: entries
//! that share a byte are kept a little longer, and a torn write does no harm.

#![expect(unsafe_code, reason = "memory that processes share")]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::entry::Place;

/// The mapped bytes; before them is the place of the hand.
pub(super) struct Visited {
    memory: NonNull<u8>,
    length: usize,
}

/// A page of its own for the hand, which changes with each eviction.
const HEAD: usize = 4096;

// SAFETY: all access is atomic.
unsafe impl Send for Visited {}
// SAFETY: as above.
unsafe impl Sync for Visited {}

impl Visited {
    /// How many bytes the file of a store of `max_bytes` has.
    pub(super) fn length(max_bytes: u64) -> u64 {
        (max_bytes / 256)
            .next_power_of_two()
            .clamp(1 << 13, 1 << 26)
            + HEAD as u64
    }

    /// Maps `file`, which gets room for `length` bytes, as [`length`](Self::length) says.
    pub(super) fn map(file: &File, length: u64) -> io::Result<Self> {
        // Really: touching a page that a full disk has no room for would end the process.
        if let Err(error) = fallocate(file, FallocateFlags::empty(), 0, length) {
            // Some file systems cannot. There every page is written once.
            if error != rustix::io::Errno::OPNOTSUPP {
                return Err(error.into());
            }
            if file.metadata()?.len() < length {
                write_zeros(file, length)?;
            }
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let memory = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { memory, length })
    }

    /// Notes that the entry at `place` was read.
    #[inline]
    pub(super) fn mark(&self, place: &Place) {
        let byte = self.byte(place);
        // What is read often is not written often: its cache line stays with all processors.
        if byte.load(Ordering::Relaxed) == 0 {
            byte.store(1, Ordering::Relaxed);
        }
    }

    /// Whether it was read since this was last asked.
    pub(super) fn take(&self, place: &Place) -> bool {
        let byte = self.byte(place);
        let was = byte.load(Ordering::Relaxed) != 0;
        if was {
            byte.store(0, Ordering::Relaxed);
        }
        was
    }

    /// Where the hand stands in the order of eviction.
    pub(super) fn hand(&self) -> &AtomicU64 {
        // SAFETY: the first eight bytes of the mapping, aligned to a page.
        unsafe { AtomicU64::from_ptr(self.memory.as_ptr().cast()) }
    }

    fn byte(&self, place: &Place) -> &AtomicU8 {
        let low = u64::from_le_bytes([
            place[8], place[9], place[10], place[11], place[12], place[13], place[14], place[15],
        ]);
        #[expect(clippy::cast_possible_truncation, reason = "only low bits are taken")]
        let at = HEAD + (low as usize & (self.length - HEAD - 1));
        // SAFETY: the length without the head is a power of two, so `at` is inside the mapping.
        unsafe { AtomicU8::from_ptr(self.memory.as_ptr().add(at)) }
    }
}

impl Drop for Visited {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it any more.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), self.length) };
    }
}

fn write_zeros(mut file: &File, length: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file).map(drop)
}
