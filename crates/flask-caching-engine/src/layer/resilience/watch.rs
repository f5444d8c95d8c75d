//! Finds out in the background when a server that hung answers again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::{Breaker, Deadline};

/// Whether the server answers by the deadline. Called in a thread of its own, without any lock.
pub type Probe = Arc<dyn Fn(Deadline) -> bool + Send + Sync>;

/// How often the server is asked, and how long it has to answer. Each time on a new connection: the
/// packets of an old one are sent ever more seldom while nobody takes them.
const EVERY: Duration = Duration::from_millis(500);

/// Asks one server, while its breaker is open after it hung, so that no call has to.
///
/// Belongs to one process (see [`crate::per_process::PerProcess`]).
pub(super) struct Watch {
    probe: Probe,
    is_under_way: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn new(probe: Probe) -> Self {
        Self {
            probe,
            is_under_way: Arc::default(),
        }
    }

    /// Asks from now on until `breaker` closes, or is gone.
    pub(super) fn begin(&self, breaker: &Arc<Breaker>) {
        if self.is_under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        let (probe, breaker) = (Arc::clone(&self.probe), Arc::downgrade(breaker));
        let is_under_way = Arc::clone(&self.is_under_way);
        let watching = thread::Builder::new()
            .name("cache-watch".to_owned())
            .spawn(move || {
                loop {
                    ask_until_closed(&breaker, &probe);
                    is_under_way.store(false, Ordering::Release);
                    // Opened again just before: who opened it saw that this was under way.
                    let is_open = breaker.upgrade().is_some_and(|breaker| breaker.is_open());
                    if !is_open || is_under_way.swap(true, Ordering::AcqRel) {
                        return;
                    }
                }
            });
        if let Err(error) = watching {
            // Calls find out by themselves, later.
            log::debug!("no thread to watch a server: {error}");
            self.is_under_way.store(false, Ordering::Release);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

fn ask_until_closed(breaker: &Weak<Breaker>, probe: &Probe) {
    loop {
        let deadline = Deadline::after(EVERY);
        let answers = probe(deadline);
        match breaker.upgrade() {
            Some(breaker) if breaker.is_open() => {
                if answers {
                    breaker.succeeded();
                    return;
                }
            }
            _ => return,
        }
        if let Ok(left) = deadline.remaining() {
            thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock;

    #[test]
    fn the_breaker_closes_when_the_server_answers() {
        let (asked, asks) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let answers = std::sync::Mutex::new(answers);
        let watch = Watch::new(Arc::new(move |_| {
            asked.send(()).unwrap();
            answers.lock().unwrap().recv().unwrap()
        }));
        let breaker = Arc::new(Breaker::new(1, Duration::from_secs(3600)));
        breaker.failed(clock::steady(), true);
        watch.begin(&breaker);
        watch.begin(&breaker);
        for is_back in [false, true] {
            asks.recv().unwrap();
            assert!(breaker.is_open());
            answer.send(is_back).unwrap();
        }
        while breaker.is_open() {
            thread::yield_now();
        }
        assert!(asks.try_recv().is_err());
    }

    #[test]
    fn it_ends_with_the_server() {
        let (asked, asks) = mpsc::channel();
        let watch = Watch::new(Arc::new(move |_| {
            asked.send(()).unwrap();
            false
        }));
        let breaker = Arc::new(Breaker::new(1, Duration::from_secs(3600)));
        breaker.failed(clock::steady(), true);
        watch.begin(&breaker);
        asks.recv().unwrap();
        drop((watch, breaker));
        // The channel closes when the thread has ended.
        while asks.recv().is_ok() {}
    }
}
