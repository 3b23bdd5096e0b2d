//! The request that submits a statement.

use plugin_core::{
    Context, Result, Task,
    serde_json::{Map, Value as Json, json},
};

use serde::Serialize;

use crate::{
    Custom,
    bindings::Bindings,
    parameters::render,
    session::Session,
    settings::{Place, Settings, identifier, parameters},
};

/// The longest statement timeout of Snowflake, in seconds.
const MAX_TIMEOUT: u64 = 604_800;

/// The body of a submit.
#[derive(Debug, Serialize)]
pub(crate) struct Body {
    #[serde(flatten)]
    rest: Json,
    #[serde(skip_serializing_if = "Bindings::is_empty")]
    bindings: Bindings,
}

/// The body that runs `task` at `place`.
pub(crate) fn body(
    cx: &Context,
    task: &Task<Custom>,
    place: &Place,
    session: &Session,
    settings: &Settings,
) -> Result<Body> {
    let batch = task.custom.batch.unwrap_or_default();
    let rendered = render(cx, task.sql()?, &task.inputs, batch)?;
    let mut parameters = parameters(session, &task.config, settings.query_tag.as_deref());
    if rendered.several {
        // 0 allows any number.
        parameters.insert("multi_statement_count".to_owned(), "0".into());
    }
    let mut body = json!({ "statement": rendered.statement });
    let mut add = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    // Without one, the user's default applies.
    for (field, name) in
        [("warehouse", &place.warehouse), ("database", &place.database), ("schema", &place.schema)]
    {
        add(field, (!name.is_empty()).then(|| identifier(name).into()));
    }
    add("role", place.role.as_deref().map(|role| identifier(role).into()));
    add("timeout", timeout(task, session, settings).map(Json::from));
    add("parameters", non_empty(parameters));
    Ok(Body { rest: body, bindings: rendered.bindings })
}

fn non_empty(map: Map<String, Json>) -> Option<Json> {
    (!map.is_empty()).then_some(Json::Object(map))
}

/// The author's shortest timeout, else the operator's, in seconds. 0 means the longest possible.
fn timeout(task: &Task<Custom>, session: &Session, settings: &Settings) -> Option<u64> {
    let of_task = task.timeout.map(|timeout| timeout.as_millis().div_ceil(1000));
    let of_task = of_task.map(|seconds| u64::try_from(seconds).unwrap_or(MAX_TIMEOUT));
    let bounded = |seconds| if seconds == 0 { MAX_TIMEOUT } else { MAX_TIMEOUT.min(seconds) };
    let authors = of_task.filter(|seconds| *seconds > 0).into_iter().chain(session.timeout);
    authors.map(bounded).min().or(settings.statement_timeout.map(bounded))
}

/// The request id of a create: the first digits of its idempotency key, as a UUID of version 8.
pub(crate) fn id(cx: &Context) -> String {
    let key = cx.idempotency_key().hex();
    format!("{}-{}-8{}-8{}-{}", &key[..8], &key[8..12], &key[12..15], &key[15..18], &key[18..30])
}
