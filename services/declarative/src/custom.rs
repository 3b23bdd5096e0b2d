//! The fields of a task's `custom`: their JSON Schema, and the check of a value.

use std::collections::BTreeMap;

use plugin_core::{
    Error, Result,
    serde_json::{Map, Value as Json, json},
};

use crate::{
    checker::Checker,
    expression::kind,
    file::{Field, FieldType},
    located::Entries,
    mistake::nearest,
};

/// The fields of `custom`.
#[derive(Debug)]
pub(crate) struct Fields(BTreeMap<String, One>);

#[derive(Debug)]
struct One {
    field: Field,
    default: Option<Json>,
}

impl Fields {
    pub(crate) fn compile(checker: &mut Checker<'_>, fields: &Entries<Field>) -> Self {
        let mut compiled = BTreeMap::new();
        for (name, field) in &fields.0 {
            check_form(checker, field);
            let default = default(checker, &name.value, field);
            compiled.insert(name.value.clone(), One { field: field.clone(), default });
        }
        Self(compiled)
    }

    /// The JSON Schema.
    pub(crate) fn schema(&self) -> Json {
        let of = |field: &Field, default: &Option<Json>| {
            let mut schema = type_schema(field.r#type);
            if let Some(items) = &field.items {
                schema["items"] = type_schema(items.value);
            }
            if let Some(names) = &field.r#enum {
                schema["enum"] = json!(names.value);
            }
            if let Some(description) = &field.description {
                schema["description"] = json!(description.value);
            }
            if let Some(default) = default {
                schema["default"] = default.clone();
            }
            schema
        };
        let properties = self.0.iter().map(|(name, one)| (name, of(&one.field, &one.default)));
        let required = self.0.iter().filter(|(_, one)| one.field.required);
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties.map(|(name, schema)| (name.clone(), schema)).collect::<Map<_, _>>(),
            "required": required.map(|(name, _)| name).collect::<Vec<_>>(),
            "additionalProperties": false,
        })
    }

    /// `custom` with its defaults. A null is a field that is not there.
    ///
    /// # Errors
    /// `InvalidArgument` with the path of the wrong field.
    pub(crate) fn read(&self, custom: Map<String, Json>) -> Result<Map<String, Json>> {
        let mut read = Map::new();
        for (name, value) in custom {
            let Some(one) = self.0.get(&name) else { return Err(self.unknown(&name)) };
            if value.is_null() {
                continue;
            }
            if let Some(wrong) = wrong(&name, &one.field, &value) {
                return Err(Error::invalid(wrong));
            }
            read.insert(name, value);
        }
        for (name, one) in &self.0 {
            if read.contains_key(name) {
                continue;
            }
            if one.field.required {
                return Err(Error::invalid(format!("custom.{name}: missing")));
            }
            if let Some(default) = &one.default {
                read.insert(name.clone(), default.clone());
            }
        }
        Ok(read)
    }

    fn unknown(&self, name: &str) -> Error {
        let known = self.0.keys().map(String::as_str);
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known are [{}]", known.collect::<Vec<_>>().join(", ")),
        };
        Error::invalid(format!("custom.{name}: unknown field; {hint}"))
    }
}

/// Checks that `items` and `enum` are where they have a meaning.
fn check_form(checker: &mut Checker<'_>, field: &Field) {
    if let Some(items) = &field.items
        && field.r#type != FieldType::List
    {
        checker.mistake(items.place, "only a list has items");
    }
    let Some(names) = &field.r#enum else { return };
    if field.r#type != FieldType::String {
        checker.mistake(names.place, "only a string has an enum");
    }
    if names.value.is_empty() {
        checker.mistake(names.place, "an enum has at least one value");
    }
}

/// The default of `field`, which is called `name`.
fn default(checker: &mut Checker<'_>, name: &str, field: &Field) -> Option<Json> {
    let node = field.default.as_ref()?;
    let value = checker.literal(node, &format!("custom.{name}.default"))?;
    if let Some(wrong) = wrong(name, field, &value) {
        checker.mistake(node.place, wrong);
    }
    if field.required {
        checker.mistake(node.place, "a required field has no use for a default");
    }
    Some(value)
}

/// What is wrong with `value`, with its path.
fn wrong(name: &str, field: &Field, value: &Json) -> Option<String> {
    if !is_of(value, field.r#type) {
        let (wanted, is) = (spelled(field.r#type), kind(value));
        return Some(format!("custom.{name}: must be {wanted}, not {is}"));
    }
    if let (Some(names), Json::String(text)) = (&field.r#enum, value)
        && !names.value.contains(text)
    {
        let known = names.value.join(", ");
        return Some(format!("custom.{name}: must be one of {known}, not {text:?}"));
    }
    let items = field.items.as_ref()?.value;
    let listed = value.as_array()?.iter().enumerate();
    let (index, item) = listed.into_iter().find(|(_, item)| !is_of(item, items))?;
    let (wanted, is) = (spelled(items), kind(item));
    Some(format!("custom.{name}[{index}]: must be {wanted}, not {is}"))
}

fn is_of(value: &Json, wanted: FieldType) -> bool {
    match wanted {
        FieldType::String => value.is_string(),
        FieldType::Integer => value.is_i64() || value.is_u64(),
        FieldType::Number => value.is_number(),
        FieldType::Boolean => value.is_boolean(),
        FieldType::Object => value.is_object(),
        FieldType::List => value.is_array(),
        FieldType::Any => true,
    }
}

fn type_schema(wanted: FieldType) -> Json {
    match wanted {
        FieldType::String => json!({"type": "string"}),
        FieldType::Integer => json!({"type": "integer"}),
        FieldType::Number => json!({"type": "number"}),
        FieldType::Boolean => json!({"type": "boolean"}),
        FieldType::Object => json!({"type": "object"}),
        FieldType::List => json!({"type": "array"}),
        FieldType::Any => json!({}),
    }
}

fn spelled(wanted: FieldType) -> &'static str {
    match wanted {
        FieldType::String => "a string",
        FieldType::Integer => "an integer",
        FieldType::Number => "a number",
        FieldType::Boolean => "true or false",
        FieldType::Object => "an object",
        FieldType::List => "a list",
        FieldType::Any => "a value",
    }
}
