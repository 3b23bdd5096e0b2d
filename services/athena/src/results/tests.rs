use plugin_core::serde_json::{self, json};

use super::*;

fn found(query: &str, location: &str, managed: bool) -> Execution {
    serde_json::from_value(json!({
        "Query": query,
        "Status": {"State": "SUCCEEDED"},
        "ResultConfiguration": {"OutputLocation": location},
        "ManagedQueryResultsConfiguration": {"Enabled": managed},
    }))
    .unwrap()
}

#[test]
fn rows_are_where_the_statement_wrote_them() {
    for (query, location, uri, format) in [
        ("SELECT 1", "s3://b/q.csv", "s3://b/q.csv", "csv"),
        ("SHOW TABLES", "s3://b/q.txt", "s3://b/q.txt", ""),
        (
            "UNLOAD (SELECT 'TO', a FROM t) TO 's3://b/rows/' WITH (format = 'PARQUET')",
            "s3://b/q.csv",
            "s3://b/rows/",
            "parquet",
        ),
        (
            "unload (select (1)) to 's3://b/it''s/' with (compression='gzip', format='orc')",
            "s3://b/q",
            "s3://b/it's/",
            "orc",
        ),
        (
            "CREATE TABLE t WITH (format = 'ORC', external_location = 's3://b/t/') AS SELECT 1 x",
            "s3://b/tables/q",
            "s3://b/t/",
            "orc",
        ),
        (
            "CREATE TABLE t WITH (table_type='ICEBERG', location='s3://b/ice/', is_external=false) AS SELECT 'x' AS location",
            "s3://b/tables/q",
            "s3://b/ice/",
            "parquet",
        ),
        (
            "CREATE TABLE t WITH (table_type = 'ICEBERG', format = 'AVRO', location = 's3://b/ice') AS SELECT 1 x",
            "s3://b/tables/q",
            "s3://b/ice",
            "avro",
        ),
        (
            "/* daily; */ -- rows\n UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'AVRO')",
            "s3://b/q",
            "s3://b/p/",
            "avro",
        ),
        (
            "-- a table\nCREATE /* new */ TABLE t WITH (external_location = 's3://b/t/') AS SELECT 1 x",
            "s3://b/tables/q",
            "s3://b/t/",
            "parquet",
        ),
        ("/* UNLOAD */ SELECT 1", "s3://b/q.csv", "s3://b/q.csv", "csv"),
        ("CREATE TABLE t AS SELECT 'x' AS format", "s3://b/tables/q", "s3://b/tables/q", "parquet"),
        ("CREATE TABLE t (format string) LOCATION 's3://b/t/'", "s3://b/q.txt", "s3://b/q.txt", ""),
        ("CREATE VIEW v AS SELECT 1 x", "s3://b/q.txt", "s3://b/q.txt", ""),
    ] {
        let expected = Place { uri: uri.to_owned(), format: format.to_owned() };
        assert_eq!(place(&found(query, location, false)), Some(expected), "{query}");
    }
}

#[test]
fn the_value_has_the_declared_type() {
    let uri = || "s3://b/q.csv".to_owned();
    for (declared, value) in [
        (Declared::Schema, Value::Schema { uri: uri() }),
        (Declared::Table, Value::StructuredDataset { uri: uri(), format: "csv".to_owned() }),
        (Declared::File, Value::Blob { uri: uri() }),
    ] {
        let found = found("SELECT 1", "s3://b/q.csv", false);
        let status = with_results(found.status(), &found, Some(declared));
        assert_eq!(status, found.status().output("results", Some(value)));
    }
    let found = found("SELECT 1", "s3://b/q.csv", false);
    assert_eq!(with_results(found.status(), &found, None), found.status());
}

#[test]
fn a_result_without_a_location_fails_a_task_that_declares_it() {
    for (managed, word) in [(true, "managed query results"), (false, "names no location")] {
        let found = found("SELECT 1", "", managed);
        let status = with_results(found.status(), &found, Some(Declared::Table));
        assert_eq!(status.phase(), Phase::Failed);
        assert!(format!("{status:?}").contains(word), "{status:?}");
        assert_eq!(with_results(found.status(), &found, None).phase(), Phase::Succeeded);
    }
}

#[test]
fn the_type_of_results_is_checked_before_the_query_runs() {
    let task = |ty| Task::new(Custom::default()).with_output("results", ty);
    for (ty, expected) in [
        (Type::Schema, Declared::Schema),
        (Type::StructuredDataset, Declared::Table),
        (Type::Union(vec![Type::Null, Type::Schema]), Declared::Schema),
        (Type::Blob, Declared::File),
    ] {
        assert_eq!(Declared::of(&task(ty)).unwrap(), Some(expected));
    }
    assert_eq!(Declared::of(&Task::new(Custom::default())).unwrap(), None);
    let error = Declared::of(&task(Type::Integer)).unwrap_err();
    assert!(error.message().starts_with("interface.outputs.results: must be a Schema"), "{error}");
}
