//! The one place that decides what a timeout means.
//!
//! | written | means |
//! |---|---|
//! | `None` | the cache's default timeout |
//! | `0` | never expires |
//! | a positive number of seconds, fractions included | expires that long after it was stored |
//! | a negative number | expired at once: what was stored under the key is gone |

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A timeout as a caller wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Not given: the cache's default applies.
    Default,
    /// Given: this lifetime.
    Of(Lifetime),
}

/// How long an entry lives, counted from when it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is deleted or evicted.
    Forever,
    /// This long. Never zero.
    For(Duration),
    /// It is expired as soon as it is stored.
    Expired,
}

/// Longer lifetimes than this (about 292 years) are taken as this, so that adding one to a point
/// in time never overflows.
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

impl Lifetime {
    /// The lifetime that `seconds` means: 0 is forever, a negative number is expired at once.
    ///
    /// Returns `None` for what is not a number of seconds (NaN). Infinity is forever.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        if seconds.is_nan() {
            None
        } else if seconds == 0.0 || seconds == f64::INFINITY {
            Some(Self::Forever)
        } else if seconds < 0.0 {
            Some(Self::Expired)
        } else {
            let duration = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
            // A positive lifetime too small to represent is over at once, not eternal.
            Some(if duration.is_zero() {
                Self::Expired
            } else {
                Self::For(duration.min(LONGEST))
            })
        }
    }

    /// The lifetime shortened by a random share of up to `jitter`, which is from 0 to 1: what was stored
    /// together does not expire together then. What lives for ever does so still.
    #[must_use]
    pub fn jittered(self, jitter: f64) -> Self {
        if jitter <= 0.0 {
            return self;
        }
        // Each state has other keys; that nobody can foresee it does not matter here.
        let random = RandomState::new().build_hasher().finish() >> 40;
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let share = random as f64 / f64::from(1 << 24);
        self.shortened(jitter.min(1.0) * share)
    }

    fn shortened(self, share: f64) -> Self {
        match self {
            // It never becomes eternal, nor is it over at once.
            Self::For(lifetime) => Self::For(
                lifetime
                    .mul_f64(1.0 - share)
                    .max(lifetime.min(Duration::from_nanos(1))),
            ),
            other => other,
        }
    }

    /// The lifetime of an entry that is kept for a `window` after it was fresh.
    #[must_use]
    pub fn and_then(self, window: Duration) -> Self {
        match self {
            Self::For(lifetime) => Self::For(lifetime.saturating_add(window).min(LONGEST)),
            other => other,
        }
    }

    /// The lifetime in whole seconds, rounded up, as formats and protocols without fractions need
    /// it: `None` is forever, `Some(0)` is expired at once.
    pub fn whole_seconds(self) -> Option<u64> {
        match self {
            Self::Forever => None,
            Self::Expired => Some(0),
            Self::For(d) => Some(d.as_secs() + u64::from(d.subsec_nanos() > 0)),
        }
    }
}

impl Timeout {
    /// The lifetime this timeout means where `default` is the cache's own.
    pub fn resolve(self, default: Lifetime) -> Lifetime {
        match self {
            Self::Default => default,
            Self::Of(lifetime) => lifetime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_forever_and_negative_is_expired() {
        assert_eq!(Lifetime::from_seconds(0.0), Some(Lifetime::Forever));
        assert_eq!(Lifetime::from_seconds(-0.0), Some(Lifetime::Forever));
        assert_eq!(Lifetime::from_seconds(-1.0), Some(Lifetime::Expired));
        assert_eq!(
            Lifetime::from_seconds(f64::NEG_INFINITY),
            Some(Lifetime::Expired)
        );
        assert_eq!(Lifetime::from_seconds(f64::NAN), None);
    }

    #[test]
    fn positive_keeps_its_fraction_and_never_becomes_forever() {
        assert_eq!(
            Lifetime::from_seconds(1.5),
            Some(Lifetime::For(Duration::from_millis(1500)))
        );
        assert_eq!(Lifetime::from_seconds(1e-12), Some(Lifetime::Expired));
        assert_eq!(Lifetime::from_seconds(1e300), Some(Lifetime::For(LONGEST)));
        assert_eq!(
            Lifetime::from_seconds(f64::INFINITY),
            Some(Lifetime::Forever)
        );
    }

    #[test]
    fn jitter_shortens_by_no_more_than_its_share() {
        let ten = Lifetime::For(Duration::from_secs(10));
        let lives: Vec<_> = (0..100).map(|_| ten.jittered(0.5)).collect();
        for life in &lives {
            let Lifetime::For(life) = life else { panic!() };
            assert!((5.0..=10.0).contains(&life.as_secs_f64()));
        }
        assert!(lives.iter().any(|life| *life != lives[0]));
        assert_eq!(ten.jittered(0.0), ten);
        assert_eq!(Lifetime::Forever.jittered(1.0), Lifetime::Forever);
        assert_eq!(Lifetime::Expired.jittered(1.0), Lifetime::Expired);
        assert_eq!(ten.shortened(1.0), Lifetime::For(Duration::from_nanos(1)));
    }

    #[test]
    fn a_stale_window_lengthens_what_ends() {
        let ten = Lifetime::For(Duration::from_secs(10));
        let window = Duration::from_secs(5);
        assert_eq!(ten.and_then(window), Lifetime::For(Duration::from_secs(15)));
        assert_eq!(ten.and_then(Duration::MAX), Lifetime::For(LONGEST));
        assert_eq!(Lifetime::Forever.and_then(window), Lifetime::Forever);
        assert_eq!(Lifetime::Expired.and_then(window), Lifetime::Expired);
    }

    #[test]
    fn whole_seconds_round_up() {
        assert_eq!(
            Lifetime::from_seconds(0.2).unwrap().whole_seconds(),
            Some(1)
        );
        assert_eq!(
            Lifetime::from_seconds(2.0).unwrap().whole_seconds(),
            Some(2)
        );
        assert_eq!(Lifetime::Expired.whole_seconds(), Some(0));
        assert_eq!(Lifetime::Forever.whole_seconds(), None);
    }

    #[test]
    fn default_applies_only_where_none_was_given() {
        let ten = Lifetime::For(Duration::from_secs(10));
        assert_eq!(Timeout::Default.resolve(ten), ten);
        assert_eq!(
            Timeout::Of(Lifetime::Forever).resolve(ten),
            Lifetime::Forever
        );
    }
}
