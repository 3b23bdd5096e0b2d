//! Validates JSON against a Google discovery document, the published schema of a Google API.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value as Json;

/// A discovery document.
#[derive(Debug)]
pub struct Discovery(Json);

/// The direction of a message: output-only fields must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To Google.
    Request,
    /// From Google.
    Response,
}

impl Discovery {
    /// The path where `cargo xtask test` puts `bigquery.v2.json`.
    #[must_use]
    pub fn path() -> PathBuf {
        crate::target().join("interop/bigquery.v2.json")
    }

    /// Reads the document at [`path`](Self::path); `None` if it does not exist.
    ///
    /// # Errors
    /// If it exists but is not JSON.
    pub fn installed() -> Result<Option<Self>> {
        let path = Self::path();
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)?;
        let json = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Some(Self(json)))
    }

    /// Checks a body against the schema `name`.
    ///
    /// # Errors
    /// The path of the first value that the schema does not allow.
    pub fn check_body(&self, name: &str, body: &Json, direction: Direction) -> Result<(), String> {
        let Some(schema) = self.schema(name) else {
            return Err(format!("{name}: no such schema"));
        };
        self.check(name, schema, body, direction)
    }

    /// Checks that `method` (for example `jobs.get`) has every parameter of `query`.
    ///
    /// # Errors
    /// The first unknown parameter.
    pub fn check_query<'a>(
        &self,
        method: &str,
        query: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), String> {
        let (resource, verb) = method.split_once('.').ok_or("resource.method")?;
        let known = &self.0["resources"][resource]["methods"][verb]["parameters"];
        for name in query {
            if known.get(name).is_none() && self.0["parameters"].get(name).is_none() {
                return Err(format!("{method} has no parameter {name}"));
            }
        }
        Ok(())
    }

    /// The schema `name`.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Json> {
        self.0["schemas"].get(name)
    }

    /// The schema of the member `name` of objects of `schema`, or of lists of them.
    #[must_use]
    pub fn member<'a>(&'a self, schema: &'a Json, name: &str) -> Option<&'a Json> {
        match (schema["$ref"].as_str(), schema.get("items")) {
            (Some(named), _) => self.member(self.schema(named)?, name),
            (None, Some(items)) => self.member(items, name),
            (None, None) => schema["properties"].get(name),
        }
    }

    fn check(
        &self,
        path: &str,
        schema: &Json,
        value: &Json,
        direction: Direction,
    ) -> Result<(), String> {
        if let Some(name) = schema["$ref"].as_str() {
            let named = self.0["schemas"].get(name).ok_or_else(|| format!("{name}: no schema"))?;
            return self.check(path, named, value, direction);
        }
        match schema["type"].as_str() {
            Some("object") => self.check_object(path, schema, value, direction),
            Some("array") => self.check_array(path, schema, value, direction),
            Some(scalar) => check_scalar(path, scalar, schema, value),
            None => Ok(()),
        }
    }

    fn check_object(
        &self,
        path: &str,
        schema: &Json,
        value: &Json,
        direction: Direction,
    ) -> Result<(), String> {
        let object = value.as_object().ok_or_else(|| format!("{path}: is not an object"))?;
        for (name, member) in object {
            let path = format!("{path}.{name}");
            let known =
                schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            let known = known.ok_or_else(|| format!("{path}: no such field"))?;
            if direction == Direction::Request && known["readOnly"] == true {
                return Err(format!("{path}: is output only"));
            }
            self.check(&path, known, member, direction)?;
        }
        Ok(())
    }

    fn check_array(
        &self,
        path: &str,
        schema: &Json,
        value: &Json,
        direction: Direction,
    ) -> Result<(), String> {
        let items = value.as_array().ok_or_else(|| format!("{path}: is not a list"))?;
        items.iter().enumerate().try_for_each(|(index, item)| {
            self.check(&format!("{path}[{index}]"), &schema["items"], item, direction)
        })
    }
}

fn check_scalar(path: &str, kind: &str, schema: &Json, value: &Json) -> Result<(), String> {
    let fits = match (kind, schema["format"].as_str()) {
        ("any", _) => true,
        ("string", Some("int64")) => value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        ("string", Some("uint64")) => {
            value.as_str().is_some_and(|text| text.parse::<u64>().is_ok())
        }
        ("string", _) => value.is_string(),
        ("boolean", _) => value.is_boolean(),
        ("integer", _) => value.is_i64(),
        ("number", _) => value.is_number(),
        _ => false,
    };
    if !fits {
        return Err(format!("{path}: {value} is not a {kind} {}", schema["format"]));
    }
    match schema["enum"].as_array() {
        Some(allowed) if !allowed.contains(value) => {
            Err(format!("{path}: {value} is not one of {}", schema["enum"]))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_outside_the_schema_are_reported() {
        let discovery = Discovery(json!({
            "parameters": {"alt": {}},
            "resources": {"jobs": {"methods": {"get": {"parameters": {"location": {}}}}}},
            "schemas": {
                "Job": {"type": "object", "properties": {
                    "id": {"type": "string", "readOnly": true},
                    "bytes": {"type": "string", "format": "int64"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "parts": {"type": "array", "items": {"$ref": "Part"}},
                    "mode": {"type": "string", "enum": ["A", "B"]},
                }},
                "Part": {"type": "object", "properties": {"n": {"type": "integer"}}},
            },
        }));
        let check = |body: Json, way| discovery.check_body("Job", &body, way);
        let good = json!({"bytes": "1", "labels": {"a": "b"}, "parts": [{"n": 1}], "mode": "A"});
        assert_eq!(check(good, Direction::Request), Ok(()));
        assert_eq!(check(json!({"id": "x"}), Direction::Response), Ok(()));
        for (body, expected) in [
            (json!({"id": "x"}), "Job.id: is output only"),
            (json!({"byte": 1}), "Job.byte: no such field"),
            (json!({"bytes": 1}), "Job.bytes: 1 is not a string \"int64\""),
            (json!({"bytes": "x"}), "Job.bytes: \"x\" is not a string \"int64\""),
            (json!({"labels": {"a": 1}}), "Job.labels.a: 1 is not a string null"),
            (json!({"parts": {}}), "Job.parts: is not a list"),
            (json!({"parts": [{"m": 1}]}), "Job.parts[0].m: no such field"),
            (json!({"mode": "C"}), "Job.mode: \"C\" is not one of [\"A\",\"B\"]"),
        ] {
            assert_eq!(check(body, Direction::Request).unwrap_err(), expected);
        }
        assert_eq!(discovery.check_query("jobs.get", ["location", "alt"]), Ok(()));
        assert!(discovery.check_query("jobs.get", ["place"]).is_err());
    }
}
