//! Leases: of all processes, one computes something, or does it, for so long.
//!
//! A lease is an entry that is added, so that one has it: a token that nobody else knows, and a time to
//! live. Its owner renews it and ends it where it still holds his token, which every backend does in one
//! step ([`set_if`](crate::Backend::set_if), [`compare_exchange`](crate::Backend::compare_exchange)); and
//! stores his result in its place in such a step, so that no result outlives a deletion. Here is how long
//! those wait who do not have it, and when it is renewed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::resilience::Deadline;

/// From one question whether a lease is free to the next: at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Waiting for a lease that somebody else has: when to ask again, and when to give up.
///
/// It counts real time, not the engine's clock: where that stands still, nobody waits for ever.
#[derive(Debug)]
pub struct Patience {
    until: Option<Deadline>,
    pause: Duration,
}

impl Patience {
    /// Waiting for `longest` from now at most; `None`: for as long as it takes.
    pub fn new(longest: Option<Duration>) -> Self {
        Self::until(longest.map(Deadline::after))
    }

    /// Waiting until then at most.
    pub fn until(until: Option<Deadline>) -> Self {
        Self {
            until,
            pause: FIRST_PAUSE,
        }
    }

    /// How long to wait before the next question; `None`: the time is over.
    ///
    /// The pauses grow, and no two who wait ask in step.
    pub fn next_pause(&mut self) -> Option<Duration> {
        let left = match self.until {
            Some(until) => until.remaining().ok()?,
            None => Duration::MAX,
        };
        let random = RandomState::new().build_hasher().finish() >> 56;
        #[expect(clippy::cast_precision_loss, reason = "8 bits fit")]
        let share = random as f64 / 256.0;
        let pause = self.pause.mul_f64(0.75 + share / 4.0);
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        Some(pause.min(left))
    }
}

/// How long after it was taken or renewed a lease is renewed that lives for `ttl`: two attempts may fail.
pub fn renewal_pause(ttl: Duration) -> Duration {
    ttl / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut patience = Patience::new(None);
        let pauses: Vec<_> = (0..40).map_while(|_| patience.next_pause()).collect();
        assert_eq!(pauses.len(), 40);
        assert!(pauses[0] <= FIRST_PAUSE);
        assert!(pauses[0] >= FIRST_PAUSE * 3 / 4);
        assert!(pauses[..9].windows(2).all(|two| two[0] < two[1]));
        assert!(pauses[39] > LONGEST_PAUSE / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
    }

    #[test]
    fn no_two_ask_in_step() {
        let all: Vec<Vec<_>> = (0..8)
            .map(|_| {
                let mut patience = Patience::new(None);
                (0..8).map_while(|_| patience.next_pause()).collect()
            })
            .collect();
        assert!(all.iter().any(|pauses| *pauses != all[0]));
    }

    #[test]
    fn whoever_may_not_wait_gives_up_at_once() {
        assert_eq!(Patience::new(Some(Duration::ZERO)).next_pause(), None);
        let mut patience = Patience::new(Some(Duration::from_secs(3600)));
        assert!(patience.next_pause().is_some());
    }

    #[test]
    fn a_lease_is_renewed_before_it_ends_though_an_attempt_fails() {
        let ttl = Duration::from_secs(9);
        assert!(renewal_pause(ttl) * 2 < ttl);
    }
}
