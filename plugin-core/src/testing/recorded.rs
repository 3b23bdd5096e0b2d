//! `recorded.json`: a vendor's answers, step by step.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Value as Json;

use super::upstream::Answer;

/// A vendor's recorded answers: all that the conformance suite needs to know of a plugin.
///
/// Kept as JSON in the plugin's `tests/recorded.json`, a member for each field. A step in which the
/// plugin makes several calls has a list of answers, one for each call in order. A create that first
/// looks for the job and then submits it has, for example:
///
/// ```json
/// "created": [{"body": {"jobs": []}}, {"status": 201, "body": {"id": 1}}],
/// "repeated": {"body": {"jobs": [{"id": 1}]}}
/// ```
///
/// Calls beyond the list get its last answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// A task that the vendor accepts: a CreateTaskRequest as proto-JSON.
    pub task: Json,
    /// A `custom` with a wrong field.
    pub bad_custom: Json,
    /// The path of that field, which the error must name.
    pub bad_field: String,
    /// Command-line arguments besides `--endpoint`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Secrets that the plugin reads, by name. `{{rsa_private_key}}` becomes a key in PEM.
    #[serde(default)]
    pub secrets: BTreeMap<String, Json>,
    /// A create.
    #[serde(deserialize_with = "one_or_more")]
    pub created: Vec<Answer>,
    /// The same create again. Requests beyond these may only look at the job.
    #[serde(deserialize_with = "one_or_more")]
    pub repeated: Vec<Answer>,
    /// A create that the vendor refuses for good.
    #[serde(deserialize_with = "one_or_more")]
    pub refused: Vec<Answer>,
    /// The part of the refusal that the user must read.
    #[serde(alias = "refused_words")]
    pub refused_message: String,
    /// A poll of a running job.
    #[serde(deserialize_with = "one_or_more")]
    pub running: Vec<Answer>,
    /// A poll of a job that succeeded.
    #[serde(deserialize_with = "one_or_more")]
    pub succeeded: Vec<Answer>,
    /// A poll of a job that failed and would fail again.
    #[serde(deserialize_with = "one_or_more")]
    pub failed: Vec<Answer>,
    /// A poll of a job in a state that the plugin does not know.
    #[serde(deserialize_with = "one_or_more")]
    pub unknown_state: Vec<Answer>,
    /// A cancel.
    #[serde(deserialize_with = "one_or_more")]
    pub cancelled: Vec<Answer>,
    /// A poll or a cancel of a job that the vendor no longer has.
    #[serde(deserialize_with = "one_or_more")]
    pub gone: Vec<Answer>,
    /// The answer to credentials that are not accepted.
    pub unauthorized: Answer,
    /// The answer to too many requests.
    pub throttled: Answer,
    /// The answer during an outage.
    pub unavailable: Answer,
}

/// A vendor's recorded answers to a sync plugin: all that its conformance suite needs to know of it.
///
/// Kept as JSON in the plugin's `tests/recorded.json`, a member for each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncRecorded {
    /// A task that the vendor accepts: a CreateTaskRequest as proto-JSON.
    pub task: Json,
    /// A `custom` with a wrong field.
    pub bad_custom: Json,
    /// The path of that field, which the error must name.
    pub bad_field: String,
    /// Command-line arguments besides `--endpoint`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Secrets that the plugin reads, by name. `{{rsa_private_key}}` becomes a key in PEM.
    #[serde(default)]
    pub secrets: BTreeMap<String, Json>,
    /// The answer to a call that succeeds.
    pub succeeded: Answer,
    /// The task's outputs after it: a LiteralMap as proto-JSON, or null.
    pub outputs: Json,
    /// The answer to a call that the vendor refuses for good.
    pub refused: Answer,
    /// The part of the refusal that the user must read.
    #[serde(alias = "refused_words")]
    pub refused_message: String,
    /// The answer to credentials that are not accepted.
    pub unauthorized: Answer,
    /// The answer to too many requests.
    pub throttled: Answer,
    /// The answer during an outage.
    pub unavailable: Answer,
}

