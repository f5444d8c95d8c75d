//! Whether a file can be mapped: LMDB trusts what it finds, and the system ends a process that reads
//! beyond the end of a mapped file, or where another page should be.
//!
//! The layout is that of LMDB's meta pages, of version 1 of its format: `mdb.c`, `MDB_meta`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::structure::Structure;

/// Pages are as large as the system's.
const LEAST_PAGE: u64 = 4096;
/// How much of a page a meta page takes.
const META: usize = 152;
const MAGIC: [u8; 4] = 0xbeef_c0de_u32.to_le_bytes();

/// What is wrong with the file at `path`; `None`: nothing, or there is none.
///
/// # Errors
/// It cannot be read.
pub(in crate::backend::lmdb) fn fault(path: &Path) -> io::Result<Option<&'static str>> {
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
    let mut metas = [[0; META]; 2];
    for (number, meta) in metas.iter_mut().enumerate() {
        file.read_exact_at(meta, number as u64 * page)?;
        if meta[16..20] != MAGIC {
            return Ok(Some("it does not begin as one"));
        }
    }
    let [first, second] = &metas;
    let meta = if transaction(first) < transaction(second) {
        second
    } else {
        first
    };
    let pages = long(meta, 136).checked_add(1);
    let needed = pages.and_then(|pages| pages.checked_mul(page));
    let (Some(pages), true) = (pages, needed.is_some_and(|needed| needed <= length)) else {
        return Ok(Some("it has been cut"));
    };
    let (Ok(pages), Ok(page)) = (usize::try_from(pages), usize::try_from(page)) else {
        return Ok(Some("it is too large"));
    };
    let is_whole = Structure::new(&file, page, pages).is_whole(&meta[40..88], &meta[88..136])?;
    Ok((!is_whole).then_some("its pages do not fit together"))
}

fn transaction(meta: &[u8; META]) -> u64 {
    long(meta, 144)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}
