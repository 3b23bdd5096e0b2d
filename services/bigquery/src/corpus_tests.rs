//! Statements of BigQuery's documentation, in our own names, pass through unharmed.

use std::time::Duration;

use plugin_core::{
    Task, Type, Value,
    serde_json::{self, json},
    sql::{Template, is_plain},
    task::{Input, placeholder::find_at},
    testing,
};

use crate::{Custom, dialect::GOOGLE_SQL, sql};

/// A line of dashes separates statements.
const CORPUS: &str = include_str!("../tests/corpus/statements.sql");

#[test]
fn statements_without_placeholders_are_sent_as_they_are() {
    let cx = testing::context(Duration::from_secs(1));
    let statements =
        CORPUS.split("\n----\n").map(str::trim).filter(|statement| !statement.is_empty());
    let mut count = 0;
    for statement in statements {
        let custom: Custom = serde_json::from_value(json!({"ProjectID": "acme"})).unwrap();
        let input = Input::new(Value::String("' -- $$".to_owned()), Type::String);
        let inputs = [("unused_input".to_owned(), input)].into_iter().collect();
        let task = Task::new(custom).with_sql(statement).with_inputs(inputs);
        assert_eq!(sql::render(&cx, &task).unwrap(), statement);
        check_split(statement);
        let appended = format!("{statement}\n;\nSELECT '{{{{ .inputs.unused_input }}}}'");
        let task = task.with_sql(appended);
        let runs_variables = statement.contains("EXECUTE IMMEDIATE");
        match sql::render(&cx, &task) {
            Ok(rendered) => assert!(rendered.ends_with(r"SELECT '\' -- $$'"), "{rendered}"),
            Err(error) => assert!(runs_variables, "{statement}: {error}"),
        }
        count += 1;
    }
    assert!(count >= 200, "{count} statements");
}

/// Also of a statement that is sent without being split.
fn check_split(statement: &str) {
    let mut find = |at, _: Option<&[_]>| Some((at, find_at(statement, at)?.range.len()));
    let template = Template::parse(GOOGLE_SQL, statement, &mut find).unwrap();
    assert!(template.holes.is_empty(), "{statement}");
    assert!(!is_plain(GOOGLE_SQL, statement) || template.swallowing_comment().is_none());
}
