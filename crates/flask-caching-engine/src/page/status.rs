//! How old a stored page is.

use crate::clock;

/// How old a page is, and how long it stays fresh, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For `Age`.
    pub age: u64,
    /// For the `ttl` of `Cache-Status`; `None`: it does not expire.
    pub ttl: Option<i64>,
}

/// How a page stands now. `stored`: milliseconds since 1970; `lifetime`: milliseconds, 0 for ever.
#[must_use]
pub fn standing(stored: u64, lifetime: u64) -> Standing {
    let now = u64::try_from(clock::wall().as_millis()).unwrap_or(u64::MAX);
    // The clock of who stored it may be ahead.
    let age = now.saturating_sub(stored);
    let ttl = (lifetime != 0).then(|| {
        let left =
            i64::try_from(lifetime).unwrap_or(i64::MAX) - i64::try_from(age).unwrap_or(i64::MAX);
        left.div_euclid(1000)
    });
    Standing {
        age: age / 1000,
        ttl,
    }
}
