//! The store of a machine keeps the contract: with a limit of entries and without.

use flask_caching_engine::backend::lmdb::{LmdbStore, Options};

use crate::suite::Subject;

fn open_with(threshold: u64) -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let store = LmdbStore::open(Options {
        directory: directory.path().join("cache"),
        max_bytes: 8 << 20,
        threshold,
    });
    Subject::new(store.unwrap()).keeping(directory)
}

mod unlimited {
    use super::*;

    fn open() -> Subject {
        open_with(0)
    }

    contract_tests!(open);
}

mod limited {
    use super::*;

    fn open() -> Subject {
        open_with(500)
    }

    contract_tests!(open);
}
