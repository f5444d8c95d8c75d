//! How a value gets in, and what makes room for it.

use super::shard::{Removed, Shard, expiry};
use super::{Handle, MemoryStore, Place};
use crate::Lifetime;
use crate::sync::atomic::Ordering;

/// How a value gets in.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) lifetime: Lifetime,
    pub(super) weight: usize,
    /// `None`: one of the shard's own.
    pub(super) stamp: Option<u64>,
}

impl<V> MemoryStore<V> {
    pub(super) fn own_terms(&self, key: &[u8], value: &V, lifetime: Lifetime) -> Terms {
        Terms {
            lifetime,
            weight: self.budget.weigh(key, value),
            stamp: None,
        }
    }

    /// The one way a value gets in. `allow` is asked under the lock, once for each try to find room.
    pub(super) fn write(
        &self,
        key: &[u8],
        value: V,
        terms: Terms,
        allow: impl Fn(&Shard<V>, Place<'_>, u64) -> bool,
    ) -> (bool, Option<Handle>) {
        let place = self.place(key);
        let Terms { weight, stamp, .. } = terms;
        let is_admitted = self.budget.admits(weight);
        let lifetime = match terms.lifetime {
            lifetime if is_admitted => lifetime,
            _ => Lifetime::Expired,
        };
        let mut pending = Some(value);
        loop {
            let done = self.with_shard(place.shard, |shard, now, removed| {
                let value = pending.take()?;
                if !allow(shard, place, now) {
                    removed.push(value);
                    return Some((false, None));
                }
                let Some(expires) = expiry(lifetime, now) else {
                    removed.push(value);
                    if shard.remove(place.hash, key, now, removed).is_some() {
                        self.len.fetch_sub(1, Ordering::AcqRel);
                    }
                    return Some((is_admitted, None));
                };
                if weight > 0
                    && !self
                        .budget
                        .reserve(shard.weight_of(place.hash, key), weight)
                {
                    pending = Some(value);
                    return None;
                }
                let (slot, own) =
                    match shard.overwrite(place.hash, key, value, expires, now, removed) {
                        Ok(there) => there,
                        // A full store gives up an entry first: the new one is never its own victim.
                        Err(value) if self.count_in() || self.evict_from(shard, now, removed) => {
                            shard.insert(place.hash, key, value, expires)
                        }
                        Err(value) => {
                            self.budget.release(weight);
                            pending = Some(value);
                            return None;
                        }
                    };
                self.budget.note(&mut shard.weights, slot, weight);
                Some((true, Some(self.stamped(shard, place, slot, stamp, own))))
            });
            match done {
                Some(done) => return done,
                None if self.budget.is_large(weight) && self.evict_large() => {}
                None => self.evict_anywhere(),
            }
        }
    }

    /// Lets one more entry in, unless the store is full.
    fn count_in(&self) -> bool {
        let threshold = self.threshold();
        self.len
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |len| {
                (len < threshold).then_some(len + 1)
            })
            .is_ok()
    }

    fn evict_from(&self, shard: &mut Shard<V>, now: u64, removed: &mut Removed<V>) -> bool {
        let is_evicted = shard.evict(now, removed);
        if is_evicted {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        is_evicted
    }

    /// Evicts one entry of the shard whose turn it is, or of the first after it that has one.
    pub(super) fn evict_anywhere(&self) {
        let shards = self.shards.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % shards;
        for index in (first..shards).chain(0..first) {
            let is_evicted = self.with_shard(index, |shard, now, removed| {
                let is_evicted = self.evict_from(shard, now, removed);
                if is_evicted {
                    self.len.fetch_sub(1, Ordering::AcqRel);
                }
                is_evicted
            });
            if is_evicted {
                return;
            }
        }
    }
}
