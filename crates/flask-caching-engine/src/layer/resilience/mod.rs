//! What keeps a broken server from breaking, or slowing, the application in front of it.
//!
//! - [`Deadline`]: one point in time by which an operation is over, however many steps it takes.
//! - [`DeadlineLock`]: a lock that is waited for by a deadline.
//! - [`Breaker`]: a server that failed is left alone for a moment, so that an outage costs
//!   microseconds a call, not a deadline.
//! - [`Health`]: breaker and outage log of one server; every backend asks it before it talks.
//! - [`ServerHealth`]: what it knows, for people to look at.
//! - [`Resilient`]: wraps a whole backend and remembers deletions that could not be delivered.
//! - [`GuardedDeletions`]: remembers those whose keys are made of what other entries hold.

mod breaker;
mod deadline;
mod deadline_lock;
#[cfg(test)]
mod flaky;
mod guarded;
mod health;
mod outage;
mod replay;
mod report;
mod resilient;
mod settings;
mod watch;

pub use breaker::Breaker;
pub use deadline::Deadline;
pub use deadline_lock::{DeadlineLock, DeadlineLockGuard};
pub(crate) use guarded::delete_guarded;
pub use guarded::{GuardedDeletions, GuardedKey, ReadGuard};
pub use health::Health;
pub use replay::{Full, Mark, Part, Undelivered};
pub use report::ServerHealth;
pub use resilient::Resilient;
pub use settings::Settings;
pub use watch::Probe;
