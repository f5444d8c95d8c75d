//! Models of what threads share: [`shuttle`] runs each many times, and in each run lets the threads
//! take their steps in another order. It knows a dead-lock from a wait, and never lets a wait end by
//! its time: who is not woken is found.
//!
//! They are run with `--features shuttle`. `MODEL_RUNS` is how often each is run under each scheduler;
//! `MODEL_SECONDS`, in its place, for how long. A failure prints its schedule, for `shuttle::replay`.
//! Atomics count as sequentially consistent here, whatever their ordering.

mod claims;
mod flights;
mod leases;
mod refreshes;
mod store;

use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// How often a model is run, under each of the schedulers.
const RUNS: usize = 1500;

/// How many times, at most, threads are made to change at the worst moment.
const DEPTH: usize = 4;

/// Runs `model` under each of the schedulers.
fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seconds = number("MODEL_SECONDS").map(|seconds| Duration::from_secs(seconds) / 2);
    let runs = match number("MODEL_RUNS") {
        Some(runs) => usize::try_from(runs).unwrap(),
        None if seconds.is_some() => usize::MAX,
        None => RUNS,
    };
    run(RandomScheduler::new(runs), seconds, model.clone());
    run(PctScheduler::new(DEPTH, runs), seconds, model);
}

fn run(
    scheduler: impl Scheduler + 'static,
    time: Option<Duration>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut config = Config::new();
    config.max_time = time;
    Runner::new(scheduler, config).run(model);
}
