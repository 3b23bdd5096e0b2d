//! Whether outputs are what the task's interface declares.

use std::collections::BTreeMap;

use plugin_core::testing::proto::flyteidl::core::{
    Literal, LiteralMap, LiteralType, SimpleType, Variable, literal::Value, literal_type,
    primitive::Value as Primitive, scalar::Value as ScalarValue,
};

use crate::{status::quoted, task::Task};

/// The outputs that `task` declares.
pub(crate) fn declared(task: &Task) -> BTreeMap<&str, &Variable> {
    let template = task.request.template.as_ref();
    let interface = template.and_then(|template| template.interface.as_ref());
    let outputs = interface.and_then(|interface| interface.outputs.as_ref());
    let variables = outputs.map(|outputs| &outputs.variables).into_iter().flatten();
    variables.map(|(name, variable)| (name.as_str(), variable)).collect()
}

/// What is wrong with `outputs`, of which `declared` should be all.
pub(crate) fn flaw(outputs: &LiteralMap, declared: &BTreeMap<&str, &Variable>) -> Option<String> {
    for (name, variable) in declared {
        let Some(literal) = outputs.literals.get(*name) else {
            return Some(format!("the output {} is missing", quoted(name)));
        };
        if let Some(declared) = &variable.r#type
            && !fits(literal, declared)
        {
            return Some(format!("the output {} is not of the type declared", quoted(name)));
        }
    }
    let undeclared = outputs.literals.keys().find(|name| !declared.contains_key(name.as_str()));
    undeclared.map(|name| format!("the output {} is not declared", quoted(name)))
}

/// Whether `literal` is of the type `declared`.
fn fits(literal: &Literal, declared: &LiteralType) -> bool {
    let Some(declared) = &declared.r#type else { return true };
    if let literal_type::Type::UnionType(union) = declared {
        let inner = match scalar(literal) {
            Some(ScalarValue::Union(value)) => value.value.as_deref().unwrap_or(literal),
            _ => literal,
        };
        return union.variants.iter().any(|variant| fits(inner, variant));
    }
    match (&literal.value, declared) {
        // Its value is in Flyte's storage.
        (Some(Value::OffloadedMetadata(_)), _) => true,
        (Some(Value::Collection(list)), literal_type::Type::CollectionType(item)) => {
            list.literals.iter().all(|literal| fits(literal, item))
        }
        (Some(Value::Map(map)), literal_type::Type::MapValueType(item)) => {
            map.literals.values().all(|literal| fits(literal, item))
        }
        (Some(Value::Scalar(literal)), declared) => {
            literal.value.as_ref().is_some_and(|scalar| scalar_fits(scalar, declared))
        }
        _ => false,
    }
}

/// What kind of value `literal` has, in a word.
pub(crate) fn kind(literal: &Literal) -> &'static str {
    match &literal.value {
        None => "nothing",
        Some(Value::Collection(_)) => "a list",
        Some(Value::Map(_)) => "a map",
        Some(Value::OffloadedMetadata(_)) => "offloaded",
        Some(Value::Scalar(scalar)) => scalar.value.as_ref().map_or("nothing", kind_of_scalar),
    }
}

fn kind_of_scalar(scalar: &ScalarValue) -> &'static str {
    match scalar {
        ScalarValue::Primitive(primitive) => {
            primitive.value.as_ref().map_or("nothing", |value| simple_type(value).as_str_name())
        }
        ScalarValue::Blob(_) => "a blob",
        ScalarValue::Binary(_) => "binary",
        ScalarValue::Schema(_) | ScalarValue::StructuredDataset(_) => "a table",
        ScalarValue::NoneType(_) => "none",
        ScalarValue::Error(_) => "an error",
        ScalarValue::Generic(_) => "a struct",
        ScalarValue::Union(_) => "a union",
    }
}

fn scalar(literal: &Literal) -> Option<&ScalarValue> {
    match literal.value.as_ref()? {
        Value::Scalar(scalar) => scalar.value.as_ref(),
        _ => None,
    }
}

