//! The order of eviction: SIEVE (Zhang et al., NSDI 2024) with a count of uses in place of its one
//! bit, and a bound on the steps of one eviction.
//!
//! Slots hang in a list by age. A hand walks from the oldest to the newest and stays where it is
//! between evictions: what it has passed over is safe from a scan of entries that are used once.
//! After as many evictions as there are slots it starts again from the oldest, or a scan without end
//! would keep for ever what was used long ago.
//!
//! Invariant: `hand` is a linked slot or [`NIL`]; every linked slot is reached from `oldest`.

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// How many entries one eviction looks at, at most: eviction never stalls, however full the store.
const STEPS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

/// The age list of a shard's slots, and the hand.
#[derive(Debug)]
pub(super) struct Order {
    links: Vec<Link>,
    oldest: u32,
    newest: u32,
    hand: u32,
    /// Linked slots.
    len: usize,
    /// Evictions since the hand was at the oldest.
    evictions: usize,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            links: Vec::new(),
            oldest: NIL,
            newest: NIL,
            hand: NIL,
            len: 0,
            evictions: 0,
        }
    }

    /// Links `slot` as the newest. The caller guarantees that it is not linked.
    pub(super) fn push(&mut self, slot: u32) {
        let at = slot as usize;
        if at >= self.links.len() {
            let unlinked = Link {
                older: NIL,
                newer: NIL,
            };
            self.links.resize(at + 1, unlinked);
        }
        self.links[at] = Link {
            older: self.newest,
            newer: NIL,
        };
        match self.newest {
            NIL => self.oldest = slot,
            newest => self.links[newest as usize].newer = slot,
        }
        self.newest = slot;
        self.len += 1;
    }

    /// Unlinks `slot`. The caller guarantees that it is linked.
    pub(super) fn remove(&mut self, slot: u32) {
        let Link { older, newer } = self.links[slot as usize];
        match older {
            NIL => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        if self.hand == slot {
            self.hand = newer;
        }
        self.len -= 1;
    }

    /// The slot to evict: the first from the hand on that was not used since the hand passed it; of
    /// entries that were all used, the one used least.
    ///
    /// `cool` returns the count of uses of a slot and halves it, so that what was hot once is not
    /// kept for ever.
    pub(super) fn victim(&mut self, mut cool: impl FnMut(u32) -> u8) -> Option<u32> {
        let mut coldest: Option<(u8, u32)> = None;
        self.evictions += 1;
        if self.evictions > self.len {
            self.hand = NIL;
        }
        for _ in 0..STEPS {
            if self.hand == NIL {
                self.hand = self.oldest;
                self.evictions = 0;
            }
            let slot = self.hand;
            if slot == NIL {
                return None;
            }
            self.hand = self.links[slot as usize].newer;
            let uses = cool(slot);
            if uses == 0 {
                return Some(slot);
            }
            if coldest.is_none_or(|(fewest, _)| uses < fewest) {
                coldest = Some((uses, slot));
            }
        }
        coldest.map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(uses: &[u8]) -> Order {
        let mut order = Order::new();
        for slot in 0..uses.len() {
            order.push(u32::try_from(slot).unwrap());
        }
        order
    }

    fn evict(order: &mut Order, uses: &mut [u8]) -> Option<u32> {
        let victim = order.victim(|slot| {
            let count = &mut uses[slot as usize];
            let before = *count;
            *count /= 2;
            before
        });
        if let Some(slot) = victim {
            order.remove(slot);
        }
        victim
    }

    #[test]
    fn unused_entries_go_oldest_first() {
        let mut uses = [0; 3];
        let mut order = filled(&uses);
        assert_eq!(evict(&mut order, &mut uses), Some(0));
        assert_eq!(evict(&mut order, &mut uses), Some(1));
        assert_eq!(evict(&mut order, &mut uses), Some(2));
        assert_eq!(evict(&mut order, &mut uses), None);
    }

    #[test]
    fn a_scan_leaves_what_is_used() {
        let mut uses = [9, 0, 0, 0];
        let mut order = filled(&uses);
        // The slot that was freed takes the next new entry: the scan evicts what the scan brought.
        for _ in 0..10 {
            let gone = evict(&mut order, &mut uses).unwrap();
            assert_ne!(gone, 0);
            order.push(gone);
        }
    }

    #[test]
    fn what_is_used_no_more_goes_in_the_end() {
        let mut uses = [u8::MAX, 0, 0, 0];
        let mut order = filled(&uses);
        let turns = (0..100)
            .take_while(|_| {
                let gone = evict(&mut order, &mut uses).unwrap();
                order.push(gone);
                gone != 0
            })
            .count();
        // It is halved once a round: eight rounds.
        assert!((8 * 3..10 * 5).contains(&turns), "{turns}");
    }

    #[test]
    fn of_entries_that_were_all_used_the_least_used_goes() {
        let mut uses = [200, 7, 3, 90];
        let mut order = filled(&uses);
        assert_eq!(evict(&mut order, &mut uses), Some(2));
    }

    #[test]
    fn an_eviction_takes_a_bounded_number_of_steps() {
        let mut uses = vec![255; 10_000];
        uses[5_000] = 0;
        let mut order = filled(&uses);
        let mut steps = 0;
        let victim = order.victim(|slot| {
            steps += 1;
            uses[slot as usize]
        });
        assert_eq!(steps, STEPS);
        assert!(victim.is_some());
    }

    #[test]
    fn removing_the_slot_under_the_hand_moves_the_hand_on() {
        let mut uses = [0, 0, 0];
        let mut order = filled(&uses);
        assert_eq!(evict(&mut order, &mut uses), Some(0));
        order.remove(1);
        assert_eq!(evict(&mut order, &mut uses), Some(2));
    }
}
