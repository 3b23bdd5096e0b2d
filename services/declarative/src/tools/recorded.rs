//! A vendor's answers in a file: the conformance suite's `recorded.json`.

use std::collections::BTreeMap;

use plugin_core::{
    http::{HeaderMap, HeaderName, HeaderValue},
    serde_json::{self, Map, Value as Json},
};
use serde::Deserialize;

use crate::{errors::header_map, expression::Scope};

/// The members that are no answers.
const OTHERS: [&str; 7] =
    ["task", "bad_custom", "bad_field", "args", "outputs", "secrets", "refused_message"];

/// A recorded answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Json,
}

fn ok() -> u16 {
    200
}

impl Answer {
    pub(super) fn header_map(&self) -> HeaderMap {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        });
        headers.collect()
    }

    /// `scope` with this answer.
    pub(super) fn seen_in(&self, scope: Scope) -> Scope {
        let headers = header_map(&self.header_map());
        scope.with("body", &self.body).with("status", self.status).with("headers", headers)
    }
}

/// The answers in `text`, by step; its other members are left out.
///
/// # Errors
/// What is wrong with them.
pub(super) fn answers(text: &str) -> Result<BTreeMap<String, Vec<Answer>>, String> {
    let recorded = serde_json::from_str::<Map<String, Json>>(text);
    let recorded = recorded.map_err(|error| format!("the recorded answers: {error}"))?;
    let steps = recorded.into_iter().filter(|(step, _)| !OTHERS.contains(&step.as_str()));
    let read = steps.map(|(step, answers)| {
        let answers = match answers {
            Json::Array(answers) => answers,
            answer => vec![answer],
        };
        let read = answers.into_iter().map(serde_json::from_value).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| format!("the recorded answers: {step}: {error}"))?;
        Ok((step, read))
    });
    read.collect()
}
