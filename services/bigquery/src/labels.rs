//! Labels that lead from a job back to its Flyte execution, on invoices and in `INFORMATION_SCHEMA`.

use std::{borrow::Cow, collections::BTreeMap};

use plugin_core::{context::Execution, serde_json::Value as Json};
use serde::Serialize;

/// Google's limit for keys and values, in characters.
const MAX_LABEL: usize = 63;

/// Google's limit for one job.
const MAX_LABELS: usize = 64;

/// A job's labels. Most of Flyte's are sent as they came.
pub(crate) type Labels<'a> = BTreeMap<Cow<'a, str>, Label<'a>>;

/// A label's value.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Label<'a> {
    Flytes(Cow<'a, str>),
    /// From the task's configuration: Google checks it.
    Authors(Json),
}

/// The execution's own labels, and Flyte's names where there are any.
pub(crate) fn of<'a>(execution: &'a Execution, own: &'a BTreeMap<String, String>) -> Labels<'a> {
    let attempt = execution.attempt.to_string();
    let names = [
        ("flyte-project", execution.project.as_str()),
        ("flyte-domain", &execution.domain),
        ("flyte-execution", &execution.name),
        ("flyte-node", &execution.node),
        ("flyte-task", &execution.task),
    ];
    let names = names.into_iter().filter(|(_, value)| !value.is_empty());
    let names = names.map(|(key, value)| (Cow::Borrowed(key), sanitised(value)));
    let attempt = (!execution.name.is_empty()).then(|| ("flyte-attempt".into(), attempt.into()));
    let names = names.chain(attempt);
    let own = own.iter().filter_map(|(key, value)| Some((label_key(key)?, sanitised(value))));
    own.take(MAX_LABELS - names.clone().count())
        .chain(names)
        .map(|(key, value)| (key, Label::Flytes(value)))
        .collect()
}

/// `key` in the form that Google accepts; none when it has no letters.
fn label_key(key: &str) -> Option<Cow<'_, str>> {
    let key = sanitised(key);
    match key.find(|c: char| c.is_ascii_lowercase())? {
        0 => Some(key),
        start => Some(key[start..].to_owned().into()),
    }
}

/// Only lower-case letters, digits, `_` and `-`. A value that is too long keeps its end, where names
/// differ.
fn sanitised(value: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if value.len() <= MAX_LABEL && value.bytes().all(is_plain) {
        return value.into();
    }
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
        _ => '-',
    };
    let cut = value.chars().count().saturating_sub(MAX_LABEL);
    value.chars().skip(cut).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn flyte_names_become_valid_google_labels() {
        let mut execution = Execution::default();
        execution.project = "flytesnacks".to_owned();
        execution.name = "F7A1.b2".to_owned();
        execution.task = format!("acme.{}.last", "x".repeat(80));
        execution.attempt = 2;
        let own = BTreeMap::from([
            ("Team".to_owned(), "Growth & Co".to_owned()),
            ("1st/owner".to_owned(), "ann".to_owned()),
            ("42".to_owned(), "x".to_owned()),
        ]);
        let labels = of(&execution, &own);
        assert_eq!(labels.len(), 6, "{labels:?}");
        let labels = serde_json::to_value(&labels).unwrap();
        assert_eq!((&labels["team"], &labels["st-owner"]), (&json!("growth---co"), &json!("ann")));
        assert_eq!(labels["flyte-project"], "flytesnacks");
        assert_eq!(labels["flyte-execution"], "f7a1-b2");
        assert_eq!(labels["flyte-attempt"], "2");
        let task = labels["flyte-task"].as_str().unwrap();
        assert!(task.len() == MAX_LABEL && task.ends_with("-last"), "{task}");
        assert!(labels.get("flyte-node").is_none());
        assert!(of(&Execution::default(), &BTreeMap::new()).is_empty());
        let many = (0..100).map(|n| (format!("l{n}"), String::new())).collect();
        assert_eq!(of(&execution, &many).len(), MAX_LABELS);
    }
}
