use clap::Parser;
use serde_json::{Value as Json, json};

use super::*;
use crate::wire::{from_proto_json_object, to_struct};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    bounds: Bounds,
}

/// Bounds with the settings `args`.
pub(in crate::wire) fn bounds(args: &[&str]) -> Bounds {
    Program::parse_from(["x"].iter().chain(args)).bounds
}

#[test]
fn what_exceeds_a_bound_is_refused_by_field_and_setting() {
    let many = |count| (0..count).map(|n| (format!("k{n}"), json!({}))).collect::<Json>();
    let long = json!({ "n".repeat(17): {} });
    let wide = (0..300).map(|_| json!({"simple": "STRING"})).collect::<Json>();
    let wide = json!({"x": {"type": {"union_type": {"variants": wide}}}});
    let nested = json!({"a": [{"b": 1, "c": 2}], "d": 1});
    for (request, message) in [
        (
            json!({"inputs": {"literals": many(4)}}),
            "inputs: more than 3 inputs, which is the limit (--max-inputs)",
        ),
        (
            json!({"inputs": {"literals": long}}),
            "inputs: more than 16 bytes in a name, which is the limit (--max-name-bytes)",
        ),
        (
            json!({"template": {"custom": nested}}),
            "custom: more than 3 keys, which is the limit (--max-custom-keys)",
        ),
        (
            json!({"template": {"sql": {"statement": "SELECT 1"}}}),
            "template.sql.statement: more than 7 bytes, which is the limit (--max-statement-bytes)",
        ),
        (
            json!({"template": {"interface": {"inputs": {"variables": wide}}}}),
            "template.interface.x: its type has more than 256 parts",
        ),
        (
            json!({"task_execution_metadata": {"labels": {"a": "b".repeat(17)}}}),
            "task_execution_metadata.labels: more than 16 bytes in a name, which is the limit (--max-name-bytes)",
        ),
    ] {
        let bounds = bounds(&[
            "--max-inputs=3",
            "--max-custom-keys=3",
            "--max-statement-bytes=7",
            "--max-name-bytes=16",
        ]);
        let request = from_proto_json_object(&request).unwrap();
        assert_eq!(bounds.check(&request).unwrap_err().to_string(), message);
        assert!(self::bounds(&["--max-depth=9"]).check(&CreateTaskRequest::default()).is_ok());
    }
}

#[test]
fn keys_are_counted_at_every_level() {
    let custom = json!({"a": [{"b": 1, "c": {}}], "d": {"e": null}});
    assert_eq!(keys_of(&to_struct(custom.as_object().unwrap())), 5);
}
