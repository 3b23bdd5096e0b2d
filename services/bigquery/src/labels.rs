//! Labels that lead from a job back to its Flyte execution, on invoices and in `INFORMATION_SCHEMA`.

use std::collections::BTreeMap;

use plugin_core::{
    context::Execution,
    serde_json::{Map, Value as Json},
};

/// Google's limit for keys and values, in characters.
const MAX_LABEL: usize = 63;

/// Google's limit for one job.
const MAX_LABELS: usize = 64;

/// The execution's own labels, and Flyte's names where there are any.
pub(crate) fn of(execution: &Execution, own: &BTreeMap<String, String>) -> Map<String, Json> {
    let attempt = execution.attempt.to_string();
    let names = [
        ("flyte-project", execution.project.as_str()),
        ("flyte-domain", &execution.domain),
        ("flyte-execution", &execution.name),
        ("flyte-node", &execution.node),
        ("flyte-task", &execution.task),
        ("flyte-attempt", if execution.name.is_empty() { "" } else { &attempt }),
    ];
    let names = names.into_iter().filter(|(_, value)| !value.is_empty());
    let own = own.iter().filter_map(|(key, value)| Some((label_key(key)?, sanitised(value))));
    own.take(MAX_LABELS - names.clone().count())
        .chain(names.map(|(key, value)| (key.to_owned(), sanitised(value))))
        .map(|(key, value)| (key, value.into()))
        .collect()
}

/// `key` in the form that Google accepts; none when it has no letters.
fn label_key(key: &str) -> Option<String> {
    let mut key = sanitised(key);
    let start = key.find(|c: char| c.is_ascii_lowercase())?;
    key.drain(..start);
    Some(key)
}

/// Only lower-case letters, digits, `_` and `-`. A value that is too long keeps its end, where names
/// differ.
fn sanitised(value: &str) -> String {
    let plain = |byte: u8| match byte.to_ascii_lowercase() {
        byte if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' => byte,
        _ => b'-',
    };
    let cut = value.chars().count().saturating_sub(MAX_LABEL);
    let start = value.char_indices().nth(cut).map_or(value.len(), |(at, _)| at);
    let mut label = String::with_capacity(MAX_LABEL.min(value.len()));
    // One for each character: the first of its bytes.
    let first = |byte: &u8| byte & 0xc0 != 0x80;
    label.extend(value[start..].bytes().filter(first).map(|byte| char::from(plain(byte))));
    label
}

#[cfg(test)]
mod tests {
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
        assert_eq!((&labels["team"], &labels["st-owner"]), (&"growth---co".into(), &"ann".into()));
        assert_eq!(labels.len(), 6, "{labels:?}");
        assert_eq!(labels["flyte-project"], "flytesnacks");
        assert_eq!(labels["flyte-execution"], "f7a1-b2");
        assert_eq!(labels["flyte-attempt"], "2");
        let task = labels["flyte-task"].as_str().unwrap();
        assert!(task.len() == MAX_LABEL && task.ends_with("-last"), "{task}");
        assert!(!labels.contains_key("flyte-node"));
        assert!(of(&Execution::default(), &BTreeMap::new()).is_empty());
        let many = (0..100).map(|n| (format!("l{n}"), String::new())).collect();
        assert_eq!(of(&execution, &many).len(), MAX_LABELS);
    }
}
