//! What this process changes is invalidated at once.

use std::sync::Arc;

use super::Near;
use crate::Result;
use crate::backend::Backend;
use crate::layer::{self, Operation};
use crate::resilience::{GuardedKey, ReadGuard};

/// Wraps a backend and invalidates the copies of what is changed through it: before, so that nobody reads
/// what is being replaced, and after, as a copy that was begun meanwhile may be of it.
pub struct Invalidating<B> {
    backend: B,
    near: Arc<Near>,
}

impl<B: Backend> Invalidating<B> {
    /// `backend`, with copies of its entries that `near` knows of.
    pub fn new(backend: B, near: Arc<Near>) -> Self {
        Self { backend, near }
    }

    /// Does what changes the entries under `keys`. `None`: any.
    fn changing<T>(&self, keys: Option<&[&[u8]]>, change: impl FnOnce(&B) -> T) -> T {
        let after = InvalidateOnDrop(&self.near, keys);
        after.invalidate();
        change(&self.backend)
    }
}

/// Invalidates once more when it is dropped, in a panic too. `None`: everything.
struct InvalidateOnDrop<'a>(&'a Near, Option<&'a [&'a [u8]]>);

impl InvalidateOnDrop<'_> {
    fn invalidate(&self) {
        match self.1 {
            Some(keys) => keys.iter().for_each(|key| self.0.invalidate(key)),
            None => self.0.invalidate_all(),
        }
    }
}

impl Drop for InvalidateOnDrop<'_> {
    fn drop(&mut self) {
        self.invalidate();
    }
}

impl<B: Backend> layer::Layer for Invalidating<B> {
    type Inner = B;

    fn inner(&self) -> &B {
        &self.backend
    }

    fn around<T>(
        &self,
        operation: &Operation<'_>,
        call: impl FnOnce(&B) -> Result<T>,
    ) -> Result<T> {
        // Of an entry that lives longer, the value stays what it is; the server tells of that.
        let changed = &operation.keys[..operation.changed];
        if changed.is_empty() {
            return call(&self.backend);
        }
        self.changing(Some(changed), call)
    }

    fn delete_each(&self, keys: &[&[u8]]) -> Vec<Result<bool>> {
        self.changing(Some(keys), |backend| backend.delete_each(keys))
    }

    fn clear(&self) -> Result<bool> {
        self.changing(None, B::clear)
    }

    fn owe(&self, keys: &[&[u8]]) -> Result<()> {
        self.changing(Some(keys), |backend| backend.owe(keys))
    }

    fn owe_guarded(&self, key: GuardedKey, read: ReadGuard) -> Result<()> {
        // Which entry it is, is not known yet.
        self.changing(None, |backend| backend.owe_guarded(key, read))
    }
}
