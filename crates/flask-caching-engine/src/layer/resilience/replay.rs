//! Deletions that could not be delivered, remembered until they can be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a key costs beside its own bytes: its place in the map, its allocation.
const OVERHEAD: usize = 64;

/// One step of a delivery is of so many keys, and about so many bytes of them, at most.
const MOST_KEYS: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

/// A part of what is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Somebody cleared the cache.
    Everything(Mark),
    /// These keys.
    Keys(Vec<(Box<[u8]>, Mark)>),
}

/// When something was remembered, in the order of everything that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// There is no room for more deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many deletions are not remembered.
    pub forgotten: usize,
    /// The bytes that those take which are remembered.
    pub bytes: usize,
}

/// The deletions that this process still owes a server, each by its key, in so many bytes.
///
/// A deletion is never made to mean more than it did: where there is no room it is not remembered,
/// and whoever asked for it is told.
#[derive(Debug)]
pub struct Undelivered {
    most_bytes: usize,
    /// Read on every operation, so that owing nothing costs one load.
    any: AtomicBool,
    owed: Mutex<Owed>,
}

#[derive(Debug)]
struct Owed {
    everything: Option<Mark>,
    keys: BTreeMap<Box<[u8]>, Mark>,
    /// What `keys` take.
    bytes: usize,
    last: Mark,
}

