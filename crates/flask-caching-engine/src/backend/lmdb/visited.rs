//! Which entries were read since the hand of eviction passed them: a file that processes map.
//!
//! A byte for each of many entries, so that a read writes nothing to the store. It is a hint: entries
//! that share a byte are kept a little longer, and a torn write does no harm.

#![expect(unsafe_code, reason = "memory that processes share")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::entry::Place;
use super::mapping::Mapping;

/// The mapped bytes; before them is the place of the hand. All access is atomic.
pub(super) struct Visited(Mapping);

/// A page of its own for the hand, which changes with each eviction.
const HEAD: usize = 4096;

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
        Mapping::of(file, length).map(Self)
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
        unsafe { AtomicU64::from_ptr(self.0.start().as_ptr().cast()) }
    }

    fn byte(&self, place: &Place) -> &AtomicU8 {
        let low = u64::from_le_bytes([
            place[8], place[9], place[10], place[11], place[12], place[13], place[14], place[15],
        ]);
        #[expect(clippy::cast_possible_truncation, reason = "only low bits are taken")]
        let at = HEAD + (low as usize & (self.0.length() - HEAD - 1));
        // SAFETY: the length without the head is a power of two, so `at` is inside the mapping.
        unsafe { AtomicU8::from_ptr(self.0.start().as_ptr().add(at)) }
    }
}
