//! What a task in a file says that no message of Flyte's has: the reader of requests ignores it, as newer SDKs send
//! more than this version knows, but in a file that a person wrote it is a misspelling.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json};
use server_core::{Error, Result};

/// Messages that Flyte extends from release to release, and of which little is read here. Their fields are not checked.
const OPEN: [&str; 6] =
    ["Container", "Identifier", "Identity", "K8sPod", "TaskExecutionMetadata", "TaskMetadata"];

/// Fields that Flyte's messages have and this repository's `proto/` leaves out.
const LEFT_OUT: [(&str, &[&str]); 9] = [
    ("Blob", &["metadata"]),
    ("Literal", &["metadata"]),
    ("LiteralOffloadedMetadata", &["inferred_type"]),
    ("LiteralType", &["annotation", "metadata", "structure"]),
    ("Schema", &["type"]),
    ("SchemaType", &["columns"]),
    ("StructuredDatasetType", &["columns", "external_schema_bytes", "external_schema_type"]),
    ("TaskTemplate", &["extended_resources", "reuse_policy", "security_context", "worker_kind"]),
    ("Variable", &["artifact_partial_id", "artifact_tag"]),
];

/// Refuses a field or a value of an enum that `message` does not have, anywhere in `json`.
///
/// # Errors
/// `InvalidArgument` with the path of the field, and what would fit there.
pub(super) fn check(json: &Json, message: &MessageDescriptor) -> Result<()> {
    of_message(json, message, "")
}

fn of_message(json: &Json, message: &MessageDescriptor, path: &str) -> Result<()> {
    let is_google = message.package_name().starts_with("google.");
    let Json::Object(members) = json else { return Ok(()) };
    if is_google || OPEN.contains(&message.name()) {
        return Ok(());
    }
    for (name, value) in members {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match field(message, name) {
            Some(field) => of_field(value, &field, &path)?,
            None if is_left_out(message, name) => {}
            None => return Err(unknown_field(message, &path)),
        }
    }
    Ok(())
}

fn of_field(json: &Json, field: &FieldDescriptor, path: &str) -> Result<()> {
    match json {
        Json::Object(entries) if field.is_map() => of_entries(entries, field, path),
        Json::Array(items) if field.is_list() => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(at, item)| of_value(item, &field.kind(), &format!("{path}[{at}]")))
        }
        json => of_value(json, &field.kind(), path),
    }
}

fn of_entries(entries: &Map<String, Json>, field: &FieldDescriptor, path: &str) -> Result<()> {
    let Kind::Message(entry) = field.kind() else { return Ok(()) };
    let kind = entry.map_entry_value_field().kind();
    entries.iter().try_for_each(|(key, value)| of_value(value, &kind, &format!("{path}.{key}")))
}

fn of_value(json: &Json, kind: &Kind, path: &str) -> Result<()> {
    match (kind, json) {
        (Kind::Message(message), json) => of_message(json, message, path),
        (Kind::Enum(values), Json::String(name)) if values.get_value_by_name(name).is_none() => {
            let known = values.values().map(|value| value.name().to_owned());
            let known = known.collect::<Vec<_>>().join(", ");
            Err(Error::invalid(format!("{path}: unknown value {name:?}; there are {known}")))
        }
        _ => Ok(()),
    }
}

/// The field of that name, which may be in camel case, as in all of proto-JSON.
fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

fn is_left_out(message: &MessageDescriptor, name: &str) -> bool {
    let name = name.replace('_', "").to_ascii_lowercase();
    let fields = LEFT_OUT.iter().filter(|(of, _)| *of == message.name());
    fields.flat_map(|(_, fields)| *fields).any(|field| field.replace('_', "") == name)
}

fn unknown_field(message: &MessageDescriptor, path: &str) -> Error {
    let known = message.fields().map(|field| field.name().to_owned());
    let known = known.collect::<Vec<_>>().join(", ");
    Error::invalid(format!("{path}: unknown field of {}, which has {known}", message.name()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::create_request;

    fn refusal(inputs: serde_json::Value, interface: serde_json::Value) -> String {
        let template = json!({"type": "t", "interface": interface});
        let request = create_request(&json!({"template": template, "inputs": inputs}));
        request.unwrap_err().message().to_owned()
    }

    #[test]
    fn misspelt_literals_and_types_are_named() {
        let none = || json!({});
        let text = |literal: serde_json::Value| json!({"literals": {"text": literal}});
        for (inputs, interface, path) in [
            (text(json!({"scalr": {}})), none(), "inputs.literals.text.scalr: unknown field of"),
            (
                text(json!({"scalar": {"primitive": {"stringvalue": "hi"}}})),
                none(),
                "inputs.literals.text.scalar.primitive.stringvalue: unknown field of Primitive, \
                 which has integer, float_value, string_value, ",
            ),
            (json!({"literal": {}}), none(), "inputs.literal: unknown field of LiteralMap"),
            (
                none(),
                json!({"outputs": {"variables": {"o0": {"type": {"simple": "STRNG"}}}}}),
                "template.interface.outputs.variables.o0.type.simple: unknown value \"STRNG\"; \
                 there are NONE, INTEGER, ",
            ),
            (
                none(),
                json!({"outputs": {"variables": [{"key": "o0", "value": {"tpe": {}}}]}}),
                "template.interface.outputs.variables[0].value.tpe: unknown field of Variable",
            ),
        ] {
            let refusal = refusal(inputs, interface);
            assert!(refusal.starts_with(path), "{refusal}");
        }
        let request = create_request(&json!({"template": {"type": "t"}, "input": {}}));
        assert!(request.unwrap_err().message().starts_with("input: unknown field"));
    }

    #[test]
    fn what_only_flyte_reads_is_left_alone() {
        let template = json!({
            "type": "t",
            "custom": {"anything": {"goes": 1}},
            "metadata": {"retries": {"retries": 3}},
            "securityContext": {"runAs": {}},
            "interface": {"inputs": {"variables": {"x": {"type": {"simple": "STRING", "structure": {"tag": "str"}}}}}},
        });
        create_request(&json!({"template": template, "outputPrefix": "s3://b/1"})).unwrap();
    }
}
