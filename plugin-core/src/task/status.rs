//! The status of a job.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value as Json};
use server_core::text::{MAX_CODE, acts, cut, cut_middle, is_printable, printable};

use crate::task::Value;

/// The limit on a status's message and on each of its facts, in bytes. FlytePropeller keeps 100 KiB of a
/// message (`MaxErrorMessageLength` in flytepropeller/events/event_recorder.go), Flyte's console shows far
/// less, and each replica remembers the last status of thousands of jobs.
const MAX_MESSAGE: usize = 4096;
/// The limit on the target of a link, in bytes: longer ones do not work in every browser and proxy.
const MAX_URI: usize = 2048;

/// A job's phase, in Flyte's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Queued at the vendor.
    Queued,
    /// Waiting for machines or quota.
    WaitingForResources,
    /// Machines are being set up.
    Initializing,
    /// Running.
    Running,
    /// Done, with outputs if the task declares any.
    Succeeded,
    /// Cancelled on request.
    Aborted,
    /// Failed for good: Flyte does not retry the task.
    Failed,
    /// Failed for a transient reason: Flyte retries the task while it has retries left.
    RetryableFailed,
}

impl Phase {
    /// Whether the job has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Aborted | Self::Failed | Self::RetryableFailed => true,
            Self::Queued | Self::WaitingForResources | Self::Initializing | Self::Running => false,
        }
    }

    /// Flyte's name of the phase, for example `RETRYABLE_FAILED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::WaitingForResources => "WAITING_FOR_RESOURCES",
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Aborted => "ABORTED",
            Self::Failed => "FAILED",
            Self::RetryableFailed => "RETRYABLE_FAILED",
        }
    }
}

/// A link that Flyte's console shows beside the task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The label.
    pub name: String,
    /// The target.
    pub uri: String,
    /// Flyte's `TaskLog`, if a connector made it.
    pub(crate) encoded: Option<Bytes>,
}

/// A task's outputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outputs {
    /// As values.
    Values(BTreeMap<String, Value>),
    /// As a connector encoded them: Flyte's `LiteralMap`.
    Encoded(Bytes),
}

impl Default for Outputs {
    fn default() -> Self {
        Self::Values(BTreeMap::new())
    }
}

/// The status of a job: its phase, and what Flyte shows beside it.
///
/// Flyte reads links, message and info from the **first** answer of each phase only
/// (`flyteplugins/.../webapi/connector/plugin.go` keeps one phase version), so always set them.
///
/// ```
/// use plugin_core::{Phase, Status, Value};
///
/// /// A job as the vendor's API describes it.
/// struct Job {
///     id: String,
///     state: String,
///     error: String,
///     bytes_read: Option<u64>,
/// }
///
/// fn status(job: &Job) -> Status {
///     let status = match job.state.as_str() {
///         "queued" => Status::new(Phase::Queued),
///         "running" => Status::new(Phase::Running),
///         "done" => {
///             let table = format!("acme://results/{}", job.id);
///             Status::new(Phase::Succeeded)
///                 .output("results", Some(Value::structured_dataset(table)))
///         }
///         "failed" => Status::new(Phase::Failed).code("JOB_FAILED").message(&job.error),
///         "preempted" => Status::new(Phase::RetryableFailed).message("a worker was preempted"),
///         unknown => Status::unknown_state(unknown),
///     };
///     status
///         .link("Acme console", format!("https://console.acme.example/jobs/{}", job.id))
///         .info("bytes_read", job.bytes_read)
/// }
///
/// let error = "no such table".to_owned();
/// let job = Job { id: "7".to_owned(), state: "failed".to_owned(), error, bytes_read: None };
/// assert_eq!(status(&job).phase(), Phase::Failed);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Status {
    pub(crate) phase: Phase,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) info: Map<String, Json>,
    pub(crate) outputs: Outputs,
    pub(crate) unknown_state: Option<String>,
    /// How many links were left out because of their schemes.
    pub(crate) refused_links: u32,
}

