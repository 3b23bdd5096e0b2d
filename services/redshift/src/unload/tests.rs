//! Outputs are where the statement unloads to.

use plugin_core::task::Task;

use super::*;

fn results(statements: &[&str], ty: Type) -> Result<Option<Results>> {
    let task = Task::new(Custom::default()).with_output("results", ty);
    let statements = statements.iter().map(|&text| text.to_owned()).collect();
    Results::of(&task, &Rendered { statements, ..Rendered::default() })
}

#[test]
fn location_and_format_are_the_last_unloads() {
    for (text, uri, format) in [
        (
            "UNLOAD ('SELECT ''TO''') TO 's3://b/k/' IAM_ROLE default FORMAT AS PARQUET",
            "s3://b/k/",
            "parquet",
        ),
        (
            "unload ($$select 1$$)\nto 's3://b/k/' iam_role 'arn:x' format csv header",
            "s3://b/k/",
            "csv",
        ),
        ("/* all */ UNLOAD ('SELECT 1') TO 's3://b/k/' CSV", "s3://b/k/", "csv"),
        ("UNLOAD ('SELECT 1') TO 's3://b/k/' JSON", "s3://b/k/", "json"),
        ("UNLOAD ('SELECT 1') TO 's3://b/k/'", "s3://b/k/", ""),
    ] {
        let found = results(
            &["UNLOAD ('x') TO 's3://b/first/'", text, "DROP TABLE t"],
            Type::StructuredDataset,
        );
        let expected = Value::StructuredDataset { uri: uri.to_owned(), format: format.to_owned() };
        assert_eq!(found.unwrap().unwrap().value(), expected, "{text}");
    }
    let found = results(&["UNLOAD ('x') TO 's3://b/k/'"], Type::Schema).unwrap().unwrap();
    assert_eq!(found.value(), Value::Schema { uri: "s3://b/k/".to_owned() });
}

#[test]
fn an_output_that_nothing_writes_is_refused() {
    let error = results(&["SELECT 1"], Type::StructuredDataset).unwrap_err();
    assert!(
        error.message().starts_with("interface.outputs.results: the task declares it"),
        "{error}"
    );
    let error = results(&["UNLOAD ('x') TO 's3://b/k/'"], Type::Integer).unwrap_err();
    assert!(error.message().contains("must be a StructuredDataset or a Schema"), "{error}");
    let unload = "UNLOAD ('x') TO 's3://b/day_'";
    for ty in [Type::StructuredDataset, Type::Schema] {
        let error = results(&[unload], ty).unwrap_err();
        assert!(error.message().ends_with("end the location with a slash"), "{error}");
    }
    let statements = vec![unload.to_owned()];
    let rendered = Rendered { statements, ..Rendered::default() };
    assert_eq!(Results::of(&Task::new(Custom::default()), &rendered).unwrap(), None);
    let none = Results::of(&Task::new(Custom::default()), &Rendered::default());
    assert_eq!(none.unwrap(), None);
}
