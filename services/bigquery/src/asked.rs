//! Whether a job that BigQuery has is the one that was asked for.

use plugin_core::serde_json::{Map, Value as Json};

/// The first path below `asked` at which the configuration `found` differs.
///
/// BigQuery adds defaults, writes some numbers as strings and leaves out what is empty, so only values that
/// are there and different count.
pub(crate) fn difference(asked: &Json, found: &Json) -> Option<String> {
    let query = |configuration: &Json| configuration["query"]["queryParameters"].clone();
    if query(asked).is_null() && query(found).as_array().is_some_and(|all| !all.is_empty()) {
        return Some("query.queryParameters".to_owned());
    }
    differs(asked, found, "", "")
}

/// `kind` is the type of the query parameter that `asked` is in.
fn differs(asked: &Json, found: &Json, path: &str, kind: &str) -> Option<String> {
    let difference = || Some(path.to_owned());
    match (asked, found) {
        (_, Json::Null) | (Json::Null, _) => None,
        (Json::Object(asked), Json::Object(found)) => in_object(asked, found, path, kind),
        (Json::Array(asked), Json::Array(found)) if asked.len() != found.len() => difference(),
        (Json::Array(asked), Json::Array(found)) => {
            let mut items = asked.iter().zip(found);
            items.find_map(|(asked, found)| differs(asked, found, path, kind))
        }
        (Json::Object(_) | Json::Array(_), _) | (_, Json::Object(_) | Json::Array(_)) => {
            difference()
        }
        (asked, found) if is_same_scalar(&text(asked), &text(found), kind) => None,
        _ => difference(),
    }
}

fn in_object(
    asked: &Map<String, Json>,
    found: &Map<String, Json>,
    path: &str,
    kind: &str,
) -> Option<String> {
    let own = asked.get("parameterType").and_then(|ty| {
        ty["type"]
            .as_str()
            .filter(|own| *own != "ARRAY")
            .or_else(|| ty["arrayType"]["type"].as_str())
    });
    let kind = own.unwrap_or(kind);
    // A parameter without a value is NULL, which BigQuery may leave out.
    let lacks_value = |of: &Map<String, Json>| of.get("value").is_none_or(Json::is_null);
    if path.ends_with("parameterValue") && lacks_value(asked) != lacks_value(found) {
        return Some(path.to_owned());
    }
    asked.iter().find_map(|(key, asked)| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        differs(asked, found.get(key).unwrap_or(&Json::Null), &path, kind)
    })
}

fn text(scalar: &Json) -> String {
    match scalar {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether `asked` and `found` are the same value of the type `kind`.
fn is_same_scalar(asked: &str, found: &str, kind: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    asked == found
        || match kind {
            "FLOAT64" | "FLOAT" => number(asked).is_some() && number(asked) == number(found),
            "TIMESTAMP" | "DATETIME" | "TIME" => instant(asked) == instant(found),
            "BOOL" | "BOOLEAN" => asked.eq_ignore_ascii_case(found),
            _ => false,
        }
}

/// A time in one of the forms that BigQuery writes.
fn instant(text: &str) -> String {
    let text = text.trim_end_matches("+00:00").trim_end_matches("+00").trim_end_matches(" UTC");
    let text = text.trim_end_matches('Z').replacen(' ', "T", 1);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    fn parameter(kind: &str, value: &Json) -> Json {
        json!({"query": {"query": "SELECT @x", "queryParameters": [
            {"name": "x", "parameterType": {"type": kind}, "parameterValue": value},
        ]}})
    }

    #[test]
    fn what_bigquery_adds_and_rewrites_is_no_difference() {
        let asked = json!({"labels": {"a": "b"}, "query": {
            "query": "SELECT 1", "maximumBytesBilled": 5, "useLegacySql": false, "writeDisposition": "",
        }});
        let found = json!({"jobType": "QUERY", "query": {
            "query": "SELECT 1", "maximumBytesBilled": "5", "useLegacySql": false,
            "priority": "INTERACTIVE", "destinationTable": {"tableId": "anon"},
        }});
        assert_eq!(difference(&asked, &found), None);
        assert_eq!(difference(&asked, &Json::Null), None);
        for (kind, ours, theirs) in [
            ("FLOAT64", "19.99", "19.990"),
            ("FLOAT64", "1e300", "1E+300"),
            ("BOOL", "true", "TRUE"),
            ("TIMESTAMP", "2026-03-01T06:30:15.25Z", "2026-03-01 06:30:15.250000 UTC"),
            ("TIMESTAMP", "2026-03-01T06:30:15Z", "2026-03-01 06:30:15+00:00"),
        ] {
            let asked = parameter(kind, &json!({ "value": ours }));
            let found = parameter(kind, &json!({ "value": theirs }));
            assert_eq!(difference(&asked, &found), None, "{ours} {theirs}");
        }
    }

    #[test]
    fn another_request_is_found_by_its_path() {
        let asked = parameter("INT64", &json!({"value": "9007199254740993"}));
        for (found, path) in [
            (json!({"query": {"query": "SELECT 2"}}), "query.query"),
            (
                parameter("INT64", &json!({"value": "9007199254740992"})),
                "query.queryParameters.parameterValue.value",
            ),
            (parameter("INT64", &json!({})), "query.queryParameters.parameterValue"),
            (
                parameter("STRING", &json!({"value": "9007199254740993"})),
                "query.queryParameters.parameterType.type",
            ),
            (json!({"query": {"queryParameters": []}}), "query.queryParameters"),
        ] {
            assert_eq!(difference(&asked, &found).as_deref(), Some(path), "{found}");
        }
        let none = json!({"query": {"query": "SELECT @x"}});
        assert_eq!(difference(&none, &asked).as_deref(), Some("query.queryParameters"));
        let timed = |seconds| parameter("TIMESTAMP", &json!({ "value": seconds }));
        let (first, second) = (timed("2026-03-01T06:30:10Z"), timed("2026-03-01T06:30:11Z"));
        assert!(difference(&first, &second).is_some());
        let list = |items: Json| parameter("ARRAY", &json!({ "arrayValues": items }));
        let (short, long) = (list(json!([])), list(json!([{"value": "1"}])));
        assert!(difference(&short, &long).is_some());
        for (ours, theirs) in [("1.5", "2.5"), ("one", "two"), ("1.5", "two")] {
            let float = |value: &str| parameter("FLOAT64", &json!({ "value": value }));
            assert!(difference(&float(ours), &float(theirs)).is_some(), "{ours} {theirs}");
        }
        let (text, list) = (json!({"x": "[1]"}), json!({"x": [1]}));
        assert_eq!(difference(&text, &list).as_deref(), Some("x"));
        assert_eq!(difference(&list, &text).as_deref(), Some("x"));
    }
}
