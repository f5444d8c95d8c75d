//! The index of a shard: from the hash of a key to its slot.
//!
//! One word holds both, so that finding a slot costs one access to memory, where a large store has
//! none of it in the processor's caches. Words that meet the same place stand in the next free ones
//! (linear probing); what is removed leaves no gap behind.

/// The fewest words there are once there is an entry.
const SMALLEST: usize = 8;

/// The index grows before more than this part of 8 of it is taken.
const FULL: usize = 5;

/// See the module. Slots are below `u32::MAX`.
pub(super) struct Index {
    /// The hash above the slot's number plus 1; 0: free. Their number is a power of two.
    words: Box<[u64]>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            words: Box::default(),
            len: 0,
        }
    }

    /// How many slots it leads to.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot under `hash` that `is_it` says is the one.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.place(hash, is_it).map(|at| slot_of(self.words[at]))
    }

    /// Adds `slot` under `hash`. The caller guarantees that it is not there.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if self.words.len() * FULL <= self.len * 8 {
            self.grow();
        }
        self.len += 1;
        self.put(u64::from(hash) << 32 | (u64::from(slot) + 1));
    }

    /// Removes `slot` from under `hash`, if it is there.
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let Some(mut gap) = self.place(hash, |found| found == slot) else {
            return;
        };
        self.len -= 1;
        let mut at = self.after(gap);
        while self.words[at] != 0 {
            // What is looked for at the gap or before it moves into it.
            let home = self.home(hash_of(self.words[at]));
            if self.distance(home, at) >= self.distance(gap, at) {
                self.words[gap] = self.words[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.words[gap] = 0;
    }

    #[inline]
    fn place(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        if self.words.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let word = self.words[at];
            if word == 0 {
                return None;
            }
            if hash_of(word) == hash && is_it(slot_of(word)) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn grow(&mut self) {
        let larger = vec![0; (self.words.len() * 2).max(SMALLEST)].into_boxed_slice();
        for word in std::mem::replace(&mut self.words, larger) {
            if word != 0 {
                self.put(word);
            }
        }
    }

    fn put(&mut self, word: u64) {
        let mut at = self.home(hash_of(word));
        while self.words[at] != 0 {
            at = self.after(at);
        }
        self.words[at] = word;
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.words.len() - 1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.words.len() - 1)
    }

    /// How many steps it takes from the place `from` to the place `to`.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.words.len() - 1)
    }
}

fn hash_of(word: u64) -> u32 {
    (word >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
fn slot_of(word: u64) -> u32 {
    word as u32 - 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Remove(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few hashes, with neighbours around the end of the table: they meet.
        let hash = prop_oneof![0..4_u32, u32::MAX - 3..=u32::MAX, any::<u32>()];
        let step = prop_oneof![
            3 => hash.prop_map(Step::Insert),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn it_leads_to_what_was_inserted_and_not_removed(steps in steps()) {
            let mut index = Index::new();
            let mut slots = HashMap::new();
            for (slot, step) in (0..).zip(steps) {
                match step {
                    Step::Insert(hash) => {
                        index.insert(hash, slot);
                        slots.insert(slot, hash);
                    }
                    Step::Remove(at) if !slots.is_empty() => {
                        let mut known: Vec<u32> = slots.keys().copied().collect();
                        known.sort_unstable();
                        let slot = *at.get(&known);
                        let hash = slots.remove(&slot).unwrap();
                        index.remove(hash, slot);
                        index.remove(hash, slot);
                        prop_assert_eq!(index.find(hash, |found| found == slot), None);
                    }
                    Step::Remove(_) => {}
                }
                prop_assert_eq!(index.len(), slots.len());
                for (&slot, &hash) in &slots {
                    prop_assert_eq!(index.find(hash, |found| found == slot), Some(slot));
                }
            }
        }
    }

    #[test]
    fn the_largest_slot_and_hash_are_kept() {
        let mut index = Index::new();
        index.insert(u32::MAX, u32::MAX - 1);
        assert_eq!(index.find(u32::MAX, |_| true), Some(u32::MAX - 1));
        assert_eq!(index.find(u32::MAX - 1, |_| true), None);
        index.remove(u32::MAX, u32::MAX - 1);
        assert_eq!(index.find(u32::MAX, |_| true), None);
    }
}
