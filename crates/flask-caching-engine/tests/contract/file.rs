//! The file store keeps the contract: with the checksum and without, with a limit and without.

use std::time::Duration;

use flask_caching_engine::backend::file::{Contents, FileOptions, FileStore};
use flask_caching_engine::clock;

use crate::suite::Subject;

fn open_with(contents: Contents, threshold: u64) -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(FileOptions {
        contents,
        threshold,
        ..FileOptions::new(directory.path())
    });
    let subject = Subject::new(store.unwrap()).keeping(directory);
    match contents {
        Contents::Pickle => subject,
        // Without the envelope the format has whole seconds only.
        _ => subject.with_time(clock::advance, Duration::from_secs(1)),
    }
}

mod pickles {
    use super::*;

    fn open() -> Subject {
        open_with(Contents::Pickle, 500)
    }

    contract_tests!(open);
}

mod json_without_limit {
    use super::*;

    fn open() -> Subject {
        open_with(Contents::Json, 0)
    }

    contract_tests!(open);
}

mod opaque {
    use super::*;

    fn open() -> Subject {
        open_with(Contents::Opaque, 500)
    }

    contract_tests!(open);
}
