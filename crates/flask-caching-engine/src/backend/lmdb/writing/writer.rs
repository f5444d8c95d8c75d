//! The turn to write: a mutex in memory that processes share.
//!
//! LMDB has one as well, which cannot be waited for with a deadline: a process that is stopped while
//! it writes would block all others for ever. This one is taken first. It is robust: the kernel gives
//! on what a process had that ended, in whatever way; and what it was writing LMDB does not know of.

#![expect(unsafe_code, reason = "a mutex that processes share")]

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libc::{
    PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED, pthread_mutex_consistent, pthread_mutex_init,
    pthread_mutex_t, pthread_mutex_timedlock, pthread_mutex_trylock, pthread_mutex_unlock,
    pthread_mutexattr_destroy, pthread_mutexattr_init, pthread_mutexattr_setpshared,
    pthread_mutexattr_setrobust,
};

use crate::backend::lmdb::mapping::Mapping;
use crate::clock;

const LENGTH: u64 = 4096;

/// How long somebody is waited for who was waited for in vain before.
const STILL_STOPPED: Duration = Duration::from_millis(50);
/// How many writes, those in vain among them, it is remembered for that a reader is stopped.
const LATELY: u64 = 256;

/// Where [`Writer::taken`] is.
const TAKEN: usize = 2048;
const _: () = assert!(size_of::<pthread_mutex_t>() <= TAKEN);

/// The turn to write, of one thread of one process at a time.
pub(in crate::backend::lmdb) struct Writer(Mapping);

impl Writer {
    /// The one in `file`. `is_alone`: no other process uses it, and it is made anew.
    pub(in crate::backend::lmdb) fn map(file: &File, is_alone: bool) -> io::Result<Self> {
        let is_new = file.metadata()?.len() < LENGTH;
        let writer = Self(Mapping::of(file, LENGTH)?);
        if is_new || is_alone {
            writer.taken().store(0, Ordering::Relaxed);
            writer.kept().store(0, Ordering::Relaxed);
            writer.note_left(true);
            writer.make()?;
        }
        Ok(writer)
    }

    /// For how many bytes of the store there is room on the disk; to be read and written with the turn.
    pub(in crate::backend::lmdb) fn taken(&self) -> &AtomicU64 {
        // SAFETY: inside the mapping, aligned, and behind the mutex.
        unsafe { AtomicU64::from_ptr(self.0.start().as_ptr().add(TAKEN).cast()) }
    }

    /// Whether there are pieces that nobody needs any more; with the turn.
    pub(in crate::backend::lmdb) fn is_left(&self) -> bool {
        self.left().load(Ordering::Relaxed) != 0
    }

    /// Notes whether there are; with the turn. Who is killed leaves it to the next.
    pub(in crate::backend::lmdb) fn note_left(&self, is_left: bool) {
        self.left().store(u64::from(is_left), Ordering::Relaxed);
    }

    fn left(&self) -> &AtomicU64 {
        // SAFETY: as that of `taken`, behind which it is.
        unsafe { AtomicU64::from_ptr(self.0.start().as_ptr().add(TAKEN + 8).cast()) }
    }

    /// After which write, plus one, somebody has waited in vain. Without the turn: it is a hint.
    fn given_up(&self) -> &AtomicU64 {
        // SAFETY: as that of `taken`, behind which it is.
        unsafe { AtomicU64::from_ptr(self.0.start().as_ptr().add(TAKEN + 16).cast()) }
    }

    /// How long to wait for pages that a reader keeps from being used again, of `patience`, before the
    /// write behind `last`. Where somebody has waited in vain a few writes ago, the reader is stopped.
    pub(in crate::backend::lmdb) fn patience_for_pages(
        &self,
        patience: Duration,
        last: usize,
    ) -> Duration {
        let kept = self.kept().load(Ordering::Relaxed);
        if kept != 0
            && (last as u64 + 1)
                .checked_sub(kept)
                .is_some_and(|it| it < LATELY)
        {
            patience.min(STILL_STOPPED)
        } else {
            patience
        }
    }

    /// Notes that somebody has waited for pages in vain.
    pub(in crate::backend::lmdb) fn note_kept(&self, last: usize) {
        self.kept().store(last as u64 + 1, Ordering::Relaxed);
    }

    /// After which write, plus one, somebody has waited for pages in vain. Without the turn: it is a hint.
    fn kept(&self) -> &AtomicU64 {
        // SAFETY: as that of `taken`, behind which it is.
        unsafe { AtomicU64::from_ptr(self.0.start().as_ptr().add(TAKEN + 24).cast()) }
    }

    fn mutex(&self) -> *mut pthread_mutex_t {
        self.0.start().as_ptr().cast()
    }

