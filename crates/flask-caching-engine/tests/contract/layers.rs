//! A layer around a backend keeps the contract that the backend keeps.

use std::sync::Arc;

use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::layer::resilience::{GuardedDeletions, Resilient, Settings};
use flask_caching_engine::{Backend, Value};

use crate::suite::Subject;

mod resilience {
    use super::*;

    fn open() -> Subject {
        let store: Arc<dyn Backend> = Arc::new(MemoryStore::<Value>::new(500));
        Subject::new(Resilient::new(store, "memory", Settings::default()))
    }

    contract_tests!(open);
}

mod guarded_deletions {
    use super::*;

    fn open() -> Subject {
        let store = MemoryStore::<Value>::new(500);
        Subject::new(GuardedDeletions::new(store, Settings::default()))
    }

    contract_tests!(open);
}
