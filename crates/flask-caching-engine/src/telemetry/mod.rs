//! What is measured: how often what happened, how long it took, and which server it took it at.

pub mod contacted;
pub mod counts;
pub mod latency;