    fn make(&self) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the attributes are initialized before they are used, and destroyed after; the mutex
        // is in the mapping, aligned to a page, and used by nobody yet.
        unsafe {
            checked(pthread_mutexattr_init(attributes))?;
            let made = checked(pthread_mutexattr_setpshared(
                attributes,
                PTHREAD_PROCESS_SHARED,
            ))
            .and_then(|()| {
                checked(pthread_mutexattr_setrobust(
                    attributes,
                    PTHREAD_MUTEX_ROBUST,
                ))
            })
            .and_then(|()| checked(pthread_mutex_init(self.mutex(), attributes)));
            pthread_mutexattr_destroy(attributes);
            made
        }
    }

    /// The turn; `None`: another kept it for `patience`, or others took it for five times as long. `written`
    /// returns another number after each write. Where somebody has given up already, and nothing was
    /// written since, the same one is stopped, and is not waited for so long again.
    pub(in crate::backend::lmdb) fn turn(
        &self,
        patience: Duration,
        written: impl Fn() -> usize,
    ) -> io::Result<Option<WriterLock<'_>>> {
        // SAFETY: the mutex was made by who came first.
        let mut code = unsafe { pthread_mutex_trylock(self.mutex()) };
        if code == libc::EBUSY {
            code = self.wait(patience, written);
        }
        if code == libc::EOWNERDEAD {
            // SAFETY: this thread has it.
            code = unsafe { pthread_mutex_consistent(self.mutex()) };
        }
        match code {
            0 => Ok(Some(WriterLock(self, PhantomData))),
            libc::ETIMEDOUT => Ok(None),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    fn wait(&self, patience: Duration, written: impl Fn() -> usize) -> i32 {
        /// The deadline is one of the wall clock, which may be set while this waits; and who was woken may
        /// have been killed before he took his turn, so that nobody wakes the next.
        const AT_ONCE: Duration = Duration::from_millis(100);
        let start = clock::exact();
        let (mut since, mut last) = (start, written());
        loop {
            let now = clock::exact();
            let present = written();
            // Where many write and few processors run, nobody is stopped, and turns are not in order.
            if present != last && now.since(start) < patience * 4 {
                (since, last) = (now, present);
            }
            let is_stopped = self.given_up().load(Ordering::Relaxed) == last as u64 + 1;
            let patience = if is_stopped {
                patience.min(STILL_STOPPED)
            } else {
                patience
            };
            let left = patience.saturating_sub(now.since(since));
            let until = clock::exact_wall() + left.min(AT_ONCE);
            let until = libc::timespec {
                tv_sec: libc::time_t::try_from(until.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: until.subsec_nanos().into(),
            };
            // SAFETY: as in `turn`.
            let code = unsafe { pthread_mutex_timedlock(self.mutex(), &raw const until) };
            if code == libc::ETIMEDOUT && left.is_zero() {
                self.given_up().store(last as u64 + 1, Ordering::Relaxed);
            } else if code == libc::ETIMEDOUT {
                continue;
            }
            return code;
        }
    }
}

/// Held while writing, by the thread that has taken it.
pub(in crate::backend::lmdb) struct WriterLock<'a>(&'a Writer, PhantomData<*const ()>);

impl Drop for WriterLock<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread has it.
        unsafe { pthread_mutex_unlock(self.0.mutex()) };
    }
}

fn checked(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_is_still_stopped_is_not_waited_for_again() {
        let file = tempfile::tempfile().unwrap();
        let writer = Writer::map(&file, true).unwrap();
        let (taken, is_taken) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let writer = &writer;
            scope.spawn(move || {
                let _turn = writer.turn(Duration::ZERO, || 7).unwrap();
                taken.send(()).unwrap();
                let _ = may_go.recv();
            });
            is_taken.recv().unwrap();
            assert!(writer.turn(Duration::ZERO, || 7).unwrap().is_none());
            // This would take an hour.
            let long = Duration::from_secs(3600);
            assert!(writer.turn(long, || 7).unwrap().is_none());
            // Once something was written, it is waited for whoever has the turn then.
            assert!(
                writer
                    .turn(Duration::from_millis(1), || 8)
                    .unwrap()
                    .is_none()
            );
            drop(go);
            assert!(writer.turn(long, || 9).unwrap().is_some());
        });
    }

    #[test]
    fn a_reader_that_is_still_stopped_is_not_waited_for_again() {
        let file = tempfile::tempfile().unwrap();
        let writer = Writer::map(&file, true).unwrap();
        let long = Duration::from_secs(3600);
        assert_eq!(writer.patience_for_pages(long, 0), long);
        writer.note_kept(1000);
        for (last, patience) in [
            (999, long),
            (1000, STILL_STOPPED),
            (1255, STILL_STOPPED),
            (1256, long),
        ] {
            assert_eq!(writer.patience_for_pages(long, last), patience, "{last}");
        }
    }
}
