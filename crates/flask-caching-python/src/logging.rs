//! What the engine logs reaches Python's `logging`, on the logger `flask_caching.engine`.
//!
//! The engine logs while it holds its own locks, and from threads of its own; a Python handler must
//! run in neither place. So a record only waits in a queue here until the thread that called the
//! engine has the GIL back.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How often a thread that logs tries to get the queue, which nobody keeps for longer than a moment.
const TRIES: usize = 1000;

/// Records beyond this many are counted, not kept, until the queue is handed on.
const LONGEST_QUEUE: usize = 1000;

struct Queue {
    records: Mutex<Waiting>,
    /// Whether there is something to hand on; read without the lock on every operation.
    any: AtomicBool,
}

struct Waiting {
    records: VecDeque<(Level, String)>,
    dropped: usize,
}

static QUEUE: Queue = Queue {
    records: Mutex::new(Waiting {
        records: VecDeque::new(),
        dropped: 0,
    }),
    any: AtomicBool::new(false),
};

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates of the process (TLS, for one) log here as well; theirs is not ours to report.
        metadata.target().starts_with("flask_caching_engine")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        // After a fork in the wrong moment the lock may be held for ever: a log line is not worth
        // waiting for it without end.
        let free = || {
            let locked = self.records.try_lock().ok();
            if locked.is_none() {
                std::thread::yield_now();
            }
            locked
        };
        if let Some(mut waiting) = (0..TRIES).find_map(|_| free()) {
            if waiting.records.len() < LONGEST_QUEUE {
                waiting.records.push_back((record.level(), text));
            } else {
                waiting.dropped += 1;
            }
            self.any.store(true, Ordering::Release);
        }
    }

    fn flush(&self) {}
}

/// Makes this module the process's receiver of engine records.
pub(crate) fn install() {
    // A second import in one process finds the first one's logger in place, which serves both.
    if log::set_logger(&QUEUE).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Hands what waits on to Python's `logging`.
pub(crate) fn flush(py: Python<'_>) -> PyResult<()> {
    if !QUEUE.any.load(Ordering::Acquire) {
        return Ok(());
    }
    let (records, dropped) = {
        let Ok(mut waiting) = QUEUE.records.try_lock() else {
            return Ok(());
        };
        QUEUE.any.store(false, Ordering::Release);
        (
            std::mem::take(&mut waiting.records),
            std::mem::take(&mut waiting.dropped),
        )
    };
    let logger = py
        .import(intern!(py, "logging"))?
        .call_method1(intern!(py, "getLogger"), ("flask_caching.engine",))?;
    for (level, text) in records {
        logger.call_method1(intern!(py, "log"), (number(level), "%s", text))?;
    }
    if dropped > 0 {
        let text = "%d more messages of the cache engine were dropped";
        logger.call_method1(intern!(py, "log"), (number(Level::Warn), text, dropped))?;
    }
    Ok(())
}

/// Logs `message` as a warning of the logger `flask_caching`, at once.
pub(crate) fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let logger = LOGGER.get_or_try_init(py, || {
        let logging = py.import(intern!(py, "logging"))?;
        PyResult::Ok(
            logging
                .call_method1(intern!(py, "getLogger"), ("flask_caching",))?
                .unbind(),
        )
    })?;
    // The text is an argument, not the format: it may contain a percent sign.
    logger.call_method1(py, intern!(py, "warning"), ("%s", message))?;
    Ok(())
}

/// The number of a level in Python's `logging`.
fn number(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}
