//! Whether the pages of a file are those of a store: LMDB follows what they say without looking.
//!
//! The layout is that of version 1 of LMDB's format: `mdb.c`, `MDB_page`, `MDB_node`, `MDB_db`. What is in
//! values is not looked at here: they have checksums of their own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The bytes of a page before its offsets of nodes.
const HEAD: usize = 16;
/// The bytes of a node before its key.
const NODE: usize = 8;
/// The bytes of the record of a table.
const TABLE: usize = 48;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// All kinds, and those that these tables have no pages of.
const KINDS: u16 = 0x6f;
/// Of a node: its value is on pages of its own; it is the record of a table.
const LARGE: u16 = 0x01;
const SUBTABLE: u16 = 0x02;

/// What the table of free pages says of itself.
const INTEGER_KEYS: u16 = 0x08;

/// More levels no table has.
const DEEPEST: u16 = 32;

/// A file that is looked through.
pub(in crate::backend::lmdb) struct Structure<'a> {
    file: &'a File,
    page_size: usize,
    /// Which pages are used, by a table or as free.
    seen: Vec<bool>,
}

/// A fault, or an error of the file.
type Walked = io::Result<bool>;

impl<'a> Structure<'a> {
    /// `pages`: how many the file has, the two first ones, `MDB_meta`, included.
    pub(in crate::backend::lmdb) fn new(file: &'a File, page_size: usize, pages: usize) -> Self {
        let mut seen = vec![false; pages];
        seen.iter_mut().take(2).for_each(|meta| *meta = true);
        Self {
            file,
            page_size,
            seen,
        }
    }

    /// Whether the tables whose records these are (that of free pages, and the main one) are whole.
    pub(in crate::backend::lmdb) fn is_whole(&mut self, free: &[u8], main: &[u8]) -> Walked {
        let mut lists = Vec::new();
        if !self.table(main, None)? || !self.table(free, Some(&mut lists))? {
            return Ok(false);
        }
        Ok(lists.iter().all(|list| self.takes_free(list)))
    }

    /// Whether a list of free pages is one. A page that is free and used would be written over.
    fn takes_free(&mut self, list: &[u8]) -> bool {
        let mut numbers = list.chunks_exact(8).map(|number| long(number, 0));
        let Some(count) = numbers.next().and_then(|count| usize::try_from(count).ok()) else {
            return false;
        };
        let is_long_enough = count <= numbers.len();
        // The last comes first; behind them is what was there.
        let mut before = u64::MAX;
        is_long_enough
            && numbers.take(count).all(|number| {
                let is_next = number < before;
                before = number;
                is_next && self.take(number, 1)
            })
    }

    /// `lists`: takes the values, where these are lists of pages.
    fn table(&mut self, record: &[u8], mut lists: Option<&mut Vec<Vec<u8>>>) -> Walked {
        let (flags, depth, root) = (short(record, 4), short(record, 6), long(record, 40));
        if flags != if lists.is_some() { INTEGER_KEYS } else { 0 } {
            return Ok(false);
        }
        if root == u64::MAX {
            return Ok(depth == 0);
        }
        if depth == 0 || depth > DEEPEST {
            return Ok(false);
        }
        let mut open = vec![(root, depth)];
        while let Some((number, level)) = open.pop() {
            if !self.take(number, 1) {
                return Ok(false);
            }
            let page = self.read(number, 1)?;
            let Some(nodes) = nodes(&page, number, if level == 1 { LEAF } else { BRANCH }) else {
                return Ok(false);
            };
            for node in nodes {
                if level > 1 {
                    open.push((long(&page, node) & 0xffff_ffff_ffff, level - 1));
                } else if !self.value(&page, node, &mut lists)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn value(&mut self, page: &[u8], node: usize, lists: &mut Option<&mut Vec<Vec<u8>>>) -> Walked {
        let (flags, key) = (short(page, node + 4), usize::from(short(page, node + 6)));
        let Ok(length) = usize::try_from(long(page, node) & 0xffff_ffff) else {
            return Ok(false);
        };
        let start = node + NODE + key;
        let here = if flags & LARGE != 0 { 8 } else { length };
        let Some(value) = page.get(start..).and_then(|rest| rest.get(..here)) else {
            return Ok(false);
        };
        let large;
        let value = if flags & LARGE == 0 {
            value
        } else {
            let Some(read) = self.large(long(value, 0), length, lists.is_some())? else {
                return Ok(false);
            };
            large = read;
            &large
        };
        match lists {
            Some(lists) => lists.push(value.to_vec()),
            None if flags & SUBTABLE != 0 => {
                return Ok(value.len() == TABLE && self.table(value, None)?);
            }
            None => {}
        }
        Ok(true)
    }

    /// A value of `length` bytes on pages of its own, which are read where it `is_wanted`.
    fn large(
        &mut self,
        number: u64,
        length: usize,
        is_wanted: bool,
    ) -> io::Result<Option<Vec<u8>>> {
        if !self.is_page(number) {
            return Ok(None);
        }
        let first = self.read(number, 1)?;
        let pages = int(&first, 12) as usize;
        let is_one = long(&first, 0) == number && short(&first, 10) & KINDS == OVERFLOW;
        if !is_one || pages < (HEAD + length).div_ceil(self.page_size) || !self.take(number, pages)
        {
            return Ok(None);
        }
        let mut value = Vec::new();
        if is_wanted {
            value = self.read(number, pages)?;
            value.drain(..HEAD);
            value.truncate(length);
        }
        Ok(Some(value))
    }

    fn is_page(&self, number: u64) -> bool {
        number < self.seen.len() as u64
    }

    /// Notes that pages are used; `false`: there are none, or they are used already.
    fn take(&mut self, number: u64, pages: usize) -> bool {
        let Ok(first) = usize::try_from(number) else {
            return false;
        };
        let end = first.checked_add(pages);
        let Some(taken) = end.and_then(|end| self.seen.get_mut(first..end)) else {
            return false;
        };
        let is_free = !taken.contains(&true);
        taken.fill(true);
        is_free
    }

    fn read(&self, number: u64, pages: usize) -> io::Result<Vec<u8>> {
        let mut page = vec![0; pages * self.page_size];
        self.file
            .read_exact_at(&mut page, number * self.page_size as u64)?;
        Ok(page)
    }
}

/// Where the nodes of a page are; `None`: it is not the page with this `number` and `kind`.
fn nodes(page: &[u8], number: u64, kind: u16) -> Option<Vec<usize>> {
    let (lower, upper) = (usize::from(short(page, 12)), usize::from(short(page, 14)));
    let is_one = long(page, 0) == number && short(page, 10) & KINDS == kind;
    if !is_one || lower <= HEAD || lower > upper || upper > page.len() || lower % 2 != 0 {
        return None;
    }
    let offsets = (HEAD..lower)
        .step_by(2)
        .map(|at| usize::from(short(page, at)));
    let is_inside = |at: &usize| {
        *at >= upper
            && at + NODE <= page.len()
            && at + NODE + usize::from(short(page, at + 6)) <= page.len()
    };
    offsets.map(|at| Some(at).filter(is_inside)).collect()
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn int(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}