impl Status {
    /// A job in `phase`.
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            message: String::new(),
            code: None,
            links: Vec::new(),
            info: Map::new(),
            outputs: Outputs::default(),
            unknown_state: None,
            refused_links: 0,
        }
    }

    /// A job in a state that this version of the plugin does not know: reported as running, counted in a
    /// metric and logged. The state is cut to 128 bytes.
    pub fn unknown_state(state: impl Into<String>) -> Self {
        let state = cut(printable(state.into()), MAX_CODE).into_owned();
        let message = match state.as_str() {
            "" => "in a state without a name".to_owned(),
            name => format!("in the unknown state {name}"),
        };
        Self { unknown_state: Some(state), ..Self::new(Phase::Running).message(message) }
    }

    /// Sets the message for the user. Of a message of more than 4096 bytes, the beginning and the end are
    /// kept; escape sequences of terminals and other control characters are not.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = cut_middle(printable(message.into()), MAX_MESSAGE).into_owned();
        self
    }

    /// Sets the vendor's error code, cut to 128 bytes; an empty one is ignored.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        let code = cut(printable(code.into()), MAX_CODE).into_owned();
        self.code = Some(code).filter(|code| !code.is_empty());
        self
    }

    /// Adds a link for Flyte's console; one of more than 2048 bytes is ignored. One whose scheme is neither `http` nor
    /// `https` is left out, logged and counted: a click would run `javascript:` in the console.
    pub fn link(self, name: impl Into<String>, uri: impl Into<String>) -> Self {
        let name = cut(printable(name.into()), MAX_CODE).into_owned();
        self.with_link(Link { name, uri: uri.into(), encoded: None })
    }

    /// Adds a link that a connector made.
    pub(crate) fn encoded_link(self, link: Link) -> Self {
        if link.name.len() <= MAX_CODE { self.with_link(link) } else { self }
    }

    fn with_link(mut self, link: Link) -> Self {
        if !is_page(&link.uri) {
            self.refused_links = self.refused_links.saturating_add(1);
        } else if link.uri.len() <= MAX_URI {
            self.links.push(link);
        }
        self
    }

    /// Adds a fact for `custom_info`; `None` adds nothing. A string is cut to 4096 bytes; a list or an object of
    /// more than that is ignored. Strings lose control characters, as messages do.
    pub fn info(mut self, key: impl Into<String>, value: Option<impl Into<Json>>) -> Self {
        if let Some(fact) = value.and_then(|value| bounded(value.into())) {
            self.info.insert(cut(printable(key.into()), MAX_CODE).into_owned(), fact);
        }
        self
    }

    /// Sets the output `name`; `None` sets nothing.
    pub fn output(mut self, name: impl Into<String>, value: Option<Value>) -> Self {
        if let (Outputs::Values(values), Some(value)) = (&mut self.outputs, value) {
            values.insert(name.into(), value);
        }
        self
    }

    /// Says that the job has written no outputs, although the task may declare some: Flyte is given none, and does not
    /// look for them below the output prefix.
    pub fn without_outputs(mut self) -> Self {
        // Flyte's LiteralMap without literals.
        self.outputs = Outputs::Encoded(Bytes::new());
        self
    }

    /// Sets the outputs as a connector encoded them: Flyte's `LiteralMap`.
    pub(crate) fn encoded_outputs(mut self, outputs: Bytes) -> Self {
        self.outputs = Outputs::Encoded(outputs);
        self
    }

    /// The job's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
}

