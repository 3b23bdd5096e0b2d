use std::time::Duration;

use plugin_core::{
    Type, Value, serde_json,
    task::{Input, Inputs},
    testing,
};

use super::*;

fn cx() -> Context {
    testing::context(Duration::from_secs(1))
}

fn start_as(
    ty: &'static str,
    custom: Json,
    statement: &str,
    location: &OutputLocation,
) -> Result<Json> {
    let custom = serde_json::from_value(custom).unwrap();
    let input = Input::new(Value::String("2026-03-01".into()), Type::String);
    let inputs: Inputs = [("day".to_owned(), input)].into_iter().collect();
    let task = Task::new(custom).with_sql(statement).with_inputs(inputs);
    let defaults =
        Defaults { workgroup: "primary", catalog: None, database: None, output_location: location };
    let cx = cx();
    let names = Names::read(&cx, ty, &task)?;
    Start::new(&cx, &task, names, &defaults).map(|start| serde_json::to_value(start).unwrap())
}

fn start(custom: Json, statement: &str) -> Result<Json> {
    start_as("athena", custom, statement, &OutputLocation::Auto)
}

fn message(custom: Json, statement: &str) -> String {
    start(custom, statement).unwrap_err().message().to_owned()
}

#[test]
fn every_key_of_a_typed_task_is_sent() {
    let custom = json!({
        "workgroup": "etl", "catalog": "AwsDataCatalog", "database": "sales", "parameters": ["day"],
        "output_location": "s3://acme/{{ .inputs.day }}",
        "encryption": {"option": "SSE_KMS", "kms_key": "alias/athena"},
        "expected_bucket_owner": "123456789012", "bucket_owner_full_control": true,
        "result_reuse_minutes": 60, "engine": {"min_dpus": 4, "max_dpus": 24},
    });
    let mut sent = start(custom, "SELECT * FROM t WHERE ds = ?").unwrap();
    let token = sent.as_object_mut().unwrap().remove("ClientRequestToken").unwrap();
    assert_eq!(token.as_str().unwrap().len(), 64);
    assert_eq!(
        sent,
        json!({
            "QueryString": "SELECT * FROM t WHERE ds = ?",
            "WorkGroup": "etl",
            "QueryExecutionContext": {"Database": "sales", "Catalog": "AwsDataCatalog"},
            "ResultConfiguration": {
                "OutputLocation": "s3://acme/2026-03-01/",
                "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": "alias/athena"},
                "ExpectedBucketOwner": "123456789012",
                "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"},
            },
            "ExecutionParameters": ["'2026-03-01'"],
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": true, "MaxAgeInMinutes": 60}},
            "EngineConfiguration": {"Classifications": [{
                "Name": "athena-query-engine-properties",
                "Properties": {"min-dpu-count": "4", "max-dpu-count": "24"},
            }]},
        })
    );
}

#[test]
fn what_is_not_set_is_not_sent() {
    let sent = start(json!({}), "SELECT 1").unwrap();
    let keys = sent.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(keys, ["ClientRequestToken", "QueryString", "WorkGroup"]);
    assert_eq!(sent["WorkGroup"], "primary");
}

#[test]
fn flytekits_tasks_have_keys_of_their_own() {
    let auto = &OutputLocation::Auto;
    let presto = json!({"statement": "SELECT 1", "schema": "sales_{{ .inputs.day }}", "routingGroup": "etl", "catalog": "c"});
    let sent = start_as("presto", presto, "ignored", auto).unwrap();
    assert_eq!((&sent["QueryString"], &sent["WorkGroup"]), (&json!("SELECT 1"), &json!("etl")));
    assert_eq!(
        sent["QueryExecutionContext"],
        json!({"Database": "sales_2026-03-01", "Catalog": "c"})
    );
    let hive = json!({"query": {"query": "SHOW TABLES", "timeoutSec": 1.0, "retryCount": 2.0}, "clusterLabel": "sales", "tags": ["a"]});
    let sent = start_as("hive", hive, "ignored", auto).unwrap();
    assert_eq!(
        (&sent["QueryString"], &sent["WorkGroup"]),
        (&json!("SHOW TABLES"), &json!("primary"))
    );
    assert_eq!(sent["QueryExecutionContext"], json!({"Database": "sales"}));
    for (ty, custom, expected) in [
        ("presto", json!({}), "custom.statement: missing"),
        ("presto", json!({"statement": " "}), "custom.statement: missing"),
        ("hive", json!({}), "custom.query.query: missing"),
        (
            "presto",
            json!({"statement": "SELECT 1", "workgroup": "etl"}),
            "custom.workgroup: a task of type presto has no such key",
        ),
        (
            "hive",
            json!({"query": {"query": "SELECT 1"}, "catalog": "c"}),
            "custom.catalog: a task of type hive has no such key",
        ),
        (
            "athena",
            json!({"statement": "SELECT 1"}),
            "custom.statement: a task of type athena has no such key",
        ),
        (
            "presto",
            json!({"statement": "SELECT 1", "schema": "a b"}),
            "custom.schema: \"a b\" must be",
        ),
        (
            "presto",
            json!({"statement": "SELECT 1", "routingGroup": "{{ .inputs.x }}"}),
            "inputs.x: no such input",
        ),
    ] {
        let error = start_as(ty, custom, "SELECT 1", auto).unwrap_err();
        assert!(error.message().starts_with(expected), "{error}");
    }
}