/// What the recordings of both kinds of plugins have.
pub(super) trait Recording {
    fn task(&self) -> &Json;
    fn args(&self) -> &[String];
    fn secrets(&self) -> &BTreeMap<String, Json>;

    /// Names and contents of the secret files.
    fn secret_files(&self) -> Vec<(String, String)> {
        self.secrets().iter().map(|(name, value)| (name.clone(), secret(value))).collect()
    }
}

macro_rules! recording {
    ($recorded:ty) => {
        impl $recorded {
            /// Reads a `recorded.json`.
            ///
            /// # Panics
            /// When it is not valid, with the path of the wrong member.
            #[must_use]
            pub fn parse(json: &str) -> Self {
                parse(json)
            }
        }

        impl Recording for $recorded {
            fn task(&self) -> &Json {
                &self.task
            }

            fn args(&self) -> &[String] {
                &self.args
            }

            fn secrets(&self) -> &BTreeMap<String, Json> {
                &self.secrets
            }
        }
    };
}

recording!(Recorded);
recording!(SyncRecorded);

#[expect(clippy::panic, reason = "a test's")]
fn parse<T: DeserializeOwned>(json: &str) -> T {
    let mut json = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut json)
        .unwrap_or_else(|error| panic!("recorded.json: {}: {}", error.path(), error.inner()))
}

/// Reads an answer, or a list of answers. An untagged enum would lose the path of a wrong member.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Answer>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<Answer>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an answer or a list of at least one answer")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<Answer>, A::Error> {
            Answer::deserialize(MapAccessDeserializer::new(map)).map(|answer| vec![answer])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<Answer>, A::Error> {
            let answers = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
            if answers.is_empty() {
                return Err(A::Error::invalid_length(0, &self));
            }
            Ok(answers)
        }
    }

    deserializer.deserialize_any(OneOrMore)
}

fn secret(value: &Json) -> String {
    let content = match value {
        Json::String(string) => string.clone(),
        other => other.to_string(),
    };
    let key = super::rsa_private_key();
    let quoted = serde_json::to_string(key).unwrap_or_default();
    // Within JSON as a JSON string, by itself as it is.
    content.replace("\"{{rsa_private_key}}\"", &quoted).replace("{{rsa_private_key}}", key)
}

/// The name of each secret, and its longest line, which a leak would show.
pub(super) fn canaries(files: &[(String, String)]) -> impl Iterator<Item = (String, String)> {
    files.iter().filter_map(|(name, value)| {
        let parts = value.split(['\n', '"', '\\']).map(str::to_owned);
        let longest = parts.max_by_key(String::len).filter(|part| part.len() >= 16)?;
        Some((name.clone(), longest))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Create {
        #[serde(deserialize_with = "one_or_more")]
        created: Vec<Answer>,
    }

    fn read(created: &Json) -> Create {
        parse(&json!({ "created": created }).to_string())
    }

    #[test]
    fn a_step_has_one_answer_or_a_list() {
        let statuses = |created: Json| {
            read(&created).created.iter().map(|answer| answer.status).collect::<Vec<_>>()
        };
        assert_eq!(statuses(json!({"status": 201})), [201]);
        assert_eq!(statuses(json!([{"body": {"jobs": []}}, {"status": 201}])), [200, 201]);
    }

    #[test]
    fn errors_name_the_wrong_member() {
        for (created, expected) in [
            (json!([{}, {"stat": 1}]), "recorded.json: created[1].stat: unknown field"),
            (json!({"status": "1"}), "recorded.json: created.status: invalid type"),
            (json!([]), "expected an answer or a list of at least one answer"),
            (json!(1), "expected an answer or a list of at least one answer"),
        ] {
            let panic = std::panic::catch_unwind(|| read(&created)).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains(expected), "{message}");
        }
    }
}
