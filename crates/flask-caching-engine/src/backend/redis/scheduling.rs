//! Threads that have little to do, and are to do it at once.

#![expect(unsafe_code, reason = "no crate asks Linux for it")]

use std::mem::size_of;

/// The shortest that Linux takes, in nanoseconds.
#[cfg(target_os = "linux")]
const SLICE: u64 = 100_000;

/// Has this thread run soon after it wakes: it asks for short turns, for which a scheduler gives early
/// ones. It takes no right to ask so; Linux before 6.12 takes no notice.
#[cfg(target_os = "linux")]
pub(super) fn run_soon() {
    // SAFETY: a plain structure of numbers, of which the kernel is told the size.
    let mut present: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the kernel writes no more than `size` bytes to it.
    let asked = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut present, size, 0) };
    let is_usual = [libc::SCHED_OTHER, libc::SCHED_BATCH]
        .iter()
        .any(|&policy| u32::try_from(policy) == Ok(present.sched_policy));
    if asked == 0 && is_usual {
        present.sched_runtime = SLICE;
        // SAFETY: it is read, as the kernel has written it. Where it may not be set, it stays.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const present, 0) };
    }
}

/// There is no way to ask for it.
#[cfg(not(target_os = "linux"))]
pub(super) fn run_soon() {}
