//! The values of Flyte's placeholders.

use std::borrow::Cow;

use server_core::{Error, Result};

use super::Context;
use crate::task::{Inputs, Value, placeholder::Placeholder};

/// What replaces a placeholder.
#[derive(Debug, Clone, PartialEq)]
pub struct Filling<'a> {
    /// Its name in errors, for example `inputs.x` or `namespace`.
    pub name: String,
    /// Its value; a string for all but inputs.
    pub value: Cow<'a, Value>,
}

impl Context {
    /// The value of `placeholder`, found in `field` of a task with `inputs`.
    ///
    /// How the value is written into the text, and where it may stand there, is up to the plugin: only it
    /// knows the text's syntax.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such input, or Flyte does not send the value to backend plugins.
    ///
    /// ```
    /// use plugin_core::{Context, Result, Task, task::placeholder::find};
    ///
    /// /// `query`, with each value as JSON.
    /// fn render(cx: &Context, task: &Task<()>, query: &str) -> Result<String> {
    ///     let (mut rendered, mut at) = (String::new(), 0);
    ///     while let Some(found) = find(query, at) {
    ///         let filling = cx.fill("custom.query", found.placeholder, &task.inputs)?;
    ///         rendered += &query[at..found.range.start];
    ///         rendered += &filling.value.to_json().to_string();
    ///         at = found.range.end;
    ///     }
    ///     Ok(rendered + &query[at..])
    /// }
    /// ```
    pub fn fill<'a>(
        &self,
        field: &str,
        placeholder: Placeholder<'_>,
        inputs: &'a Inputs,
    ) -> Result<Filling<'a>> {
        let string = |name: &str, value: &str| {
            let value = Cow::Owned(Value::String(value.to_owned()));
            Ok(Filling { name: name.to_owned(), value })
        };
        match placeholder {
            Placeholder::Input(name) => {
                let value = Cow::Borrowed(&inputs.get(name)?.value);
                Ok(Filling { name: format!("inputs.{name}"), value })
            }
            Placeholder::OutputPrefix => string("outputPrefix", self.output_prefix()),
            Placeholder::Namespace => string("namespace", &self.execution().namespace),
            Placeholder::PerRetryUniqueKey => {
                string("perRetryUniqueKey", &self.idempotency_key().hex())
            }
            Placeholder::Unavailable(name) => Err(Error::invalid(format!(
                "{field}: {{{{ .{name} }}}} is not available to backend plugins"
            ))),
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        task::{Input, Type},
        testing,
    };

    #[test]
    fn every_placeholder_has_a_name_and_a_value() {
        let cx = testing::context_in(Duration::from_secs(1), "team-a");
        let input = Input { value: Value::Integer(1), ty: Type::Integer };
        let inputs = [("x".to_owned(), input)].into_iter().collect();
        for (placeholder, name, value) in [
            (Placeholder::Input("x"), "inputs.x", Value::Integer(1)),
            (Placeholder::OutputPrefix, "outputPrefix", Value::String(String::new())),
            (Placeholder::Namespace, "namespace", Value::String("team-a".to_owned())),
            (
                Placeholder::PerRetryUniqueKey,
                "perRetryUniqueKey",
                Value::String(cx.idempotency_key().hex()),
            ),
        ] {
            let filling = cx.fill("f", placeholder, &inputs).unwrap();
            assert_eq!((filling.name.as_str(), &*filling.value), (name, &value));
        }
        for (placeholder, message) in [
            (Placeholder::Input("y"), "inputs.y: no such input; the task has [x]"),
            (
                Placeholder::Unavailable("inputPrefix"),
                "f: {{ .inputPrefix }} is not available to backend plugins",
            ),
        ] {
            assert_eq!(cx.fill("f", placeholder, &inputs).unwrap_err().message(), message);
        }
    }
}
