//! What a vendor was seen to answer, step by step.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::upstream::Answer;

/// Recorded answers of one vendor: all that the conformance suite needs to know of it.
///
/// Kept as JSON in the plugin's `tests/recorded.json`, a member for each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// A task that the vendor takes: a CreateTaskRequest as proto-JSON.
    pub task: Json,
    /// A `custom` that is wrong.
    pub bad_custom: Json,
    /// What the answer to it must name.
    pub bad_field: String,
    /// Command-line arguments beside `--endpoint`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Secrets that the plugin reads, by name. `{{rsa_private_key}}` becomes a key in PEM.
    #[serde(default)]
    pub secrets: BTreeMap<String, Json>,
    /// The answer to a submit.
    pub created: Answer,
    /// The answer to the same submit again.
    pub repeated: Answer,
    /// The answer to a submit that the vendor refuses for good.
    pub refused: Answer,
    /// What of that answer the user must read.
    pub refused_words: String,
    /// A poll of a running job.
    pub running: Answer,
    /// A poll of a job that went well.
    pub succeeded: Answer,
    /// A poll of a job that failed and would fail again.
    pub failed: Answer,
    /// A poll of a job in a state that nobody knows.
    pub unknown_state: Answer,
    /// The answer to a cancel.
    pub cancelled: Answer,
    /// The answer to whatever is asked about a job that is gone.
    pub gone: Answer,
    /// The answer to credentials that are not accepted.
    pub unauthorized: Answer,
    /// The answer to too many requests.
    pub throttled: Answer,
    /// The answer of a vendor in trouble.
    pub unavailable: Answer,
}

impl Recorded {
    /// Reads a `recorded.json`.
    ///
    /// # Panics
    /// When it is none, with the path of the wrong member.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        parse(json)
    }

    /// The secret files to lay down.
    pub(super) fn secret_files(&self) -> Vec<(String, String)> {
        secret_files(&self.secrets)
    }
}

/// Recorded answers of one vendor to a sync plugin: all that its conformance suite needs to know.
///
/// Kept as JSON in the plugin's `tests/recorded.json`, a member for each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncRecorded {
    /// A task that the vendor answers: a CreateTaskRequest as proto-JSON.
    pub task: Json,
    /// A `custom` that is wrong.
    pub bad_custom: Json,
    /// What the answer to it must name.
    pub bad_field: String,
    /// Command-line arguments beside `--endpoint`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Secrets that the plugin reads, by name. `{{rsa_private_key}}` becomes a key in PEM.
    #[serde(default)]
    pub secrets: BTreeMap<String, Json>,
    /// The answer to a call that went well.
    pub succeeded: Answer,
    /// What the task's outputs then are: a LiteralMap as proto-JSON, or null for none.
    pub outputs: Json,
    /// The answer to a call that the vendor refuses for good.
    pub refused: Answer,
    /// What of that answer the user must read.
    pub refused_words: String,
    /// The answer to credentials that are not accepted.
    pub unauthorized: Answer,
    /// The answer to too many requests.
    pub throttled: Answer,
    /// The answer of a vendor in trouble.
    pub unavailable: Answer,
}

impl SyncRecorded {
    /// Reads a `recorded.json`.
    ///
    /// # Panics
    /// When it is none, with the path of the wrong member.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        parse(json)
    }

    /// The secret files to lay down.
    pub(super) fn secret_files(&self) -> Vec<(String, String)> {
        secret_files(&self.secrets)
    }
}

#[expect(clippy::panic, reason = "a test's")]
fn parse<T: DeserializeOwned>(json: &str) -> T {
    let mut json = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut json)
        .unwrap_or_else(|error| panic!("recorded.json: {}: {}", error.path(), error.inner()))
}

fn secret_files(secrets: &BTreeMap<String, Json>) -> Vec<(String, String)> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let key = || serde_json::to_string(super::rsa_private_key()).unwrap_or_default();
    let filled = |value: &Json| {
        let text = text(value);
        // Within JSON as a JSON text, by itself as it is.
        text.replace("\"{{rsa_private_key}}\"", &key())
            .replace("{{rsa_private_key}}", super::rsa_private_key())
    };
    secrets.iter().map(|(name, value)| (name.clone(), filled(value))).collect()
}

/// The longest line of each secret: what a leak would show.
pub(super) fn canaries(files: &[(String, String)]) -> impl Iterator<Item = String> {
    files.iter().filter_map(|(_, value)| {
        let parts = value.split(['\n', '"', '\\']).map(str::to_owned);
        parts.max_by_key(String::len).filter(|part| part.len() >= 16)
    })
}
