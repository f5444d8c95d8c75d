//! The Python module `flask_caching._engine`.
#![allow(
    clippy::needless_pass_by_value,
    reason = "pyo3 extracts arguments by value"
)]
#![allow(
    clippy::doc_markdown,
    reason = "these comments are Python docstrings, which are no Markdown"
)]

mod addresses;
mod clock;
mod error;
mod flights;
mod interpreter;
mod logging;
mod memory;
mod mistakes;
mod pages;
mod road;
mod stores;
mod timeout;
mod values;

use pyo3::prelude::*;

// The road counts on the GIL in many places: tests/package/test_gil.py sees to it that there is one.
#[pymodule(gil_used = true)]
mod _engine {
    use flask_caching_engine::envelope::metadata::MAGIC;
    use pyo3::types::PyBytes;

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use crate::addresses::{may_spell_addresses, spells_address};
    #[pymodule_export]
    use crate::clock::{clock_advance, clock_follow, clock_resume, clock_stop, clock_wall};
    #[pymodule_export]
    use crate::flights::lease::{Patience, Renewals};
    #[pymodule_export]
    use crate::flights::refreshes::{Refreshes, Refreshing};
    #[pymodule_export]
    use crate::flights::{
        flights_under_way, forget_flights, hold_flights, share_threads, supersede_flights,
        tell_greenlets_apart,
    };
    #[pymodule_export]
    use crate::interpreter::first::is_first_interpreter;
    #[pymodule_export]
    use crate::memory::{BegunCopies, MemoryBackend, NearCopies};
    #[pymodule_export]
    use crate::pages::{
        HeaderReads, NoteReads, PageForm, PageFront, PageHeaders, PagePassage, PageRule, PageTaken,
        PageView, header_reads, page_answer, page_decode, page_encode, page_guards, page_guards_of,
        page_is_in, page_rendition, page_standing, page_unchanged,
    };
    #[pymodule_export]
    use crate::road::{
        CacheFlags, CallParts, Claimant, FragmentFinder, NativeProxies, Road, Turn, new_version,
        page_is_found_by_all, replaced_methods,
    };
    #[pymodule_export]
    use crate::stores::byte_store::ByteStore;
    #[pymodule_export]
    use crate::stores::contacted::{contacted_begin, contacted_end};
    #[pymodule_export]
    use crate::stores::file::FileByteStore;
    #[pymodule_export]
    use crate::stores::memcached::{MemcachedByteStore, memcached_wire_key};
    #[pymodule_export]
    use crate::stores::observed::{Timings, unobserved};
    #[pymodule_export]
    use crate::stores::open_store;
    #[pymodule_export]
    use crate::stores::redis::RedisServers;
    #[pymodule_export]
    use crate::stores::shared::SharedByteStore;
    #[pymodule_export]
    use crate::timeout::{
        Deadline, expires_at, longer_timeout, normalize_timeout, time_left, timeout_seconds,
    };
    #[pymodule_export]
    use crate::values::compression::{Compressor, decompress, escape, longest_decompressed};
    #[pymodule_export]
    use crate::values::metadata::{Metadata, SealedValue};
    #[pymodule_export]
    use crate::values::missing::Missing;
    #[pymodule_export]
    use crate::values::plain_data::is_plain;
    #[pymodule_export]
    use crate::values::signing::Signer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::logging::install();
        crate::interpreter::class_version::check(module.py())?;
        module.add("COMPRESSED", crate::values::compression::mark(module.py()))?;
        module.add("METADATA_MAGIC", PyBytes::new(module.py(), MAGIC))?;
        module.add("METHODS", crate::road::METHODS.to_vec())?;
        let memory = module.py().get_type::<crate::memory::MemoryBackend>();
        module.add("MemoryBackend", memory)?;
        module.add("MISSING", crate::values::missing::missing(module.py())?)
    }
}
