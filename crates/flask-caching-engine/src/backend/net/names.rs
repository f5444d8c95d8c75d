//! Looking up the addresses of a name, by a deadline.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::per_process::PerProcess;
use crate::resilience::Deadline;

/// Asks the system for the addresses of a name; their port is not looked at.
type Ask = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// What the system answered. An [`io::Error`] goes to one caller only, so its parts are kept.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// The look-ups under way in this process, by name.
///
/// The system's resolver knows no deadline, so it is asked in a thread that is left behind where it
/// takes too long. Whoever asks for the same name meanwhile waits for the same thread: a resolver
/// that is dead costs one thread a name, not one a call.
struct LookUps {
    ask: Ask,
    under_way: Mutex<HashMap<String, Arc<LookUp>>>,
}

#[derive(Default)]
struct LookUp {
    answer: Mutex<Option<Answer>>,
    arrived: Condvar,
}

static LOOK_UPS: LazyLock<PerProcess<Arc<LookUps>>> =
    LazyLock::new(|| PerProcess::new(|| LookUps::new(ask_the_system)));

/// The addresses of `host`, a name or an address, with `port`, by `deadline`.
///
/// # Errors
/// What the system's resolver fails with; [`io::ErrorKind::TimedOut`].
pub(super) fn resolve(host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut addresses = LOOK_UPS.get().look_up(host, deadline)?;
    for address in &mut addresses {
        address.set_port(port);
    }
    Ok(addresses)
}

fn ask_the_system(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.collect())
}

impl LookUps {
    fn new(ask: Ask) -> Arc<Self> {
        Arc::new(Self {
            ask,
            under_way: Mutex::default(),
        })
    }

    fn look_up(self: &Arc<Self>, host: &str, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        self.join(host)?.wait(host, deadline)
    }

    /// The look-up of `host` that is under way, or a new one.
    fn join(self: &Arc<Self>, host: &str) -> io::Result<Arc<LookUp>> {
        let mut under_way = lock(&self.under_way);
        if let Some(look_up) = under_way.get(host) {
            return Ok(Arc::clone(look_up));
        }
        let look_up = Arc::new(LookUp::default());
        let (all, this, name) = (Arc::clone(self), Arc::clone(&look_up), host.to_owned());
        std::thread::Builder::new()
            .name("cache-resolve".into())
            .spawn(move || {
                let answer = (all.ask)(&name).map_err(|error| (error.kind(), error.to_string()));
                lock(&all.under_way).remove(&name);
                *lock(&this.answer) = Some(answer);
                this.arrived.notify_all();
            })?;
        under_way.insert(host.to_owned(), Arc::clone(&look_up));
        Ok(look_up)
    }
}

impl LookUp {
    fn wait(&self, host: &str, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        let mut answer = lock(&self.answer);
        loop {
            if let Some(answer) = &*answer {
                let failed = |(kind, why): &(io::ErrorKind, String)| {
                    io::Error::new(*kind, format!("looking up {host}: {why}"))
                };
                return answer.as_ref().cloned().map_err(failed);
            }
            let left = deadline.remaining().map_err(|over| {
                io::Error::new(over.kind(), format!("looking up {host}: {over}"))
            })?;
            (answer, _) = self
                .arrived
                .wait_timeout(answer, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// How often [`never`] was asked, and what it waits for.
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static END: Mutex<()> = Mutex::new(());

    fn never(_: &str) -> io::Result<Vec<SocketAddr>> {
        ASKED.fetch_add(1, Ordering::Relaxed);
        drop(lock(&END));
        Err(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_resolver_that_does_not_answer_costs_a_deadline_and_one_thread() {
        let end = lock(&END);
        let look_ups = LookUps::new(never);
        for _ in 0..5 {
            let deadline = Deadline::after(Duration::from_millis(10));
            let error = look_ups.look_up("cache.example", deadline).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(error.to_string().contains("cache.example"), "{error}");
        }
        let waiting = look_ups.join("cache.example").unwrap();
        drop(end);
        let deadline = Deadline::after(Duration::from_secs(30));
        let error = waiting.wait("cache.example", deadline).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        assert!(lock(&look_ups.under_way).is_empty());
    }

    #[test]
    fn addresses_are_not_looked_up_and_names_get_their_port() {
        let over = Deadline::after(Duration::ZERO);
        let address = resolve("::1", 5, over).unwrap();
        assert_eq!(address, ["[::1]:5".parse().unwrap()]);
        let soon = Deadline::after(Duration::from_secs(30));
        let found = resolve("localhost", 7, soon).unwrap();
        assert!(found.iter().all(|address| address.port() == 7));
        assert!(!found.is_empty());
    }
}
