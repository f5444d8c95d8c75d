//! What was read before, and whether it still stands: as long as nobody has written anything at all, a
//! copy is the entry.

use super::entry::{self, Place, place};
use super::environment::Environment;
use super::{LmdbStore, find_entry};
use crate::{Result, Value};

/// What an entry was when it was read.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    environment: u64,
    /// The last transaction that was written then.
    written: usize,
    place: Place,
    expires: u64,
}

impl LmdbStore {
    /// The value under a key, as [`get`](crate::Backend::get), and what [`still_stands`](Self::still_stands)
    /// needs to know of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get_seen(&self, key: &[u8]) -> Result<Option<(Value, Seen)>> {
        let now = entry::now();
        self.read_in("get", |environment, txn| {
            let parts = environment.parts();
            let Some(found) = find_entry(parts, txn, key, now)? else {
                return Ok(None);
            };
            let seen = Seen {
                environment: environment.number(),
                written: txn.id(),
                place: place(parts.seed, key),
                expires: found.expires,
            };
            Ok(Some((found.into_value(), seen)))
        })
    }

    /// Whether an entry is what it was: nobody has written to the store since, and it has not expired. It
    /// counts as read. `false` where that takes a closer look.
    #[inline]
    pub fn still_stands(&self, seen: &Seen) -> bool {
        let Some(environment) = self.opened().filter(|it| it.number() == seen.environment) else {
            return false;
        };
        let stands = environment.is_in_place_lately()
            && environment.parts().env.info().last_txn_id == seen.written
            && seen.expires > entry::now();
        if stands {
            environment.parts().visited.mark(&seen.place);
        }
        stands
    }

    /// The environment of this process, where it is open.
    fn opened(&self) -> Option<&Environment> {
        let mut slot = &self.opened;
        while let Some(opened) = slot.get() {
            if opened.environment.is_current() {
                return Some(&opened.environment);
            }
            slot = &opened.next;
        }
        None
    }
}
