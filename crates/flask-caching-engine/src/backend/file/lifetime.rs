//! When the entries of files expire.

use super::format::Expiry;
use crate::{Lifetime, clock};

/// An entry that is extended is given this part of its new lifetime on top. Moving an expiry means to
/// write the file anew; this way not every one of many extensions does.
const MARGIN: u32 = 8;

/// When an entry stored now expires. `None`: it would be expired at once.
pub(super) fn expiry(lifetime: Lifetime) -> Option<Expiry> {
    match lifetime {
        Lifetime::Forever => Some(None),
        Lifetime::For(duration) => Some(Some(clock::wall().saturating_add(duration))),
        Lifetime::Expired => None,
    }
}

/// How long an entry has left; `None`: nothing.
pub(super) fn left(expires: Expiry) -> Option<Lifetime> {
    let Some(expires) = expires else {
        return Some(Lifetime::Forever);
    };
    let left = expires.saturating_sub(clock::wall());
    (!left.is_zero()).then_some(Lifetime::For(left))
}

/// What the expiry of an entry becomes so that it lives for `lifetime` from now; `None` where it does.
pub(super) fn extended(current: Expiry, lifetime: Lifetime) -> Option<Expiry> {
    let wanted = expiry(lifetime)?;
    let current = current?;
    if wanted.is_some_and(|wanted| wanted <= current) {
        return None;
    }
    match lifetime {
        Lifetime::For(duration) => {
            expiry(Lifetime::For(duration.saturating_add(duration / MARGIN)))
        }
        other => expiry(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_ends_sooner_is_extended() {
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let in_an_hour = Some(clock::wall() + hour);
        let later = extended(in_an_hour, Lifetime::For(day)).unwrap().unwrap();
        assert!(later >= clock::wall() + day);
        assert_eq!(extended(Some(later), Lifetime::For(day)), None);
        assert_eq!(extended(in_an_hour, Lifetime::For(hour / 2)), None);
        assert_eq!(extended(in_an_hour, Lifetime::Forever), Some(None));
        assert_eq!(extended(in_an_hour, Lifetime::Expired), None);
        assert_eq!(extended(None, Lifetime::For(day)), None);
        assert_eq!(extended(None, Lifetime::Forever), None);
    }
}
