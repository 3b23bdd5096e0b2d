//! A `custom` that is wrong by its JSON Schema.

use serde_json::{Map, Value as Json, json};

/// A field of a `custom`, and `custom` with a value in it that its schema does not allow.
pub(crate) struct WrongCustom {
    pub(crate) field: String,
    pub(crate) custom: Json,
}

/// `custom` with one wrong field; `None` if `schema` has no field of one plain type.
pub(crate) fn wrong(schema: &Json, custom: &Json) -> Option<WrongCustom> {
    let properties = schema["properties"].as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.filter_map(Json::as_str).filter(|name| properties.contains_key(*name));
    // A missing field that is required may be what an error names; a wrong one that is, is read in any case.
    let names = required.chain(properties.keys().map(String::as_str));
    let (field, value) =
        names.filter_map(|name| Some((name, not_of(&properties[name])?))).next()?;
    let mut custom = custom.as_object().cloned().unwrap_or_else(Map::new);
    custom.insert(field.to_owned(), value);
    Some(WrongCustom { field: field.to_owned(), custom: custom.into() })
}

/// A value that `schema` does not allow.
fn not_of(schema: &Json) -> Option<Json> {
    let types = match &schema["type"] {
        Json::String(one) => vec![one.as_str()],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => return None,
    };
    match types.iter().find(|one| **one != "null")? {
        &"object" | &"array" if !types.contains(&"boolean") => Some(json!(true)),
        _ if !types.contains(&"object") => Some(json!({"plugin-conformance": true})),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_field_comes_first_and_the_others_are_kept() {
        let schema = json!({
            "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "string"}, "c": {}},
            "required": ["c", "b"],
        });
        let wrong = wrong(&schema, &json!({"a": 1})).unwrap();
        assert_eq!(wrong.field, "b");
        assert_eq!(wrong.custom, json!({"a": 1, "b": {"plugin-conformance": true}}));
    }

    #[test]
    fn a_schema_that_allows_anything_has_no_wrong_field() {
        for schema in [json!({}), json!(true), json!({"properties": {"a": {}}})] {
            assert!(wrong(&schema, &json!({})).is_none(), "{schema}");
        }
    }
}
