//! Refreshes of a process, whatever order they are begun, end and fail in.

use std::time::Duration;

use flask_caching_engine::clock;
use flask_caching_engine::refreshes::{Refreshes, Refreshing};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Begin(u8),
    End(u8),
    Fail(u8, u64),
    Hear(u8, u64),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let (key, seconds) = (|| 0..3_u8, || 0..5_u64);
    prop_oneof![
        4 => key().prop_map(Act::Begin),
        3 => key().prop_map(Act::End),
        2 => (key(), seconds()).prop_map(|(key, retry)| Act::Fail(key, retry)),
        1 => (key(), seconds()).prop_map(|(key, retry)| Act::Hear(key, retry)),
        2 => seconds().prop_map(Act::Wait),
    ]
}

proptest! {
    /// Against the plainest model: who is at it, and until when nobody may be.
    #[test]
    fn one_at_a_time_and_none_too_soon(acts in proptest::collection::vec(act(), 1..80)) {
        clock::stop();
        let refreshes = Refreshes::new();
        let mut held: [Option<Refreshing>; 3] = [None, None, None];
        let mut not_before = [0_u64; 3];
        let mut now = 1_u64;
        for act in acts {
            match act {
                Act::Begin(key) => {
                    let at = usize::from(key);
                    let begun = refreshes.begin(1, &[key], None);
                    prop_assert_eq!(begun.is_some(), held[at].is_none() && not_before[at] <= now);
                    held[at] = begun.or(held[at].take());
                }
                Act::End(key) => held[usize::from(key)] = None,
                Act::Fail(key, retry) => {
                    refreshes.fail(1, &[key], Duration::from_secs(retry));
                    // As its caller, who ends it as well.
                    held[usize::from(key)] = None;
                    not_before[usize::from(key)] = now + retry;
                }
                Act::Hear(key, retry) => {
                    refreshes.hear_of_failure(1, &[key], Duration::from_secs(retry));
                    if held[usize::from(key)].is_none() {
                        not_before[usize::from(key)] = now + retry;
                    }
                }
                Act::Wait(seconds) => {
                    clock::advance(Duration::from_secs(seconds));
                    now += seconds;
                }
            }
            for key in 0..3_u8 {
                let at = usize::from(key);
                let has_failed = held[at].is_none() && not_before[at] > now;
                prop_assert_eq!(refreshes.has_failed(1, &[key]), has_failed);
            }
        }
    }
}
