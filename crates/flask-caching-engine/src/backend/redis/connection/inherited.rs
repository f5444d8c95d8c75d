//! Sockets that a child of `fork()` does not keep: those that a server sends to unasked. Nobody reads
//! them in the child, and where the parent ends, the server would go on sending for as long as the
//! child lives.

#![expect(
    unsafe_code,
    reason = "the socket belongs to a thread that the child does not have"
)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Of so many sockets it is known; no lock is needed, which another thread may have had at the fork.
static OPEN: [Slot; 256] = [const { Slot::free() }; 256];

struct Slot {
    socket: AtomicI32,
    inode: AtomicU64,
}

const FREE: i32 = -1;
const TAKEN: i32 = -2;

impl Slot {
    const fn free() -> Self {
        Self {
            socket: AtomicI32::new(FREE),
            inode: AtomicU64::new(0),
        }
    }
}

/// A child that is made from now on closes a socket; until this is dropped, which the owner of the
/// socket does before it closes it.
pub(in crate::backend::redis) struct NotInherited(&'static Slot);

impl NotInherited {
    /// `None`: there are too many.
    pub(in crate::backend::redis) fn new(socket: BorrowedFd<'_>) -> Option<Self> {
        let inode = inode_of(socket.as_raw_fd())?;
        let take = |slot: &&Slot| {
            let taken =
                slot.socket
                    .compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok()
        };
        let slot = OPEN.iter().find(take)?;
        slot.inode.store(inode, Ordering::Relaxed);
        slot.socket.store(socket.as_raw_fd(), Ordering::Release);
        Some(Self(slot))
    }
}

impl Drop for NotInherited {
    fn drop(&mut self) {
        self.0.socket.store(FREE, Ordering::Release);
    }
}

/// How many forks have begun in this process, and how many of them are over.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// How many forks there were; `None`: there is one. Where it is the same before a socket is made and
/// after it is known here, no child has it.
pub(in crate::backend::redis) fn forks() -> Option<u64> {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        // SAFETY: the functions change two numbers.
        unsafe { libc::pthread_atfork(Some(begin), Some(end), Some(end)) };
    });
    let ended = ENDED.load(Ordering::SeqCst);
    (BEGUN.load(Ordering::SeqCst) == ended).then_some(ended)
}

extern "C" fn begin() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn end() {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

/// That of a descriptor, which may be none.
fn inode_of(descriptor: i32) -> Option<u64> {
    // SAFETY: a plain structure of numbers, which the kernel fills where the descriptor is one.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        (libc::fstat(descriptor, &raw mut found) == 0).then_some(found.st_ino)
    }
}

/// Closes what the parent hears of changes by. To be called in a child after `fork()`, while it has
/// one thread.
pub fn close_inherited() {
    for slot in &OPEN {
        let socket = slot.socket.swap(FREE, Ordering::AcqRel);
        if socket < 0 {
            continue;
        }
        // Somebody else may have closed it in this child before, and opened another.
        if inode_of(socket) == Some(slot.inode.load(Ordering::Relaxed)) {
            // SAFETY: its owner is a thread of the parent, which does not run here.
            unsafe { libc::close(socket) };
        }
    }
}
