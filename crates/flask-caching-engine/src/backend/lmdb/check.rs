//! Whether a file can be mapped: LMDB trusts what it finds, and the system ends a process that reads
//! beyond the end of a mapped file.
//!
//! The layout is that of LMDB's meta pages, of version 1 of its format: `mdb.c`, `MDB_meta`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Pages are as large as the system's.
const LEAST_PAGE: u64 = 4096;
const MAGIC: [u8; 4] = 0xbeef_c0de_u32.to_le_bytes();

/// What is wrong with the file at `path`; `None`: nothing, or there is none.
///
/// # Errors
/// It cannot be read.
pub(super) fn fault(path: &Path) -> io::Result<Option<&'static str>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    if length == 0 {
        // Made by a process that was killed before it wrote anything.
        return Ok(None);
    }
    let mut page = [0; 4];
    if length >= LEAST_PAGE {
        file.read_exact_at(&mut page, 40)?;
    }
    let page = u64::from(u32::from_le_bytes(page));
    if page < LEAST_PAGE || !page.is_power_of_two() || length < 2 * page {
        return Ok(Some("it does not begin as one"));
    }
    let mut last = (0, 0);
    for number in 0..2 {
        let mut meta = [0; 152];
        file.read_exact_at(&mut meta, number * page)?;
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| meta[at + byte]));
        if meta[16..20] != MAGIC {
            return Ok(Some("it does not begin as one"));
        }
        // Transaction, last page.
        last = last.max((long(144), long(136)));
    }
    let is_cut = last
        .1
        .checked_add(1)
        .and_then(|pages| pages.checked_mul(page));
    Ok(is_cut
        .is_none_or(|needed| needed > length)
        .then_some("it has been cut"))
}
