//! Leases: of all processes, one computes something, or does it, for so long.
//!
//! A lease is an entry that is added, so that one has it: a token that nobody else knows, and a time to
//! live. Its owner renews it and ends it where it still holds his token, which every backend does in one
//! step ([`set_if`](crate::Backend::set_if), [`compare_exchange`](crate::Backend::compare_exchange)); and
//! stores his result in its place in such a step, so that no result outlives a deletion. Here is how long
//! those wait who do not have it, and when it is renewed.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::clock::Instant;
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

/// A call that wants a lease.
#[derive(Clone, Copy, Debug)]
pub struct Claimant {
    /// What is stored is not wanted, whoever computes it.
    pub is_forced: bool,
    /// Nobody waits for the result.
    pub is_background: bool,
    /// It may be looked for again at once.
    pub may_look_again: bool,
}

/// What a call has found in the place of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// Somebody computes the value.
    Held,
    /// Nobody is to wait: the last result was its caller's alone.
    Refused,
    /// A value that somebody could not compute anew, which is tried no sooner.
    Failed,
    /// A value that may be an answer.
    Answer,
    /// One that is none: it is too old, or not wanted.
    Value,
}

/// What a call does about its lease. What others change at the same time makes an attempt fail: then it
/// looks once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It tries to put its lease where nothing is.
    Take,
    /// It tries to put its lease in the place of exactly what was found.
    Seize,
    /// It tries to put its lease behind the value.
    TakeOver,
    /// It waits for a while, and is looked for again; when its time is over, it computes as in `Watch`.
    Wait,
    /// It computes beside others: whose result is stored first is the one.
    Watch,
    /// It is looked for again at once.
    LookAgain,
    /// Another process does what it would do.
    Decline,
}

impl Claimant {
    /// What the call does about what it has found.
    pub fn step(self, found: Found) -> Step {
        match found {
            Found::Nothing => Step::Take,
            _ if self.is_forced => Step::Seize,
            Found::Held | Found::Failed | Found::Answer if self.is_background => Step::Decline,
            Found::Held => Step::Wait,
            Found::Refused => Step::Watch,
            Found::Answer if self.may_look_again => Step::LookAgain,
            Found::Failed | Found::Answer | Found::Value => Step::TakeOver,
        }
    }
}

/// How long after it was taken or renewed a lease is renewed that lives for `ttl`: two attempts may fail.
fn renewal_pause(ttl: Duration) -> Duration {
    ttl / 3
}

/// When the leases that a process has are renewed: each on its own, so that one that is taken, or ends,
/// costs the others nothing. They are known by numbers.
#[derive(Debug, Default)]
pub struct Renewals {
    due: BTreeSet<(Instant, u64)>,
    held: HashMap<u64, (Instant, Duration)>,
}

impl Renewals {
    /// Renews a lease that lives for `ttl` from `now` on; whether it is the next one: whoever waits for
    /// another waits too long.
    pub fn keep(&mut self, lease: u64, ttl: Duration, now: Instant) -> bool {
        self.end(lease);
        let at = now.after(renewal_pause(ttl));
        self.held.insert(lease, (at, ttl));
        self.due.insert((at, lease));
        self.due.first() == Some(&(at, lease))
    }

    /// Renews a lease no more; whether it was.
    pub fn end(&mut self, lease: u64) -> bool {
        let ended = self.held.remove(&lease);
        ended.is_some_and(|(at, _)| self.due.remove(&(at, lease)))
    }

    /// How long nothing is to be done after `now`; `None`: there is nothing to renew.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.due.first().map(|(at, _)| at.since(now))
    }

    /// The leases that are to be renewed at `now`. They are due again, counted from then.
    pub fn take_due(&mut self, now: Instant) -> Vec<u64> {
        let due: Vec<_> = self.due.iter().take_while(|(at, _)| *at <= now).collect();
        let due: Vec<_> = due.into_iter().map(|(_, lease)| *lease).collect();
        for lease in &due {
            if let Some((_, ttl)) = self.held.get(lease) {
                self.keep(*lease, *ttl, now);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn a_call_waits_only_for_who_computes_and_takes_only_what_nobody_else_does() {
        use super::{Found as F, Step as S};
        let usual = Claimant {
            is_forced: false,
            is_background: false,
            may_look_again: true,
        };
        let steps = |claimant: Claimant| {
            let all = [
                F::Nothing,
                F::Held,
                F::Refused,
                F::Failed,
                F::Answer,
                F::Value,
            ];
            all.map(|found| claimant.step(found))
        };
        let computes = [
            S::Take,
            S::Wait,
            S::Watch,
            S::TakeOver,
            S::LookAgain,
            S::TakeOver,
        ];
        assert_eq!(steps(usual), computes);
        let hurried = Claimant {
            may_look_again: false,
            ..usual
        };
        assert_eq!(hurried.step(F::Answer), S::TakeOver);
        let forced = Claimant {
            is_forced: true,
            ..usual
        };
        assert_eq!(steps(forced)[0], S::Take);
        assert_eq!(steps(forced)[1..], [S::Seize; 5]);
        let background = Claimant {
            is_background: true,
            ..usual
        };
        let leaves = [
            S::Take,
            S::Decline,
            S::Watch,
            S::Decline,
            S::Decline,
            S::TakeOver,
        ];
        assert_eq!(steps(background), leaves);
    }

    proptest! {
        #[test]
        fn each_lease_is_renewed_when_it_is_due_and_no_sooner(
            steps in proptest::collection::vec((0..6_u64, 1..9_u64, 0..4_u64), 1..200),
        ) {
            let mut now = Instant(1);
            let mut renewals = Renewals::default();
            let mut last: HashMap<u64, (Instant, Duration)> = HashMap::new();
            for (lease, ttl, pause) in steps {
                let ttl = Duration::from_secs(3 * ttl);
                if last.contains_key(&lease) {
                    prop_assert!(renewals.end(lease));
                    last.remove(&lease);
                } else {
                    let is_next = last.values().all(|(at, other)| at.after(*other / 3) > now.after(ttl / 3));
                    let told = renewals.keep(lease, ttl, now);
                    prop_assert!(told || !is_next, "whoever waits is to hear of it");
                    last.insert(lease, (now, ttl));
                }
                prop_assert!(!renewals.end(100));
                let next = last.values().map(|(at, ttl)| at.after(*ttl / 3)).min();
                prop_assert_eq!(renewals.pause(now), next.map(|at| at.since(now)));
                now = now.after(Duration::from_secs(pause));
                let mut due = renewals.take_due(now);
                due.sort_unstable();
                let is_due = |(at, ttl): &(Instant, Duration)| at.after(*ttl / 3) <= now;
                let mut expected: Vec<_> =
                    last.iter().filter(|(_, it)| is_due(it)).map(|(lease, _)| *lease).collect();
                expected.sort_unstable();
                prop_assert_eq!(&due, &expected);
                for lease in due {
                    last.get_mut(&lease).unwrap().0 = now;
                }
                prop_assert_eq!(renewals.take_due(now), Vec::<u64>::new());
            }
        }
    }

    #[test]
    fn a_lease_is_renewed_before_it_ends_though_an_attempt_fails() {
        let ttl = Duration::from_secs(9);
        assert!(renewal_pause(ttl) * 2 < ttl);
    }
}
