//! The captured log of a test process.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use super::{LogLevel, json::JsonLog};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static LEVEL: OnceLock<LogLevel> = OnceLock::new();

fn keep(line: &[u8]) {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
}

/// Starts capturing at `level`; later calls in the same process change nothing.
pub fn start(level: &str) -> LogLevel {
    let level = LEVEL.get_or_init(|| {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(level));
        let json = JsonLog(keep).with_filter(filter);
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
