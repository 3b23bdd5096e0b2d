//! The log as JSON: a line for each event, written in one pass into a buffer that its thread keeps.
//!
//! Written here because tracing-subscriber's format collects an event's fields through several layers, which
//! was a third of what an answer from memory costs.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
};

use jiff::Timestamp;
use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::json::push_text;

/// The length of a line of a request.
const TYPICAL_BYTES: usize = 640;
/// The most memory that a thread keeps for its next line.
const MOST_KEPT_BYTES: usize = 16 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Passes the line of each event on.
pub(super) struct JsonLog<F>(pub(super) F);

impl<S: Subscriber, F: Fn(&[u8]) + 'static> Layer<S> for JsonLog<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // While a thread ends, it has none.
        let buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        let mut line = line(event, buffer);
        (self.0)(&line);
        if line.capacity() <= MOST_KEPT_BYTES {
            line.clear();
            let _ = BUFFER.try_with(|buffer| buffer.set(line));
        }
    }
}

/// The line of `event`, in the memory of `buffer`, which is empty.
fn line(event: &Event<'_>, mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.reserve(TYPICAL_BYTES);
    let mut line = Line { bytes: buffer, has_target: false };
    let metadata = event.metadata();
    line.bytes.extend_from_slice(b"{\"timestamp\":\"");
    // Writing to a vector cannot fail.
    let _ = write!(line, "{:.6}", Timestamp::now());
    line.bytes.push(b'"');
    line.text("level", metadata.level().as_str());
    event.record(&mut line);
    if !line.has_target {
        line.text("target", metadata.target());
    }
    line.bytes.extend_from_slice(b"}\n");
    line.bytes
}

/// A line of the log, up to its last member.
struct Line {
    bytes: Vec<u8>,
    has_target: bool,
}

impl Line {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        push_text(&mut self.bytes, value);
    }

    /// Names are those of fields in the code, which need no escaping.
    fn name(&mut self, name: &str) {
        self.bytes.extend_from_slice(b",\"");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    fn value(&mut self, name: &str, value: impl Into<Value>) {
        self.name(name);
        let _ = serde_json::to_writer(&mut self.bytes, &value.into());
    }
}

/// Values that need no escaping.
impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "log.line" {
            self.value(field.name(), value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // An event of the `log` crate has its own target here, and where in which source it is.
            "log.target" => {
                self.text("target", value);
                self.has_target = true;
            }
            name if name.starts_with("log.") => {}
            name => self.text(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        self.text(name.strip_prefix("r#").unwrap_or(name), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_event_of_the_log_crate_keeps_its_target() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let log = JsonLog(move |line: &[u8]| kept.lock().unwrap().push(line.to_owned()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), || {
            const TARGET: &str = "log.target";
            const LINE: &str = "log.line";
            const FILE: &str = "log.file";
            tracing::event!(target: "log", Level::INFO, { TARGET } = "rustls", { LINE } = 7_u64, { FILE } = "f");
        });
        let line: Value = serde_json::from_slice(&lines.lock().unwrap()[0]).unwrap();
        assert_eq!(line["target"], "rustls");
        assert_eq!(line.as_object().unwrap().len(), 3, "{line}");
    }

    #[test]
    fn every_kind_of_field_is_a_member_of_the_line() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let log = JsonLog(move |line: &[u8]| kept.lock().unwrap().push(line.to_owned()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), || {
            let absent = None::<&str>;
            let error: &(dyn std::error::Error + 'static) = &fmt::Error;
            tracing::warn!(
                target: "request", text = "a \"quote\"\nand more", ratio = 0.25, count = 7_u64,
                below = -7_i64, huge = u128::MAX, is_set = true, absent, error,
                flyte.project = "p", shown = %"shown", debugged = ?Some(1), "message {}", 1,
            );
        });
        let line = lines.lock().unwrap().remove(0);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let mut line: Value = serde_json::from_slice(&line).unwrap();
        let timestamp = line["timestamp"].take();
        assert!(timestamp.as_str().unwrap().parse::<Timestamp>().is_ok(), "{timestamp}");
        let expected = json!({
            "timestamp": null, "level": "WARN", "target": "request", "message": "message 1",
            "text": "a \"quote\"\nand more", "ratio": 0.25, "count": 7, "below": -7,
            "huge": u128::MAX.to_string(), "is_set": true, "flyte.project": "p", "shown": "shown",
            "debugged": "Some(1)", "error": fmt::Error.to_string(),
        });
        assert_eq!(line, expected);
    }
}
