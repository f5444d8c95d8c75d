//! What an application asks of a cache explicitly, by its proxies: where that leads, and how often it
//! is asked.

mod counts;
mod direction;
mod proxies;

pub(crate) use proxies::NativeProxies;
