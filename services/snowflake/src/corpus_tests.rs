//! Statements of Snowflake's documentation, in our own names, pass through unharmed.

use std::time::Duration;

use plugin_core::{
    Type, Value,
    task::{Input, Inputs},
    testing,
};

use crate::parameters::render;

/// A line of dashes separates statements.
const CORPUS: &str = include_str!("../tests/corpus/statements.sql");

#[test]
fn statements_without_placeholders_are_sent_as_they_are() {
    let cx = testing::context(Duration::from_secs(1));
    let statements =
        CORPUS.split("\n----\n").map(str::trim).filter(|statement| !statement.is_empty());
    let input = Input::new(Value::String("' -- $$".to_owned()), Type::String);
    let inputs: Inputs = [("unused_input".to_owned(), input)].into_iter().collect();
    let mut count = 0;
    for statement in statements {
        for inputs in [&Inputs::default(), &inputs] {
            let rendered = render(&cx, statement, inputs, false).unwrap();
            assert_eq!(rendered.statement, statement);
            assert!(rendered.bindings.is_empty());
        }
        let appended = format!("{statement}\n;\nSELECT '%(unused_input)s'");
        let runs_variables = statement.contains("EXECUTE IMMEDIATE");
        match render(&cx, &appended, &inputs, false) {
            Ok(rendered) => assert!(rendered.statement.ends_with(r"SELECT '\' -- $$'")),
            Err(error) => assert!(runs_variables, "{statement}: {error}"),
        }
        count += 1;
    }
    assert!(count >= 200, "{count} statements");
}
