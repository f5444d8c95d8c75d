//! A file whose bytes processes share as memory.

#![expect(unsafe_code, reason = "memory that processes share")]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The bytes of a file, mapped.
pub(super) struct Mapping {
    memory: NonNull<u8>,
    length: usize,
}

// SAFETY: whoever reads or writes the memory says how several may.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `file`, which gets room for `length` bytes.
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
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

    /// Its first byte, at the beginning of a page.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.memory
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it any more.
        let _ = unsafe { munmap(self.memory.as_ptr().cast(), self.length) };
    }
}

fn write_zeros(mut file: &File, length: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file).map(drop)
}