impl Undelivered {
    /// Nothing owed yet; `most_bytes`: what keys, and the memory to hold them, may take.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            any: AtomicBool::new(false),
            owed: Mutex::new(Owed {
                everything: None,
                keys: BTreeMap::new(),
                bytes: 0,
                last: Mark(0),
            }),
        }
    }

    /// Whether anything is owed.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Remembers that `keys` are to be deleted.
    ///
    /// # Errors
    /// There is no room for some of them. The others are remembered.
    pub fn remember<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Full> {
        let mut owed = self.lock();
        let mark = owed.next_mark();
        let mut forgotten = 0;
        for key in keys {
            if let Some(known) = owed.keys.get_mut(key) {
                *known = mark;
            } else if owed.bytes + cost(key) <= self.most_bytes {
                owed.bytes += cost(key);
                owed.keys.insert(key.into(), mark);
            } else {
                forgotten += 1;
            }
        }
        self.any.store(owed.any(), Ordering::Release);
        let bytes = owed.bytes;
        match forgotten {
            0 => Ok(()),
            _ => Err(Full { forgotten, bytes }),
        }
    }

    /// Remembers that everything is to be deleted.
    pub fn remember_everything(&self) {
        let mut owed = self.lock();
        let mark = owed.next_mark();
        owed.everything = Some(mark);
        // Deleted with everything else.
        owed.keys.clear();
        owed.bytes = 0;
        self.any.store(true, Ordering::Release);
    }

    /// Whether one of `keys` is to be deleted.
    pub fn covers(&self, keys: &[&[u8]]) -> bool {
        self.any() && {
            let owed = self.lock();
            owed.everything.is_some() || keys.iter().any(|key| owed.keys.contains_key(*key))
        }
    }

    /// What is owed of `keys`.
    pub fn of(&self, keys: &[&[u8]]) -> Option<Part> {
        let owed = self.lock();
        if let Some(mark) = owed.everything {
            return Some(Part::Everything(mark));
        }
        let keys: Vec<(Box<[u8]>, Mark)> = keys
            .iter()
            .filter_map(|key| owed.keys.get_key_value(*key))
            .map(|(key, mark)| (key.clone(), *mark))
            .collect();
        (!keys.is_empty()).then_some(Part::Keys(keys))
    }

    /// What is to be delivered next, if anything is owed: as much as one step does.
    pub fn next(&self) -> Option<Part> {
        let owed = self.lock();
        if let Some(mark) = owed.everything {
            return Some(Part::Everything(mark));
        }
        let mut bytes = 0;
        let keys: Vec<(Box<[u8]>, Mark)> = owed
            .keys
            .iter()
            .take(MOST_KEYS)
            .take_while(|(key, _)| {
                let fits = bytes < MOST_BYTES;
                bytes += key.len();
                fits
            })
            .map(|(key, mark)| (key.clone(), *mark))
            .collect();
        (!keys.is_empty()).then_some(Part::Keys(keys))
    }

    /// When the last of what is owed was remembered.
    pub fn mark(&self) -> Mark {
        self.lock().last
    }

    /// Strikes out what was `delivered`; what was remembered since stays owed.
    pub fn forget(&self, delivered: &Part) {
        let mut owed = self.lock();
        match delivered {
            Part::Everything(mark) => {
                owed.everything = owed.everything.filter(|since| since != mark);
            }
            Part::Keys(keys) => {
                for (key, mark) in keys {
                    if owed.keys.get(key) == Some(mark) {
                        owed.keys.remove(key);
                        owed.bytes -= cost(key);
                    }
                }
            }
        }
        self.any.store(owed.any(), Ordering::Release);
    }

    /// Strikes out all that was remembered up to `mark`.
    pub fn forget_all(&self, mark: Mark) {
        let mut owed = self.lock();
        owed.everything = owed.everything.filter(|since| *since > mark);
        owed.keys.retain(|_, since| *since > mark);
        owed.bytes = owed.keys.keys().map(|key| cost(key)).sum();
        self.any.store(owed.any(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owed {
    fn any(&self) -> bool {
        self.everything.is_some() || !self.keys.is_empty()
    }

    fn next_mark(&mut self) -> Mark {
        self.last = Mark(self.last.0 + 1);
        self.last
    }
}

fn cost(key: &[u8]) -> usize {
    key.len() + OVERHEAD
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { forgotten, bytes } = self;
        write!(
            f,
            "{forgotten} deletions are not remembered, so that what they were to delete may be read \
             again: the deletions owed to the server take {bytes} bytes already"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(part: Option<Part>) -> Vec<String> {
        match part {
            Some(Part::Keys(keys)) => keys
                .iter()
                .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn remembers_until_delivered() {
        let undelivered = Undelivered::new(10_000);
        assert_eq!(undelivered.next(), None);
        undelivered.remember([b"b".as_slice(), b"a"]).unwrap();
        undelivered.remember([b"b".as_slice()]).unwrap();
        assert_eq!(keys(undelivered.next()), ["a", "b"]);
        assert_eq!(keys(undelivered.of(&[b"b", b"other"])), ["b"]);
        assert_eq!(undelivered.of(&[b"other"]), None);
        undelivered.forget(&undelivered.of(&[b"b"]).unwrap());
        assert!(undelivered.covers(&[b"a"]) && !undelivered.covers(&[b"b"]));
        undelivered.forget(&undelivered.next().unwrap());
        assert!(!undelivered.any());
    }

    #[test]
    fn what_is_remembered_during_a_delivery_stays_owed() {
        let undelivered = Undelivered::new(10_000);
        undelivered.remember([b"a".as_slice(), b"b"]).unwrap();
        let (part, mark) = (undelivered.next().unwrap(), undelivered.mark());
        undelivered.remember([b"a".as_slice()]).unwrap();
        undelivered.forget(&part);
        assert_eq!(keys(undelivered.next()), ["a"]);
        undelivered.forget_all(mark);
        assert!(undelivered.covers(&[b"a"]));
        undelivered.forget_all(undelivered.mark());
        assert!(!undelivered.any());
    }

    #[test]
    fn everything_comes_before_what_was_deleted_after_it() {
        let undelivered = Undelivered::new(10_000);
        undelivered.remember([b"before".as_slice()]).unwrap();
        undelivered.remember_everything();
        undelivered.remember([b"after".as_slice()]).unwrap();
        assert!(undelivered.covers(&[b"whatever"]));
        let everything = undelivered.next().unwrap();
        assert!(matches!(everything, Part::Everything(_)));
        undelivered.forget(&everything);
        assert_eq!(keys(undelivered.next()), ["after"]);
    }

    #[test]
    fn what_there_is_no_room_for_is_not_owed_and_said() {
        let undelivered = Undelivered::new(2 * cost(b"a"));
        undelivered.remember([b"a".as_slice()]).unwrap();
        let full = undelivered.remember([b"a".as_slice(), b"b", b"c", b"d"]);
        let bytes = 2 * cost(b"a");
        assert_eq!(
            full,
            Err(Full {
                forgotten: 2,
                bytes
            })
        );
        assert_eq!(keys(undelivered.next()), ["a", "b"]);
        undelivered.forget(&undelivered.of(&[b"a"]).unwrap());
        undelivered.remember([b"c".as_slice()]).unwrap();
        undelivered.forget_all(undelivered.mark());
        undelivered.remember([b"x".as_slice(), b"y"]).unwrap();
    }

    #[test]
    fn a_step_is_bounded() {
        let undelivered = Undelivered::new(usize::MAX);
        let many: Vec<Vec<u8>> = (0..2500).map(|n| format!("{n}").into_bytes()).collect();
        undelivered
            .remember(many.iter().map(Vec::as_slice))
            .unwrap();
        let mut steps = Vec::new();
        while let Some(part) = undelivered.next() {
            undelivered.forget(&part);
            steps.push(keys(Some(part)).len());
        }
        assert_eq!(steps, [1000, 1000, 500]);
        let long = vec![b'x'; MOST_BYTES];
        undelivered
            .remember([&long[..], &long[1..], &long[2..]])
            .unwrap();
        assert_eq!(
            keys(undelivered.next()).len(),
            2,
            "at least one of any length"
        );
    }
}
