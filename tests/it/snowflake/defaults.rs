//! Where a statement runs if its task does not say it: in the operator's defaults, else in the user's.

use super::*;

/// What is sent of `warehouse`, `database` and `schema` for a task that writes `named` into `field`.
async fn sent(field: &str, named: &Json, args: &[&str]) -> [Json; 3] {
    let stage = Stage::set_with(Options::default(), args).await;
    let mut task = task();
    let config = task["template"]["config"].as_object_mut().unwrap();
    config.retain(|name, _| ["account", "user"].contains(&name.as_str()));
    for (name, value) in named.as_object().unwrap() {
        task["template"][field][name] = value.clone();
    }
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task).await.unwrap();
    assert_eq!(stage.fake.violations(), [""; 0]);
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
    let body = stage.fake.submitted()[0].body.clone();
    ["warehouse", "database", "schema"].map(|name| body.get(name).cloned().unwrap_or_default())
}

#[tokio::test]
async fn users_defaults_count_where_nobody_names_one() {
    let settings = ["--warehouse=WH", "--database=DB", "--schema=RAW"];
    for (named, args, expected) in [
        (json!({"database": "D", "schema": "S"}), &[][..], json!([null, "D", "S"])),
        (json!({"warehouse": "", "database": "D", "schema": "S"}), &[], json!([null, "D", "S"])),
        (json!({"warehouse": "W", "database": "D"}), &[], json!(["W", "D", "PUBLIC"])),
        (json!({"warehouse": "W", "database": "D", "schema": ""}), &[], json!(["W", "D", null])),
        (json!({"warehouse": "W", "database": "D"}), &["--schema="], json!(["W", "D", null])),
        (json!({"warehouse": "W"}), &[], json!(["W", null, null])),
        (json!({}), &settings, json!(["WH", "DB", "RAW"])),
        (
            json!({"warehouse": "", "database": "", "schema": ""}),
            &settings,
            json!(["WH", "DB", "RAW"]),
        ),
    ] {
        for field in ["config", "custom"] {
            let found = sent(field, &named, args).await;
            assert_eq!(json!(found), expected, "{field} {named} {args:?}");
        }
    }
}
