//! State that belongs to one process: a child made by `fork()` gets its own, fresh.

use std::fmt;
use std::sync::OnceLock;

/// Holds one `T` for each process that uses it.
///
/// A forked child never sees its parent's `T`: no socket is shared, and a lock that another thread
/// of the parent held during the fork is not waited for in vain. The parent's `T` stays in the
/// child's memory, untouched and never dropped there.
pub struct PerProcess<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    first: OnceLock<Box<Node<T>>>,
}

struct Node<T> {
    pid: u32,
    value: T,
    next: OnceLock<Box<Node<T>>>,
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

impl<T> PerProcess<T> {
    /// State that `make` makes on the first use in each process.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            first: OnceLock::new(),
        }
    }

    /// This process's own.
    pub fn get(&self) -> &T {
        self.of(std::process::id())
    }

    /// One node for each generation of forks, the oldest first: the walk is as long as the chain
    /// of forks between the process that made this and the one that uses it.
    fn of(&self, pid: u32) -> &T {
        let mut slot = &self.first;
        loop {
            let node = match slot.get() {
                Some(node) => node,
                None => slot.get_or_init(|| {
                    Box::new(Node {
                        pid,
                        value: (self.make)(),
                        next: OnceLock::new(),
                    })
                }),
            };
            if node.pid == pid {
                return &node.value;
            }
            slot = &node.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn each_process_has_its_own_and_keeps_it() {
        let made = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&made);
        let state = PerProcess::new(move || counter.fetch_add(1, Ordering::Relaxed));
        assert_eq!(*state.of(100), 0);
        assert_eq!(*state.of(200), 1);
        assert_eq!(*state.of(100), 0);
        assert_eq!(*state.of(200), 1);
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_lock_held_in_the_parent_is_free_in_the_child() {
        let state = PerProcess::new(|| Mutex::new(()));
        let _held = state.of(100).lock().unwrap();
        assert!(state.of(200).try_lock().is_ok());
    }
}
