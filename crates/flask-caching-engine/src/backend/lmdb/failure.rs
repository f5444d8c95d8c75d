//! What LMDB fails with, as an error of the engine.

use std::path::Path;

use heed::MdbError;

use crate::{Error, ErrorKind};

/// What an error of LMDB means. [`ErrorKind::Protocol`]: the file is damaged.
pub(super) fn failure(operation: &'static str, path: &Path, error: &heed::Error) -> Error {
    let kind = match error {
        heed::Error::Mdb(
            MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Panic
            | MdbError::Invalid
            | MdbError::VersionMismatch
            | MdbError::Incompatible
            // Nobody's mapping is larger.
            | MdbError::MapResized,
        ) => ErrorKind::Protocol,
        heed::Error::Mdb(_) => ErrorKind::Refused,
        _ => ErrorKind::Io,
    };
    let message = match error {
        heed::Error::Mdb(MdbError::MapFull) => {
            "the store is full, and what has left it cannot be used again yet: a process that is \
             stopped while it reads keeps it"
                .to_owned()
        }
        heed::Error::Mdb(MdbError::ReadersFull) => {
            "more threads than the store has room for read it".to_owned()
        }
        other => other.to_string(),
    };
    Error::new(kind, operation, path.display().to_string(), message)
}
