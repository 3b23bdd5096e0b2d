//! Applies a plugin's `[chart.values]` to the template's values.yaml and keeps its comments.
//!
//! The template's file is plain block YAML, indented by two spaces, with one key per line. That is enough
//! to find a value by its path and to replace it with JSON, which is valid YAML.

use anyhow::{Result, bail};
use serde_json::{Map, Value as Json};

/// The file, below `template/`.
pub(crate) const FILE: &str = "chart/values.yaml";

/// `text` with the values of `overrides`.
///
/// # Errors
/// If the file has no such top-level key; the error lists the available keys.
pub(crate) fn overridden(text: &str, overrides: &Map<String, Json>) -> Result<String> {
    let mut lines = text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let whole = 0..lines.len();
    apply(&mut lines, whole, &mut Vec::new(), overrides)?;
    Ok(lines.join("\n") + "\n")
}

/// Applies `overrides` to the lines of `block` and returns the block's new end.
fn apply(
    lines: &mut Vec<String>,
    block: std::ops::Range<usize>,
    path: &mut Vec<String>,
    overrides: &Map<String, Json>,
) -> Result<usize> {
    let mut end = block.end;
    for (key, value) in overrides {
        let before = lines.len();
        path.push(key.clone());
        match find(&lines[block.start..end], path.len() - 1, key) {
            Some(at) => set(lines, block.start + at, end, path, value)?,
            // Nested maps are Kubernetes' own; the chart's schema says which accept other keys.
            None if path.len() > 1 => {
                lines.insert(end, format!("{}{key}: {value}", indentation(path)))
            }
            None => {
                let known = keys(&lines[block.start..end], 0).join(", ");
                bail!("chart.values.{key}: unknown chart value; available: {known}");
            }
        }
        path.pop();
        end = end + lines.len() - before;
    }
    Ok(end)
}

/// Sets the value whose key is in line `at`.
fn set(
    lines: &mut Vec<String>,
    at: usize,
    end: usize,
    path: &mut Vec<String>,
    value: &Json,
) -> Result<()> {
    let indent = lines[at].len() - lines[at].trim_start().len();
    let nested = lines[at + 1..end].iter().take_while(|line| belongs(line, indent)).count();
    // Comments before the next key belong to that key.
    let nested =
        lines[at + 1..=at + nested].iter().rposition(|line| is_value(line)).map_or(0, |n| n + 1);
    match value {
        Json::Object(overrides) if nested > 0 && !lines[at + 1].trim_start().starts_with("- ") => {
            apply(lines, at + 1..at + 1 + nested, path, overrides)?;
        }
        value => {
            let (key, _) = lines[at].split_once(':').unwrap_or((&lines[at], ""));
            lines[at] = format!("{key}: {value}");
            lines.drain(at + 1..=at + nested);
        }
    }
    Ok(())
}

/// The indentation of the last key of `path`.
fn indentation(path: &[String]) -> String {
    "  ".repeat(path.len() - 1)
}

fn find(lines: &[String], depth: usize, key: &str) -> Option<usize> {
    lines.iter().position(|line| key_of(line, depth) == Some(key))
}

fn keys(lines: &[String], depth: usize) -> Vec<&str> {
    lines.iter().filter_map(|line| key_of(line, depth)).collect()
}

/// The key in `line`, if its depth is `depth`.
fn key_of(line: &str, depth: usize) -> Option<&str> {
    let rest = line.strip_prefix(&"  ".repeat(depth))?;
    if rest.starts_with([' ', '#', '-']) {
        return None;
    }
    rest.split_once(':').map(|(key, _)| key.trim_matches('"'))
}

fn is_value(line: &str) -> bool {
    !line.trim_start().is_empty() && !line.trim_start().starts_with('#')
}

/// Whether `line` belongs to the block of a key that is indented by `indent`.
fn belongs(line: &str, indent: usize) -> bool {
    !is_value(line) || line.len() - line.trim_start().len() > indent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VALUES: &str = "\
# -- How many
replicaCount: 1
# -- What each gets
resources:
  # -- Least
  requests:
    cpu: 50m
    memory: 64Mi
  # -- Most
  limits:
    memory: 128Mi
# -- Where
tolerations: []
podAnnotations: {}
ports:
  - 1
  - 2

# -- Last
end: true
";

    fn with(overrides: &Json) -> Result<String> {
        overridden(VALUES, overrides.as_object().unwrap())
    }

    #[test]
    fn values_are_replaced_in_place() {
        let text =
            with(&json!({"replicaCount": 3, "resources": {"limits": {"memory": "1Gi"}}})).unwrap();
        let wanted =
            VALUES.replace("replicaCount: 1", "replicaCount: 3").replace("128Mi", "\"1Gi\"");
        assert_eq!(text, wanted);
        assert_eq!(with(&json!({})).unwrap(), VALUES);
    }

    #[test]
    fn blocks_and_open_maps_become_json() {
        let text = with(&json!({
            "tolerations": [{"key": "a"}], "podAnnotations": {"x/y": "z"}, "ports": [], "end": false
        }));
        let wanted = VALUES
            .replace("tolerations: []", "tolerations: [{\"key\":\"a\"}]")
            .replace("podAnnotations: {}", "podAnnotations: {\"x/y\":\"z\"}")
            .replace("ports:\n  - 1\n  - 2\n", "ports: []\n")
            .replace("end: true", "end: false");
        assert_eq!(text.unwrap(), wanted);
        let emptied = with(&json!({"resources": null})).unwrap();
        assert!(emptied.contains("resources: null\n# -- Where\n"), "{emptied}");
    }

    #[test]
    fn keys_are_added_to_nested_maps() {
        let text = with(&json!({"resources": {"limits": {"cpu": "1"}}})).unwrap();
        assert_eq!(
            text,
            VALUES.replace("    memory: 128Mi\n", "    memory: 128Mi\n    cpu: \"1\"\n")
        );
    }

    #[test]
    fn unknown_top_level_keys_are_rejected() {
        let error = with(&json!({"resource": {}})).unwrap_err().to_string();
        assert!(error.contains("chart.values.resource:"), "{error}");
        assert!(error.contains("replicaCount, resources"), "{error}");
    }
}