/// Whether `uri` leads to a page, and is what it looks like: browsers skip line breaks and tabs in a scheme.
fn is_page(uri: &str) -> bool {
    let has = |scheme: &str| {
        uri.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    // Most are ASCII, as in `is_printable`.
    let is_plain = uri.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
    let is_as_seen = || !uri.chars().any(|it| acts(it) || it.is_whitespace());
    (has("http://") || has("https://")) && (is_plain || is_as_seen())
}

/// `fact` of at most [`MAX_MESSAGE`] bytes, whose strings are printable.
fn bounded(fact: Json) -> Option<Json> {
    match fact {
        Json::String(text) => Some(cut_middle(printable(text), MAX_MESSAGE).into_owned().into()),
        Json::Array(_) | Json::Object(_) if fact.to_string().len() > MAX_MESSAGE => None,
        fact if has_printable_strings(&fact) => Some(fact),
        fact => Some(printable_json(fact)),
    }
}

/// `json` with printable strings.
fn printable_json(json: Json) -> Json {
    match json {
        Json::String(text) => printable(text).into_owned().into(),
        Json::Array(items) => items.into_iter().map(printable_json).collect(),
        Json::Object(members) => {
            let member = |(name, value)| (printable(name).into_owned(), printable_json(value));
            members.into_iter().map(member).collect()
        }
        plain => plain,
    }
}

fn has_printable_strings(json: &Json) -> bool {
    match json {
        Json::String(text) => is_printable(text),
        Json::Array(items) => items.iter().all(has_printable_strings),
        Json::Object(members) => {
            members.iter().all(|(name, value)| is_printable(name) && has_printable_strings(value))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_vendors_texts_are_cut() {
        let long = "x".repeat(1 << 20);
        let status = Status::unknown_state(long.clone())
            .code(long.clone())
            .message(long.clone())
            .link("Console", long.clone())
            .info("text", Some(long.clone()))
            .info("list", Some(json!([long])))
            .info("number", Some(7));
        assert_eq!(status.unknown_state.unwrap().len(), MAX_CODE);
        assert_eq!(status.code.unwrap().len(), MAX_CODE);
        assert!(status.message.len() <= MAX_MESSAGE);
        assert!(status.links.is_empty());
        assert_eq!(status.info.keys().collect::<Vec<_>>(), ["number", "text"]);
        assert!(status.info["text"].as_str().unwrap().len() <= MAX_MESSAGE);
    }

    #[test]
    fn only_pages_are_links() {
        let uris = [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "s3://bucket/key",
            "//evil.example.com",
            "/console",
            "https:",
            "https://a/\u{202e}b",
            "https://a/b c",
            "",
        ];
        let status = uris.into_iter().fold(Status::new(Phase::Running), |status, uri| {
            let encoded = Link { name: "x".to_owned(), uri: uri.to_owned(), encoded: None };
            status.link("x", uri).encoded_link(encoded)
        });
        assert_eq!((&status.links[..], status.refused_links as usize), (&[][..], 2 * uris.len()));
        let pages = ["https://a", "http://127.0.0.1:8080/?q=ü#1", "HTTPS://dbc.cloud/#job/1/run/2"];
        let status = pages
            .into_iter()
            .fold(Status::new(Phase::Running), |status, uri| status.link("x", uri));
        assert_eq!((status.links.len(), status.refused_links), (pages.len(), 0));
    }

    #[test]
    fn nothing_of_a_vendor_steers_a_terminal() {
        let hostile = "\u{1b}[31ma\0\u{1b}[0m";
        let status = Status::unknown_state(hostile)
            .code(hostile)
            .message(hostile)
            .link(hostile, "https://a")
            .info(hostile, Some(json!({hostile: [hostile, 1]})))
            .info("text", Some(hostile));
        assert_eq!(status.unknown_state.as_deref(), Some("a"));
        assert_eq!((status.code.as_deref(), &*status.message), (Some("a"), "a"));
        assert_eq!(status.links[0].name, "a");
        assert_eq!(json!(status.info), json!({"a": {"a": ["a", 1]}, "text": "a"}));
    }

    #[test]
    fn the_end_of_a_long_message_is_kept() {
        let trace = format!("Traceback\n{}ValueError: the cause", "  frame\n".repeat(10_000));
        let message = Status::new(Phase::Failed).message(trace).message;
        assert!(message.starts_with("Traceback") && message.ends_with("ValueError: the cause"));
    }
}
