//! A layer around a backend keeps the contract that the backend keeps.

use std::sync::Arc;
use std::time::Duration;

use flask_caching_engine::backend::MemoryStore;
use flask_caching_engine::layer::near::{Invalidating, Near};
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

mod copies_nearby {
    use super::*;

    fn open() -> Subject {
        let near = Near::new(Vec::new(), 100, None, Duration::from_secs(2));
        let store = MemoryStore::<Value>::new(500);
        Subject::new(Invalidating::new(store, Arc::new(near)))
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