#[test]
fn rows_are_unloaded_or_kept_in_a_table_where_the_author_asks() {
    for (custom, expected) in [
        (
            json!({"unload": {"location": "s3://acme/rows"}}),
            "UNLOAD (SELECT 1 -- x\n) TO 's3://acme/rows/' WITH (format = 'PARQUET')",
        ),
        (
            json!({"unload": {"format": "orc", "compression": "zstd", "location": "s3://acme/{{ .inputs.day }}/"}}),
            "UNLOAD (SELECT 1 -- x\n) TO 's3://acme/2026-03-01/' WITH (format = 'ORC', compression = 'ZSTD')",
        ),
        (
            json!({"create_table": {"name": "sales.daily"}}),
            "CREATE TABLE \"sales\".\"daily\" WITH (format = 'PARQUET') AS\nSELECT 1 -- x",
        ),
        (
            json!({"create_table": {"name": "daily", "format": "avro", "compression": "gzip", "location": "s3://acme/t/"}}),
            "CREATE TABLE \"daily\" WITH (format = 'AVRO', write_compression = 'GZIP', external_location = 's3://acme/t/') AS\n\
             SELECT 1 -- x",
        ),
    ] {
        assert_eq!(start(custom, "SELECT 1 -- x\n;").unwrap()["QueryString"], expected);
    }
    let unload = json!({"unload": {"location": "s3://acme/"}});
    let expected = "UNLOAD (SELECT 1\n) TO 's3://acme/' WITH (format = 'PARQUET')";
    assert_eq!(start(unload, "SELECT 1; -- done").unwrap()["QueryString"], expected);
    let at = OutputLocation::S3("s3://acme/".into());
    let sent = start_as("athena", json!({"unload": {}}), "SELECT 1", &at).unwrap();
    let token = sent["ClientRequestToken"].as_str().unwrap();
    let expected = format!("UNLOAD (SELECT 1\n) TO 's3://acme/{token}/' WITH (format = 'PARQUET')");
    assert_eq!(sent["QueryString"], expected);
}

#[test]
fn what_athena_would_not_take_is_refused_by_field() {
    for (custom, statement, expected) in [
        (
            json!({"unload": {}, "create_table": {"name": "t"}}),
            "SELECT 1",
            "custom.create_table: a task cannot have both",
        ),
        (
            json!({"unload": {"location": "s3://acme/"}}),
            "SHOW TABLES",
            "custom.unload: the statement must be a SELECT",
        ),
        (
            json!({"unload": {}}),
            "SELECT 1",
            "custom.unload.location: missing; neither custom.output_location nor",
        ),
        (
            json!({"unload": {"location": "/tmp"}}),
            "SELECT 1",
            "custom.unload.location: \"/tmp\" is not a prefix in S3",
        ),
        (
            json!({"unload": {"compression": "'", "location": "s3://acme/"}}),
            "SELECT 1",
            "custom.unload.compression: ",
        ),
        (json!({"create_table": {"name": "a.b.c"}}), "SELECT 1", "custom.create_table.name: "),
        (json!({"create_table": {"name": "a\" AS"}}), "SELECT 1", "custom.create_table.name: "),
        (
            json!({"output_location": "https://evil.example/"}),
            "SELECT 1",
            "custom.output_location: ",
        ),
        (
            json!({"encryption": {"option": "SSE_KMS"}}),
            "SELECT 1",
            "custom.encryption.kms_key: missing",
        ),
        (
            json!({"encryption": {"option": "SSE_S3", "kms_key": "k"}}),
            "SELECT 1",
            "custom.encryption.kms_key: SSE_S3",
        ),
        (json!({"expected_bucket_owner": "acme"}), "SELECT 1", "custom.expected_bucket_owner: "),
        (
            json!({"result_reuse_minutes": 10081}),
            "SELECT 1",
            "custom.result_reuse_minutes: 10081 is more than",
        ),
        (json!({"engine": {}}), "SELECT 1", "custom.engine: needs"),
        (json!({"engine": {"min_dpus": 8, "max_dpus": 4}}), "SELECT 1", "custom.engine.min_dpus: "),
        (
            json!({"parameters": ["day"]}),
            "SELECT 1",
            "custom.parameters: has 1, but the statement has 0",
        ),
        (json!({}), "SELECT ?", "custom.parameters: has 0, but the statement has 1"),
        (
            json!({"encryption": {"option": "SSE_KMS", "kms_key": "my key"}}),
            "SELECT 1",
            "custom.encryption.kms_key: \"my key\" must be the ARN",
        ),
        (
            json!({"workgroup": "team/a"}),
            "SELECT 1",
            "custom.workgroup: \"team/a\" must be 1 to 128 letters, digits or ._-",
        ),
        (json!({"database": "{{ .inputs.nope }}"}), "SELECT 1", "inputs.nope: no such input"),
        (
            json!({"database": "{{ .inputs.day | lower }}"}),
            "SELECT 1",
            "custom.database: {{ .inputs.day | lower }} is no placeholder of Flyte",
        ),
        (
            json!({"output_location": "s3://acme/{{ .rawOutputDataPrefixx }}/"}),
            "SELECT 1",
            "custom.output_location: {{ .rawOutputDataPrefixx }} is no placeholder of Flyte",
        ),
        (json!({"workgroup": "a b"}), "SELECT 1", "custom.workgroup: "),
    ] {
        let found = message(custom, statement);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn keys_that_nobody_reads_are_refused() {
    for key in
        ["endpoint", "token", "aws_access_key_id", "aws_secret_access_key", "profile", "Workgroup"]
    {
        let error = serde_json::from_value::<Custom>(json!({ key: "x" })).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

#[test]
fn a_reuse_of_no_minutes_turns_it_off() {
    let sent = start(json!({"result_reuse_minutes": 0}), "SELECT 1").unwrap();
    let expected =
        json!({"ResultReuseByAgeConfiguration": {"Enabled": false, "MaxAgeInMinutes": 0}});
    assert_eq!(sent["ResultReuseConfiguration"], expected);
}
