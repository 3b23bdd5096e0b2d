//! The reference of the language, from the JSON Schema of its types.

use std::fmt::Write as _;

use plugin_core::serde_json::{Map, Value as Json};

use crate::file;

const HEAD: &str = "# Reference of plugins' files

Generated from the types that read them, by `UPDATE_REFERENCE=1 cargo test -p declarative --test reference`. The guide is
[declarative.md](declarative.md).
";

/// The reference in Markdown: a table of keys for each mapping.
#[must_use]
pub fn reference() -> String {
    let schema = file::schema();
    let mut text = HEAD.to_owned();
    section(&mut text, "The file", &schema);
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    for (name, definition) in definitions {
        section(&mut text, name, definition);
    }
    text
}

fn section(text: &mut String, name: &str, schema: &Json) {
    let _ = write!(text, "\n## {name}\n\n{}\n", line(&schema["description"]));
    if let Some(properties) = schema["properties"].as_object() {
        table(text, properties, schema);
    }
    let choices = ["oneOf", "enum"].iter().find_map(|kind| schema[*kind].as_array());
    let Some(choices) = choices else { return };
    text.push_str("\n| value | |\n|---|---|\n");
    for choice in choices {
        let about = line(&choice["description"]);
        let single = choice["properties"].as_object().and_then(|own| own.iter().next());
        let values = choice["enum"].as_array().map_or(&[][..], Vec::as_slice);
        let values =
            choice["const"].as_str().into_iter().chain(values.iter().filter_map(Json::as_str));
        for value in values.chain(choice.as_str()) {
            let _ = writeln!(text, "| `{value}` | {about} |");
        }
        if let Some((key, value)) = single {
            let _ = writeln!(text, "| `{key}:` {} | {about} |", kind(value));
        }
    }
}

fn table(text: &mut String, properties: &Map<String, Json>, schema: &Json) {
    text.push_str("\n| key | value | |\n|---|---|---|\n");
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (key, value) in properties {
        let must = if required.iter().any(|name| name == key) { ", required" } else { "" };
        let _ =
            writeln!(text, "| `{key}` | {}{must} | {} |", kind(value), line(&value["description"]));
    }
}

/// What a value is, in words.
fn kind(schema: &Json) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    if let Some(found) = choices.filter(|choice| choice["type"] != "null").map(kind).next() {
        return found;
    }
    let types = match &schema["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        other => other.as_str(),
    };
    match types {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("mapping of names to {}", kind(&schema["additionalProperties"]))
        }
        Some("object") => "mapping of names to any value".to_owned(),
        Some(name) => name.to_owned(),
        None => "any value".to_owned(),
    }
}

/// A description as a cell of a table.
fn line(description: &Json) -> String {
    let text = description.as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\\\|")
}
