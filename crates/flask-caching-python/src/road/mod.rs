//! The road of a call: one way for every call of this package, with two doors.
//!
//! ```text
//! begin(call) -> answer | Turn        find the call, or become the one who computes it
//! finish(turn, result) / fail(turn)   store what may be stored, end the flight, emit what happened
//! ```
//!
//! A synchronous call is `begin`, the function, `finish`; an asynchronous one waits for its backend
//! between the parts of the doors (see [`road`]). A call is told apart from others by its *parts*
//! ([`parts`]): its arguments, a request's path and query, a fragment's name and keys. The store has a
//! [`table`] of the rows of parts that were answered before; a row leads to a place in the store, not
//! to a result. Where nothing is unusual, [`quick`] answers from it. Otherwise the whole way is gone:
//! [`look_up`] asks the face's policy what the call is, and the backend through its [`port`] what it
//! has; [`landing`] brings a result to the backend; [`events`] makes known what happened. Invariants:
//!
//! 1. **The quick way decides nothing that the whole way would decide otherwise.** Where anything is
//!    unusual ([`flags`], [`port`]), or an argument is not plain data, it leads nowhere.
//! 2. **A row never outlives what it was made from.** A handle is a slot and a stamp: it finds the
//!    very value that was written then, or nothing. The versions that a result depends on are guarded
//!    by handles as well, so that a deletion, an expiry, an eviction and an overwriting are all seen by
//!    the next call.
//! 3. **Arguments are compared as their reprs would be**: by exact type and value. 1, 1.0 and True
//!    are different, -0.0 is not 0.0. What has mutable parts is compared by its repr of now, never by
//!    its identity; other objects by what the policy tells them apart by ([`kinds`]). A default that
//!    may change counts as an argument of every call.
//! 4. **No code of an application runs under a lock of ours**: not while a table is locked, not while
//!    a flight writes. What a write needs made of a value is made before.
//! 5. **No flight, no store.** A result is stored by the turn that has a flight, and only while that
//!    is not superseded.
//! 6. **A call waits for another one that computes the same** ([`follow`]), but never for itself, and
//!    never for a result that is somebody's alone.
//! 7. The function runs in Python, between the doors: a recursion takes none of the C stack.

mod conditions;
mod events;
mod explicit;
mod flags;
mod fragments;
mod landing;
mod look_up;
mod options;
mod page;
mod parts;
mod port;
mod quick;
#[expect(clippy::module_inception, reason = "the road of the roads")]
mod road;
mod table;
mod turn;
mod versions;
mod waiting;

pub(crate) use explicit::NativeProxies;
pub(crate) use flags::CacheFlags;
pub(crate) use fragments::FragmentFinder;
pub(crate) use page::{Landed, Terms, page_is_found_by_all};
pub(crate) use parts::CallParts;
pub(crate) use port::{METHODS, replaced_methods};
pub(crate) use road::Road;
pub(crate) use table::{Found, Key, Row, Table};
pub(crate) use turn::Turn;
pub(crate) use versions::new_version;
pub(crate) use waiting::Claimant;
