//! The Python module `flask_caching._engine`.

mod clock;
mod error;
mod timeout;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _engine {
    #[pymodule_export]
    use crate::clock::{clock_advance, clock_resume, clock_stop};
    #[pymodule_export]
    use crate::timeout::timeout_seconds;
}
