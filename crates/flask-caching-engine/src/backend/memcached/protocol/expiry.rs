//! Lifetimes as the memcached protocol writes them.

use crate::Lifetime;
use crate::clock;

/// The protocol takes larger numbers as points in time.
const LONGEST_RELATIVE: u64 = 60 * 60 * 24 * 30;

/// The latest point in time that every server reads rightly: the text protocol's is 32-bit, signed.
const LATEST: u64 = i32::MAX as u64;

/// `lifetime` as the protocol's `exptime`, with `now` in seconds since 1970; `None`: it is over.
///
/// Up to 30 days it is counted by the server, whatever the clocks say. What ends after January 2038
/// ends then: too early is a miss, too late would be a stale value.
pub(in crate::backend::memcached) fn exptime(lifetime: Lifetime, now: u64) -> Option<u32> {
    let seconds = match lifetime.whole_seconds() {
        None => return Some(0),
        Some(0) => return None,
        Some(seconds) => seconds,
    };
    let exptime = if seconds <= LONGEST_RELATIVE {
        seconds
    } else {
        let at = now.saturating_add(seconds).min(LATEST);
        if at > now {
            at.max(LONGEST_RELATIVE)
        } else {
            LONGEST_RELATIVE
        }
    };
    u32::try_from(exptime).ok()
}

/// Seconds since 1970.
pub(in crate::backend::memcached) fn now() -> u64 {
    clock::system().as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 60 * 60 * 24;

    fn of_days(days: u64) -> Option<u32> {
        exptime(Lifetime::For(Duration::from_secs(days * DAY)), NOW)
    }

    #[test]
    fn up_to_30_days_is_relative_and_more_is_a_point_in_time() {
        assert_eq!(of_days(30), Some(2_592_000));
        assert_eq!(of_days(31), u32::try_from(NOW + 31 * DAY).ok());
    }

    #[test]
    fn beyond_what_servers_read_it_ends_early_not_late() {
        assert_eq!(of_days(365 * 20), Some(2_147_483_647));
        let after_2038 = exptime(Lifetime::For(Duration::from_secs(90 * DAY)), LATEST + 5);
        assert_eq!(after_2038, Some(2_592_000));
    }

    #[test]
    fn fractions_round_up_and_never_become_forever() {
        let half = Lifetime::For(Duration::from_millis(500));
        assert_eq!(exptime(half, NOW), Some(1));
        assert_eq!(exptime(Lifetime::Forever, NOW), Some(0));
        assert_eq!(exptime(Lifetime::Expired, NOW), None);
    }
}
