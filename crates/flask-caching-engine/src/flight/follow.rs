//! Following a flight: waiting for what another thread, greenlet or task is computing.
//!
//! Nobody waits for himself: not for what he computes himself further up, nor for somebody who waits
//! for him, by way of however many others. Who waits for whom is one table, which is looked at and added
//! to under one lock, so that the last of a circle finds it.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use smallvec::SmallVec;

use super::{Flights, Progress, SUPERSEDED, lock};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex};

/// A result, for those who followed.
pub type Payload = Arc<dyn Any + Send + Sync>;

/// Is called when a flight ends, on whatever thread that is.
type Waker = Box<dyn FnOnce() + Send>;

/// What became of a computation, for those who followed it.
#[derive(Clone)]
pub enum Landing {
    /// It has a result, which all may have: here it is, or it can be looked for where it was stored.
    Shared(Option<Payload>),
    /// Its result is its caller's alone: the others compute at once and side by side, and for a
    /// moment so does whoever asks next ("hit for miss").
    Refused,
    /// It failed, or something was deleted meanwhile: one of the others computes, and is followed.
    Failed,
}

/// How a flight ends.
#[derive(Default)]
pub(super) struct End {
    pub(super) landing: Option<Landing>,
    has_ended: bool,
    /// How many wait, or have waited.
    followers: usize,
    wakers: Vec<Waker>,
}

/// Somebody who could wait for a flight.
pub struct Follower {
    flights: Arc<Flights>,
    flight: Arc<Progress>,
}

/// Somebody who waits for a flight, until it is dropped.
pub struct Waiting {
    flights: Arc<Flights>,
    flight: Arc<Progress>,
    who: SmallVec<[usize; 2]>,
}

/// The flights that each of those who wait is waiting for, by who waits.
type ByWaiting = HashMap<usize, SmallVec<[Arc<Progress>; 1]>>;

#[derive(Default)]
pub(super) struct Waits(Mutex<ByWaiting>);

impl Follower {
    pub(super) fn new(flights: Arc<Flights>, flight: Arc<Progress>) -> Self {
        Self { flights, flight }
    }

    /// Whether the computation began on the present thread: only another greenlet or task can be at it,
    /// or the caller himself.
    pub fn is_on_this_thread(&self) -> bool {
        self.flight.thread == crate::sync::this_thread()
    }

    /// Who computes; see [`Flight::lead_as`](super::Flight::lead_as).
    pub fn leader(&self) -> usize {
        self.flight.leader.load(Ordering::SeqCst)
    }

    /// Begins to wait. `waiting`: who waits, and those who wait for him, as far as he knows; numbers as
    /// in [`Flight::lead_as`](super::Flight::lead_as). `None` where one of them would wait for himself.
    pub fn wait(self, waiting: impl IntoIterator<Item = usize>) -> Option<Waiting> {
        let waiting: SmallVec<[usize; 2]> = waiting.into_iter().collect();
        let may_wait = self.flights.waits.add(&waiting, &self.flight);
        if may_wait {
            lock(&self.flight.lock).followers += 1;
        }
        may_wait.then_some(Waiting {
            flights: self.flights,
            flight: self.flight,
            who: waiting,
        })
    }
}

impl Waiting {
    /// What became of the computation, once it has ended.
    pub fn landing(&self) -> Option<Landing> {
        lock(&self.flight.lock).landing_of(&self.flight)
    }

    /// Waits until the computation has ended, for `time` at most.
    pub fn landing_within(&self, time: Duration) -> Option<Landing> {
        let end = lock(&self.flight.lock);
        let waited = self
            .flight
            .ended
            .wait_timeout_while(end, time, |end| !end.has_ended);
        let (end, _) = waited.unwrap_or_else(crate::sync::PoisonError::into_inner);
        end.landing_of(&self.flight)
    }

    /// Has `wake` called when the computation ends; at once where it has.
    pub fn wake_by(&self, wake: impl FnOnce() + Send + 'static) {
        let mut end = lock(&self.flight.lock);
        if end.has_ended {
            drop(end);
            wake();
        } else {
            end.wakers.push(Box::new(wake));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.flights.waits.remove(&self.who, &self.flight);
    }
}

impl End {
    fn landing_of(&self, flight: &Progress) -> Option<Landing> {
        if !self.has_ended {
            return None;
        }
        if flight.state.load(Ordering::SeqCst) & SUPERSEDED != 0 {
            return Some(Landing::Failed);
        }
        Some(self.landing.clone().unwrap_or(Landing::Failed))
    }
}

impl Progress {
    /// Whether somebody waits for its end.
    pub(super) fn is_followed(&self) -> bool {
        lock(&self.lock).followers > 0
    }

    /// Lets those go on who wait for the flight.
    pub(super) fn end(&self) {
        let mut end = lock(&self.lock);
        end.has_ended = true;
        let wakers = std::mem::take(&mut end.wakers);
        let is_followed = end.followers > 0;
        drop(end);
        if is_followed {
            // Whether or not somebody waits, it takes a system call.
            self.ended.notify_all();
        }
        for wake in wakers {
            wake();
        }
    }
}

impl Waits {
    /// Notes that `waiting` wait for `flight`, unless one of them would wait for himself.
    fn add(&self, waiting: &[usize], flight: &Arc<Progress>) -> bool {
        let mut waits = lock(&self.0);
        if leads_to(&waits, flight, waiting) {
            return false;
        }
        for one in waiting {
            waits.entry(*one).or_default().push(Arc::clone(flight));
        }
        true
    }

    fn remove(&self, waiting: &[usize], flight: &Arc<Progress>) {
        let mut waits = lock(&self.0);
        for one in waiting {
            // A forked child has forgotten the waits of its parent.
            let Some(flights) = waits.get_mut(one) else {
                continue;
            };
            if let Some(place) = flights.iter().position(|it| Arc::ptr_eq(it, flight)) {
                flights.swap_remove(place);
            }
            if flights.is_empty() {
                waits.remove(one);
            }
        }
    }

    /// Forgets those who wait in the process that this one was forked from.
    pub(super) fn forget(&self) {
        let forgotten = std::mem::take(&mut *lock(&self.0));
        drop(forgotten);
    }
}

/// Whether `flight` is computed by one of `waiting`, or by somebody who waits for one of them.
fn leads_to(waits: &ByWaiting, flight: &Arc<Progress>, waiting: &[usize]) -> bool {
    let mut pending: SmallVec<[&Progress; 4]> = SmallVec::new();
    let mut seen = HashSet::new();
    pending.push(flight);
    while let Some(flight) = pending.pop() {
        let leader = flight.leader.load(Ordering::SeqCst);
        if waiting.contains(&leader) {
            return true;
        }
        if seen.insert(leader)
            && let Some(flights) = waits.get(&leader)
        {
            pending.extend(flights.iter().map(|flight| &**flight));
        }
    }
    false
}
