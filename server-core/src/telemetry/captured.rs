//! The captured log of a test process.

use std::{
    io,
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::LogLevel;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LEVEL: OnceLock<LogLevel> = OnceLock::new();

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts capturing at `level`; later calls in the same process change nothing.
pub fn start(level: &str) -> LogLevel {
    let level = LEVEL.get_or_init(|| {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(level));
        let json = fmt::layer().json().with_writer(|| Log).with_filter(filter);
        // A test harness may have installed its own subscriber; then nothing is captured.
        let _ = Registry::default().with(json).try_init();
        LogLevel(handle)
    });
    level.clone()
}

/// Everything logged so far.
pub fn text() -> String {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&log).into_owned()
}
