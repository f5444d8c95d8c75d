//! The in-process store of bytes keeps the contract, with one shard and with many.

use flask_caching_engine::Value;
use flask_caching_engine::backend::MemoryStore;

use crate::suite::Subject;

mod one_shard {
    use super::*;

    fn open() -> Subject {
        Subject::new(MemoryStore::<Value>::new(500))
    }

    contract_tests!(open);
}

mod many_shards {
    use super::*;

    fn open() -> Subject {
        Subject::new(MemoryStore::<Value>::new(1_000_000))
    }

    contract_tests!(open);
}