fn scalar_fits(scalar: &ScalarValue, declared: &literal_type::Type) -> bool {
    use literal_type::Type;
    match (scalar, declared) {
        (ScalarValue::Primitive(primitive), Type::Simple(simple)) => {
            primitive_fits(primitive.value.as_ref(), *simple)
        }
        (ScalarValue::Primitive(primitive), Type::EnumType(values)) => {
            matches!(&primitive.value, Some(Primitive::StringValue(text)) if values.values.contains(text))
        }
        (ScalarValue::NoneType(_), Type::Simple(simple)) => *simple == SimpleType::None as i32,
        (ScalarValue::Error(_), Type::Simple(simple)) => *simple == SimpleType::Error as i32,
        // Since flytekit 1.14 a dataclass is MessagePack; before, it was a Struct.
        (ScalarValue::Binary(_), Type::Simple(simple)) => {
            [SimpleType::Binary as i32, SimpleType::Struct as i32].contains(simple)
        }
        (ScalarValue::Generic(_), Type::Simple(simple)) => *simple == SimpleType::Struct as i32,
        (ScalarValue::Blob(_), Type::Blob(_)) => true,
        // Propeller casts between the two forms of a table.
        (
            ScalarValue::Schema(_) | ScalarValue::StructuredDataset(_),
            Type::Schema(_) | Type::StructuredDatasetType(_),
        ) => true,
        _ => false,
    }
}

fn primitive_fits(value: Option<&Primitive>, simple: i32) -> bool {
    value.is_some_and(|value| simple_type(value) as i32 == simple)
}

fn simple_type(value: &Primitive) -> SimpleType {
    match value {
        Primitive::Integer(_) => SimpleType::Integer,
        Primitive::FloatValue(_) => SimpleType::Float,
        Primitive::StringValue(_) => SimpleType::String,
        Primitive::Boolean(_) => SimpleType::Boolean,
        Primitive::Datetime(_) => SimpleType::Datetime,
        Primitive::Duration(_) => SimpleType::Duration,
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::testing::literal_map;
    use serde_json::{Value as Json, json};

    use super::*;

    fn flaw_of(literal: &Json, declared_type: &Json) -> Option<String> {
        let outputs = literal_map(&json!({"literals": {"o0": literal}})).unwrap();
        let task = Task::of(json!({"template": {
            "type": "t", "interface": {"outputs": {"variables": {"o0": {"type": declared_type}}}},
        }}));
        flaw(&outputs, &declared(&task.unwrap()))
    }

    fn primitive(name: &str, value: &Json) -> Json {
        json!({"scalar": {"primitive": {name: value}}})
    }

    #[test]
    fn each_literal_fits_its_type_alone() {
        let text = primitive("string_value", &json!("x"));
        let number = primitive("integer", &json!("1"));
        let list = json!({"collection": {"literals": [number]}});
        let union =
            json!({"union_type": {"variants": [{"simple": "NONE"}, {"simple": "INTEGER"}]}});
        let table = json!({"scalar": {"structured_dataset": {"uri": "bq://p"}}});
        for (literal, declared, expected) in [
            (&text, json!({"simple": "STRING"}), true),
            (&text, json!({"simple": "INTEGER"}), false),
            (&text, json!({"enum_type": {"values": ["x"]}}), true),
            (&text, json!({"enum_type": {"values": ["y"]}}), false),
            (&number, json!({"simple": "FLOAT"}), false),
            (&number, union.clone(), true),
            (&text, union.clone(), false),
            (&json!({"scalar": {"union": {"value": number}}}), union, true),
            (&list, json!({"collection_type": {"simple": "INTEGER"}}), true),
            (&list, json!({"collection_type": {"simple": "STRING"}}), false),
            (&table, json!({"structured_dataset_type": {}}), true),
            (&table, json!({"blob": {}}), false),
            (&json!({"scalar": {"binary": {"value": ""}}}), json!({"simple": "STRUCT"}), true),
            (&json!({}), json!({"simple": "STRING"}), false),
        ] {
            assert_eq!(flaw_of(literal, &declared).is_none(), expected, "{literal} {declared}");
        }
    }

    #[test]
    fn missing_and_undeclared_outputs_are_named() {
        let task = Task::of(json!({"template": {
            "type": "t", "interface": {"outputs": {"variables": {"o0": {}}}},
        }}));
        let task = task.unwrap();
        let of = |json: Json| flaw(&literal_map(&json).unwrap(), &declared(&task));
        assert_eq!(of(json!({})).as_deref(), Some("the output o0 is missing"));
        let both = of(json!({"literals": {"o0": {}, "o1": {}}}));
        assert_eq!(both.as_deref(), Some("the output o1 is not declared"));
    }
}
