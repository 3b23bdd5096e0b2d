//! The log's writer: a bounded queue, and a thread that writes it to standard output.
//!
//! Whoever logs never waits: a full pipe that nobody reads would block every worker, probes included.
//! Written here because tracing-appender's queue is bounded by lines, of any length, and not by bytes.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use serde_json::{Map, Value};
use tracing_subscriber::fmt::MakeWriter;

use crate::{Error, Result};

/// The memory for lines that have not been written.
const MAX_QUEUED_BYTES: usize = 4 << 20;
/// Above this length, the fields of a line are cut.
const MAX_LINE_BYTES: usize = 64 << 10;
const MAX_FIELD_BYTES: usize = 4 << 10;
/// How long the first line waits for others, because waking a thread and a write for each would cost more than
/// the line itself.
const GATHER: Duration = Duration::from_millis(20);
/// The most bytes of a write, unless a single line has more: as many as a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Counts the lines that the log of this process has dropped, because standard output was not read or could
/// not be written.
#[must_use]
pub fn dropped_lines() -> Counter {
    DROPPED.clone()
}

/// A writer that queues lines.
#[derive(Clone, Default)]
pub(super) struct LogWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Notified when the first line has been queued, and when all have been written.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// The bytes of the lines, and of those that are being written.
    bytes: usize,
    /// Whether the thread waits for the first line.
    is_idle: bool,
    /// An empty chunk, whose memory the next lines take.
    spare: Chunk,
}

/// Lines that are written at once.
#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Chunk {
    fn has_room(&self, line: &[u8]) -> bool {
        self.text.len() + line.len() <= CHUNK_BYTES
    }

    fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.ends.push(self.text.len());
    }

    /// The same memory without lines, unless it is that of a line of extraordinary length.
    fn emptied(mut self) -> Self {
        if self.text.capacity() > 2 * CHUNK_BYTES {
            return Self::default();
        }
        self.text.clear();
        self.ends.clear();
        self
    }
}

impl LogWriter {
    /// A writer whose thread writes to `output`.
    ///
    /// # Errors
    /// `Internal` if the thread cannot be started.
    pub(super) fn start(output: impl Write + Send + 'static) -> Result<Self> {
        let writer = Self::default();
        let shared = Arc::clone(&writer.0);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || shared.write_to(output)).map_err(Error::internal)?;
        Ok(writer)
    }

    /// Queues a line, or drops it if there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        if !self.0.push(line) {
            DROPPED.inc();
        }
    }

    /// Waits until every line has been written, at most for `timeout`.
    pub(super) fn flush_within(&self, timeout: Duration) {
        let waiting = |queue: &mut Queue| queue.bytes > 0;
        drop(self.0.changed.wait_timeout_while(self.0.queue(), timeout, waiting));
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room for `line`.
    fn push(&self, line: &[u8]) -> bool {
        let mut queue = self.queue();
        let has_room = queue.bytes + line.len() <= MAX_QUEUED_BYTES;
        if has_room {
            queue.push(line);
        }
        if mem::take(&mut queue.is_idle) {
            drop(queue);
            self.changed.notify_all();
        }
        has_room
    }

    /// All lines that are queued; waits for the first, and a moment for others.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
    fn take(&self) -> VecDeque<Chunk> {
        let is_empty = |queue: &mut Queue| {
            queue.is_idle = queue.chunks.is_empty();
            queue.is_idle
        };
        drop(self.changed.wait_while(self.queue(), is_empty));
        thread::sleep(GATHER);
        mem::take(&mut self.queue().chunks)
    }

    fn write_to(&self, mut output: impl Write) {
        loop {
            for chunk in self.take() {
                self.write(&mut output, chunk);
            }
        }
    }

    fn write(&self, output: &mut impl Write, chunk: Chunk) {
        let dropped = if chunk.text.len() > MAX_LINE_BYTES {
            // A single line, which has a chunk of its own.
            let line = cut(&chunk.text);
            usize::from(written(output, &line) < line.len())
        } else {
            let written = written(output, &chunk.text);
            chunk.ends.iter().filter(|end| **end > written).count()
        };
        DROPPED.inc_by(dropped as u64);
        let mut queue = self.queue();
        queue.bytes -= chunk.text.len();
        queue.spare = chunk.emptied();
        let is_empty = queue.bytes == 0;
        drop(queue);
        if is_empty {
            self.changed.notify_all();
        }
    }
}

