//! The file's example: a task that the plugin takes, and whose request can be made.

use plugin_core::{
    Error,
    serde_json::{Value as Json, json},
};

use super::{Definition, Work};
use crate::{
    checker::Checker,
    custom::Fields,
    expression::{EvalError, Scope},
    file::Head,
    located::{Origin, Place},
    mistake::Mistake,
    node::{Node, Tree},
    settings,
    task::{Short, Values},
};

/// What an example has.
const EXAMPLE: [&str; 3] = ["custom", "sql", "inputs"];
/// Its part of the file.
const PART: &str = "plugin.example";

/// The example, which is a task in the short form of REST.
pub(super) fn compile(checker: &mut Checker<'_>, plugin: &Head, custom: &Fields) -> Json {
    let Some(node) = &plugin.example else { return json!({ "custom": {} }) };
    let Tree::Map(entries) = &node.tree else {
        let message = "an example is a mapping with `custom`, `sql` and `inputs`";
        checker.mistake(node.place, message);
        return Json::Null;
    };
    for (name, _) in entries {
        if !EXAMPLE.contains(&name.value.as_str()) {
            checker.wrong(Mistake::unknown(name.place, "key", &name.value, &EXAMPLE));
        }
    }
    let Some(example) = checker.literal(node, PART) else { return Json::Null };
    let own = entries.iter().find(|(name, _)| name.value == "custom");
    check_custom(checker, own.map_or(node, |(_, custom)| custom), &example["custom"], custom);
    example
}

/// Checks the example's `custom`, which is in `node`.
fn check_custom(checker: &mut Checker<'_>, node: &Node, custom: &Json, fields: &Fields) {
    let read = match custom {
        Json::Object(custom) => fields.read(custom.clone()).map(drop),
        Json::Null => fields.read(Default::default()).map(drop),
        _ => Err(Error::invalid("`custom` must be a mapping")),
    };
    if let Err(wrong) = read {
        checker.mistake(node.place, wrong.message());
    }
}

/// What is wrong with the task or the request of the example, which is in `place`, of a file that has no other mistakes. An error that
/// only a setting of the operator decides is no mistake.
pub(super) fn mistake(definition: &Definition, place: Place) -> Option<Mistake> {
    let values = Short::of(&definition.example).and_then(|task| {
        let needs_sql = definition.uses("sql");
        Values::of_short(&definition.custom, needs_sql, &task, "s3://bucket/an-attempt")
    });
    let values = match values {
        Ok(values) => values,
        Err(wrong) => return Some(Mistake::new(place, format!("{PART}: {}", wrong.message()))),
    };
    let settings = settings::placeholders(&definition.settings);
    let error = rehearsed(definition, &values.scope(Scope::default().with("settings", settings)));
    let error = error.err()?;
    let unset = definition.settings.iter().filter(|one| one.default.is_none());
    let mut unset = unset.map(|one| format!("settings.{}", one.name));
    if unset.any(|name| error.uses(&name)) {
        return None;
    }
    let message = format!("{error}, of the file's example");
    let place = error.into_origin().as_ref().map_or(place, Origin::place);
    Some(Mistake::new(place, message))
}

/// Makes what a task leads to before there is an answer of the vendor.
fn rehearsed(definition: &Definition, scope: &Scope) -> Result<(), EvalError> {
    match &definition.work {
        Work::Jobs(jobs) => jobs.create.rehearsed(scope),
        Work::Sync(execute) => execute.rehearsed(scope),
        Work::None => Ok(()),
    }
}
