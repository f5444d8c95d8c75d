//! The fast path of a hit: from the raw arguments of a call, a request's path or a fragment's name,
//! straight to a slot of the in-process store, in one native call.
//!
//! A decorated function has a table of the calls it was answered for (`memoized`, `view`), a `Cache`
//! one of the fragments it has rendered (`fragments`). An entry says: *these very arguments, on this
//! backend, were found under a key whose slots are these*. The key was made, and the entry found, by
//! the ordinary path in Python; the table only remembers where. A cache whose `get` is the
//! application's own is asked, by the key that the table remembers; where the application makes the
//! keys, a key is all it takes (`keyed`). Invariants:
//!
//! 1. **Nothing is decided here that the ordinary path would decide otherwise.** Where anything is
//!    unusual (an overridden or patched proxy, another kind of backend, an argument that is not plain
//!    data) the lookup finds nothing, and the ordinary path runs.
//! 2. **An entry never outlives what it was made from.** A handle is a slot and a stamp: it finds the
//!    very value that was written then, or nothing. The versions of the function and the instance are
//!    guarded by handles as well, so that a deletion, an expiry, an eviction and an overwriting are
//!    all seen by the next call.
//! 3. **Arguments are compared as their reprs would be**: by exact type and value. 1, 1.0 and True
//!    are different, -0.0 is not 0.0. What has mutable parts is compared by its repr of now, never by
//!    its identity; other objects by what the ordinary path tells them apart by (`kinds`). A default
//!    that may change counts as an argument of every call.
//! 4. **No Python code runs, and no object that could run some is dropped, under the table's lock.**
//!    What is compared under it are numbers, addresses and the text of exact strings and bytes.
//! 5. The backend is looked up in `app.extensions["cache"]` each time, as the proxies do.

mod arguments;
mod compute;
mod data;
mod fragments;
mod keyed;
mod kinds;
mod memoized;
mod place;
mod proxies;
mod table;
mod view;

pub(crate) use fragments::FragmentHits;
pub(crate) use keyed::KeyedHits;
pub(crate) use memoized::MemoizedHits;
pub(crate) use place::{Guard, classes_changed};
pub(crate) use proxies::NativeProxies;
pub(crate) use view::ViewHits;
