//! The value of an expression as JSON: only what JSON has, and no more than is sensible.

use minijinja::{Value, value::ValueKind};
use plugin_core::serde_json::{self, Map, Value as Json};

/// The most that a value weighs: `list * 1000` is a few bytes until it is written out. As much as twice the largest answer of a
/// vendor.
const HEAVIEST: usize = 32 << 20;
/// What an item weighs beside its text.
const ITEM: usize = 32;

/// `value` as JSON.
///
/// # Errors
/// Why it has no form in JSON.
pub(super) fn to_json(value: &Value) -> Result<Json, &'static str> {
    convert(value, &mut { HEAVIEST })
}

fn convert(value: &Value, left: &mut usize) -> Result<Json, &'static str> {
    let text = value.as_str().map_or(0, str::len);
    *left = left.checked_sub(text + ITEM).ok_or("the value would be larger than 32 MiB")?;
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::String => Ok(Json::from(value.as_str().unwrap_or_default())),
        ValueKind::Number => match serde_json::to_value(value) {
            Ok(Json::Null) | Err(_) => Err("the number is too large"),
            Ok(number) => Ok(number),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| NO_FORM)?;
            items.map(|item| convert(&item, left)).collect::<Result<_, _>>().map(Json::Array)
        }
        ValueKind::Map => map(value, left),
        _ => Err(NO_FORM),
    }
}

fn map(value: &Value, left: &mut usize) -> Result<Json, &'static str> {
    let entries = value.as_object().and_then(|map| map.try_iter_pairs()).ok_or(NO_FORM)?;
    let mut converted = Map::new();
    for (name, value) in entries {
        let name = match name.kind() {
            ValueKind::String | ValueKind::Number | ValueKind::Bool => name.to_string(),
            _ => return Err(NO_FORM),
        };
        *left = left.checked_sub(name.len()).ok_or("the value would be larger than 32 MiB")?;
        converted.insert(name, convert(&value, left)?);
    }
    Ok(Json::Object(converted))
}

const NO_FORM: &str = "its value has no form in JSON";