impl Queue {
    fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        match self.chunks.back_mut().filter(|chunk| chunk.has_room(line)) {
            Some(chunk) => chunk.push(line),
            None => {
                let mut chunk = mem::take(&mut self.spare);
                chunk.push(line);
                self.chunks.push_back(chunk);
            }
        }
    }
}

/// How many bytes of `chunk` could be written.
fn written(output: &mut impl Write, chunk: &[u8]) -> usize {
    let mut written = 0;
    while written < chunk.len() {
        match output.write(&chunk[written..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(more) => written += more,
        }
    }
    if output.flush().is_ok() { written } else { 0 }
}

/// Takes whole lines: the subscriber writes an event at once.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// `line` within a length that log collectors take: of JSON the long fields are cut, of text the end.
fn cut(line: &[u8]) -> Cow<'_, [u8]> {
    if line.len() <= MAX_LINE_BYTES {
        return line.into();
    }
    let cut = match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, cut_field(value)));
            Value::Object(fields.collect()).to_string()
        }
        Err(_) => shortened(&String::from_utf8_lossy(line), MAX_LINE_BYTES),
    };
    (cut + "\n").into_bytes().into()
}

fn cut_field(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > MAX_FIELD_BYTES => {
            shortened(&text, MAX_FIELD_BYTES).into()
        }
        value => value,
    }
}

fn shortened(text: &str, bytes: usize) -> String {
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(bytes)], text.len())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Blocks until the test allows the first write.
    struct Pipe {
        allowed: Option<mpsc::Receiver<()>>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(allowed) = self.allowed.take() {
                allowed.recv().map_err(io::Error::other)?;
            }
            self.written.send(bytes.to_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_nobody_reads_drops_lines_and_blocks_nobody() {
        let ((allow, allowed), (written, lines)) = (mpsc::channel(), mpsc::channel());
        let mut writer = LogWriter::start(Pipe { allowed: Some(allowed), written }).unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let before = dropped_lines().get();
        for _ in 0..MAX_QUEUED_BYTES / line.len() + 100 {
            writer.write_all(&line).unwrap();
        }
        assert_eq!(dropped_lines().get() - before, 100);
        assert_eq!(writer.0.queue().bytes, MAX_QUEUED_BYTES);
        writer.flush_within(Duration::from_millis(10));
        allow.send(()).unwrap();
        writer.flush_within(Duration::from_secs(10));
        let writes = lines.try_iter().collect::<Vec<_>>();
        assert!(writes.iter().all(|write| write.len() <= CHUNK_BYTES && write.ends_with(b"x\n")));
        assert_eq!(writes.concat().len(), MAX_QUEUED_BYTES);
        writer.write_all(b"again\n").unwrap();
        assert_eq!(lines.recv().unwrap(), b"again\n");
    }

    /// Takes so many bytes, and then none.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_before_a_failure_is_known() {
        assert_eq!(written(&mut Full(10), b"12345\n7890\n"), 10);
        assert_eq!(written(&mut Full(100), b"12345\n7890\n"), 11);
    }

    #[test]
    fn long_fields_are_cut_and_the_line_stays_json() {
        let long = "ä".repeat(MAX_LINE_BYTES);
        let line = serde_json::json!({"error": long, "status": 503, "route": "/x"});
        let line = format!("{line}\n");
        let cut = cut(line.as_bytes());
        assert!(cut.len() < 2 * MAX_FIELD_BYTES && cut.ends_with(b"}\n"));
        let cut: Value = serde_json::from_slice(&cut).unwrap();
        assert_eq!((&cut["status"], &cut["route"]), (&503.into(), &"/x".into()));
        assert!(cut["error"].as_str().unwrap().ends_with("ä… (131072 bytes)"), "{cut}");
    }

    #[test]
    fn long_text_is_cut_at_its_end() {
        let line = "ä".repeat(MAX_LINE_BYTES);
        let cut = cut(line.as_bytes());
        assert!(cut.len() < MAX_LINE_BYTES + 100 && cut.ends_with(b" bytes)\n"));
    }
}
