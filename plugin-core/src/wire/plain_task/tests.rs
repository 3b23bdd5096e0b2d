use super::*;
use crate::{
    task::Phase,
    wire::{Bounds, Submission, answer, from_proto_json_object, to_proto_json},
};

fn raw(request: &Json) -> RawTask {
    let request = from_proto_json_object(request).unwrap();
    RawTask::of_request(request.encode_to_vec().into()).unwrap()
}

/// The task of `request` as plugins take it that do not ask for it raw.
fn read(request: &Json) -> Task<Json> {
    let request = from_proto_json_object(request).unwrap();
    Submission::read(request.into(), false, &Bounds::default()).task.unwrap().read().unwrap()
}

fn outputs() -> RawTask {
    let simple = |kind: &str| json!({"type": {"simple": kind}, "description": "x".repeat(100)});
    raw(&json!({"template": {"interface": {"outputs": {"variables": {
        "n": simple("INTEGER"),
        "f": simple("FLOAT"),
        "t": {"type": {"structured_dataset_type": {}}},
        "l": {"type": {"collection_type": {"simple": "FLOAT"}}},
        "files": {"type": {"collection_type": {"blob": {}}}},
        "s": simple("STRUCT"),
        "took": simple("DURATION"),
    }}}}}))
}

#[test]
fn a_task_is_read_as_plain_json() {
    let request = json!({
        "template": {"type": "a", "custom": {"workers": 3, "half": 0.5}},
        "inputs": {"literals": {
            "n": {"scalar": {"primitive": {"integer": "7"}}},
            "l": {"collection": {"literals": [{"scalar": {"primitive": {"string_value": "x"}}}]}},
        }},
        "output_prefix": "s3://b/1",
        "task_execution_metadata": {"namespace": "team"},
        "connection": {"secrets": {"token": "canary"}},
    });
    let read = raw(&request).to_json().unwrap();
    assert_eq!(read["template"]["custom"].to_string(), r#"{"half":0.5,"workers":3}"#);
    assert_eq!(read["template"]["type"], "a");
    assert_eq!(read["inputs"], json!({"n": 7, "l": ["x"]}));
    assert_eq!(read["output_prefix"], "s3://b/1");
    assert_eq!(read["task_execution_metadata"]["namespace"], "team");
    assert!(!read.to_string().contains("canary"));
}

#[test]
fn a_repeat_has_the_same_fingerprint() {
    let entry = |key: u8| [&[10, 5, 10, 1, key, 18, 0][..]].concat();
    let inputs = |keys: [u8; 2]| keys.iter().flat_map(|key| entry(*key)).collect::<Vec<_>>();
    let of = |inputs: Vec<u8>, prefix: &[u8]| {
        let length = u8::try_from(inputs.len()).unwrap();
        let request = [&[10, length][..], &inputs, prefix].concat();
        RawTask::of_request(request.into()).unwrap().fingerprint().unwrap()
    };
    assert_eq!(of(inputs(*b"ab"), b""), of(inputs(*b"ba"), b"\x1a\x01x"));
    assert_ne!(of(inputs(*b"ab"), b""), of(inputs(*b"ac"), b""));
}

#[test]
fn outputs_have_their_declared_types() {
    let types = outputs().output_types().unwrap();
    let bytes = types.encode();
    assert!(bytes.len() < 100, "{} bytes", bytes.len());
    assert_eq!(OutputTypes::decode(&bytes).unwrap(), types);
    let json = json!({
        "n": 3, "f": 3, "t": "s3://b/t", "l": [1, 0.5], "more": true, "files": ["s3://b/f"], "s": {"a": 1},
    });
    let values = types.values(json.as_object().unwrap().clone()).unwrap();
    let find = |name: &str| values.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!(find("n"), Value::Integer(3));
    assert_eq!(find("f"), Value::Float(3.0), "Flyte reads no integer as a float");
    assert_eq!(find("t"), Value::structured_dataset("s3://b/t"));
    assert_eq!(find("l"), Value::List(vec![Value::Float(1.0), Value::Float(0.5)]));
    assert_eq!(find("more"), Value::Boolean(true));
    assert_eq!(find("files"), Value::List(vec![Value::Blob { uri: "s3://b/f".to_owned() }]));
    assert_eq!(find("s"), Value::Json(json!({"a": 1})));
    let _: Vec<_> = values.iter().map(|(_, value)| literal(value)).collect();
}

#[test]
fn output_types_are_those_that_the_task_declares() {
    let list = |item| Type::List(Box::new(item));
    let types = [
        Type::Null,
        Type::Integer,
        Type::Float,
        Type::String,
        Type::Enum(vec!["red".to_owned(), "green".to_owned()]),
        Type::Boolean,
        Type::Datetime,
        Type::Duration,
        Type::Bytes,
        Type::Json,
        Type::Blob,
        Type::Schema,
        Type::StructuredDataset,
        Type::Unknown,
        list(list(Type::Float)),
        Type::Map(Box::new(Type::Integer)),
        Type::Union(vec![Type::String, Type::Null]),
    ];
    let mut task = Task::new(());
    for (index, ty) in types.iter().enumerate() {
        task = task.with_output(format!("o{index:02}"), ty.clone());
    }
    let declared = OutputTypes::of(&task);
    assert_eq!(declared.names().count(), types.len());
    let read = OutputTypes::decode(&declared.encode()).unwrap();
    let kinds = read.0.variables.values().map(|one| output_kind(one.r#type.as_ref().unwrap()));
    assert_eq!(kinds.collect::<Vec<_>>(), types);
}

#[test]
fn outputs_of_another_type_are_refused_by_path() {
    let types = outputs().output_types().unwrap();
    for (json, message) in [
        (json!({"l": [1, "x"]}), "outputs.l[1]: is a string, but the task declares a number"),
        (json!({"n": null}), "outputs.n: is null, but the task declares a value"),
        (json!({"s": [1]}), "outputs.s: is a list, but the task declares an object"),
        (json!({"s": "x"}), "outputs.s: is a string, but the task declares an object"),
        (json!({"l": [1, null]}), "outputs.l[1]: is null, but the task declares a value"),
        (json!({"took": 1e18}), "outputs.took: is a number, but the task declares a duration"),
        (
            json!({"s": {"a": 9_007_199_254_740_993_i64}}),
            "outputs.s.a: Flyte carries numbers as doubles, which are exact up to 9007199254740991; pass a larger one as \
             a string",
        ),
    ] {
        let error = types.values(json.as_object().unwrap().clone()).unwrap_err();
        assert_eq!(error.message(), message);
    }
    assert_eq!(types.missing(&Map::new()), Some("f"));
}

/// The types of an interface whose output `x` is an enum's, or a list or an optional one.
fn enums(values: &[&str], wrap: fn(Json) -> Json) -> OutputTypes {
    let declared = wrap(json!({"enum_type": {"values": values}}));
    let outputs = json!({"variables": {"x": {"type": declared}}});
    raw(&json!({"template": {"interface": {"outputs": outputs}}})).output_types().unwrap()
}

#[test]
fn outputs_of_an_enum_are_among_its_values() {
    let one: fn(Json) -> Json = |it| it;
    let list: fn(Json) -> Json = |it| json!({"collection_type": it});
    let optional: fn(Json) -> Json =
        |it| json!({"union_type": {"variants": [it, {"simple": "NONE"}]}});
    let read = |wrap: fn(Json) -> Json, json: Json| {
        enums(&["red", "green"], wrap).values(Map::from_iter([("x".to_owned(), json)]))
    };
    for (wrap, json) in [
        (one, json!("red")),
        (list, json!(["green"])),
        (optional, json!(null)),
        (optional, json!("red")),
    ] {
        assert_eq!(read(wrap, json.clone()).unwrap()[0].1.to_json(), json);
    }
    let wanted = r#"but the task declares one of "red", "green""#;
    for (wrap, json, message) in [
        (one, json!("blue"), format!(r#"outputs.x: is "blue", {wanted}"#)),
        (one, json!(1), format!("outputs.x: is a number, {wanted}")),
        (list, json!(["red", "Red"]), format!(r#"outputs.x[1]: is "Red", {wanted}"#)),
        (optional, json!(""), format!(r#"outputs.x: is "", {wanted}"#)),
    ] {
        assert_eq!(read(wrap, json).unwrap_err().message(), message);
    }
}

#[test]
fn values_of_enums_that_do_not_fit_into_a_handle_are_not_checked() {
    let list: fn(Json) -> Json = |it| json!({"collection_type": it});
    let types = enums(&["x".repeat(200).as_str()], list);
    assert_eq!(types.encode_within(300), types.encode());
    let read = OutputTypes::decode(&types.encode_within(200)).unwrap();
    assert!(read.encode().len() < 20);
    let outputs = |json: Json| Map::from_iter([("x".to_owned(), json)]);
    read.values(outputs(json!(["blue"]))).unwrap();
    let error = read.values(outputs(json!([1]))).unwrap_err();
    assert_eq!(error.message(), "outputs.x[0]: is a number, but the task declares a string");
}

#[test]
fn a_null_is_an_output_of_an_optional_type() {
    let optional = |ty| Type::Union(vec![ty, Type::Null]);
    for ty in [Type::Integer, Type::Json, Type::Schema, Type::List(Box::new(Type::Integer))] {
        let task = Task::new(()).with_output("x", optional(ty.clone()));
        let read = OutputTypes::of(&task).values(Map::from_iter([("x".to_owned(), Json::Null)]));
        assert_eq!(read.unwrap(), [("x".to_owned(), Value::Null)], "{ty:?}");
    }
    let items = Type::List(Box::new(optional(Type::Integer)));
    let task = Task::new(()).with_output("x", items);
    let read = OutputTypes::of(&task).values(Map::from_iter([("x".to_owned(), json!([1, null]))]));
    assert_eq!(read.unwrap()[0].1, Value::List(vec![Value::Integer(1), Value::Null]));
}

#[test]
fn outputs_that_flyte_could_not_read_are_refused_by_path() {
    let nested = |levels, wrap: fn(Json) -> Json| (0..levels).fold(json!(1), |json, _| wrap(json));
    let list = |json: Json| json!([json]);
    let object = |json: Json| json!({ "a": json });
    for (allowed, refused) in
        [(nested(43, list), nested(44, list)), (nested(29, object), nested(30, object))]
    {
        let read =
            |json: Json| OutputTypes::default().values(Map::from_iter([("x".to_owned(), json)]));
        let (_, value) = read(allowed).unwrap().remove(0);
        let encoded = literal(&value).encode_to_vec();
        assert!(crate::wire::proto::flyteidl::core::Literal::decode(&*encoded).is_ok());
        let error = read(refused).unwrap_err().to_string();
        assert!(error.starts_with("outputs.x: is nested too deeply"), "{error}");
    }
}

#[test]
fn files_and_directories_have_their_declared_type() {
    let directory = json!({"blob": {"format": "csv", "dimensionality": "MULTIPART"}});
    let optional = json!({"union_type": {"variants": [directory, {"simple": "NONE"}]}});
    let table = json!({"structured_dataset_type": {"format": "csv"}});
    let request = json!({"template": {"type": "a", "interface": {"outputs": {"variables": {
        "one": {"type": directory},
        "many": {"type": {"collection_type": directory}},
        "named": {"type": {"map_value_type": directory}},
        "perhaps": {"type": optional},
        "number": {"type": {"simple": "INTEGER"}},
        "table": {"type": table},
        "tables": {"type": {"collection_type": table}},
    }}}}});
    let raw = raw(&request).output_types().unwrap();
    let outputs = json!({
        "one": "s3://d", "many": ["s3://d"], "named": {"k": "s3://d"}, "perhaps": "s3://d", "number": 1,
        "table": "s3://t", "tables": ["s3://t", {"uri": "s3://t", "file_format": "parquet"}],
    });
    let Json::Object(outputs) = outputs else { unreachable!() };
    for types in [raw, OutputTypes::of(&read(&request))] {
        let types = OutputTypes::decode(&types.encode()).unwrap();
        let status = Status::new(Phase::Succeeded);
        let status = types.add_to(status, outputs.clone()).unwrap();
        let shown = to_proto_json(&answer::outputs(&status.outputs).unwrap().unwrap()).unwrap();
        let literals = &shown["literals"];
        for blob in [
            &literals["one"],
            &literals["many"]["collection"]["literals"][0],
            &literals["named"]["map"]["literals"]["k"],
            &literals["perhaps"],
        ] {
            let expected = json!({
                "uri": "s3://d",
                "metadata": {"type": {"format": "csv", "dimensionality": "MULTIPART"}},
            });
            assert_eq!(blob["scalar"]["blob"], expected);
        }
        assert_eq!(literals["number"]["scalar"]["primitive"]["integer"], "1");
        let tables = &literals["tables"]["collection"]["literals"];
        for (table, format) in
            [(&literals["table"], "csv"), (&tables[0], "csv"), (&tables[1], "parquet")]
        {
            let metadata = &table["scalar"]["structured_dataset"]["metadata"];
            assert_eq!(metadata["structured_dataset_type"]["format"], format);
        }
    }
}

#[test]
fn what_the_type_says_is_all_that_is_kept_of_other_outputs() {
    let plain = json!({"template": {"type": "a", "interface": {"outputs": {"variables": {
        "file": {"type": {"blob": {}}},
        "colour": {"type": {"enum_type": {"values": ["red", "green"]}}},
        "table": {"type": {"structured_dataset_type": {}}},
    }}}}});
    assert!(read(&plain).detailed_outputs.is_empty());
}
