//! Asking several servers at the same time.

use std::thread::{Builder, ScopedJoinHandle, scope};

use crate::resilience::Deadline;
use crate::telemetry::contacted;

/// Has each of `parts` asked by `ask` at the same time, all by `deadline`; their answers in the order
/// of the parts.
///
/// Each is asked in a thread, the last one in this: whatever a server does with the time (does not
/// accept, hangs, drips), none of it is the other servers'. Where no thread can be had, this one asks.
pub(in crate::backend) fn fan_out<Q: Sync, A: Send>(
    parts: &[Q],
    deadline: Deadline,
    ask: impl Fn(&Q) -> A + Sync,
) -> Vec<A> {
    if parts.len() > 1 {
        contacted::note_several();
    }
    let ask = |part| deadline.during(|| ask(part));
    let ask = &ask;
    let Some((last, others)) = parts.split_last() else {
        return Vec::new();
    };
    scope(|scope| {
        let asked: Vec<_> = others
            .iter()
            .map(|part| {
                let named = Builder::new().name("cache-ask".into());
                (part, named.spawn_scoped(scope, move || ask(part)).ok())
            })
            .collect();
        let last = ask(last);
        let mut answers: Vec<A> = asked
            .into_iter()
            .map(|(part, thread)| match thread.map(ScopedJoinHandle::join) {
                Some(Ok(answer)) => answer,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => ask(part),
            })
            .collect();
        answers.push(last);
        answers
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_are_asked_at_the_same_time_by_one_deadline() {
        let together = Barrier::new(3);
        let over = Deadline::after(Duration::ZERO);
        let answers = fan_out(&[1, 2, 3], over, |part| {
            together.wait();
            let left = Deadline::of_operation(Duration::from_secs(60)).remaining();
            (part * 10, left.is_err())
        });
        assert_eq!(answers, [(10, true), (20, true), (30, true)]);
        assert_eq!(fan_out(&[], over, |part: &i32| *part), Vec::<i32>::new());
    }
}
