//! The file: version 1 of the language, as its JSON Schema and its reference have it.

mod auth;
mod limits;
mod parse;
mod yaml;

use plugin_core::schemars::{self, JsonSchema};
use serde::Deserialize;

pub(crate) use self::{
    auth::{Auth, AwsProtocol, AwsSigv4},
    limits::Limits,
    parse::decode,
    yaml::from_yaml,
};
use crate::{
    located::{At, Entries},
    node::Node,
};

/// The version of the language.
pub(crate) const VERSION: u64 = 1;

/// A plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The version of this language: 1.
    pub(crate) version: At<u64>,
    /// What the plugin is.
    pub(crate) plugin: Head,
    /// What the operator of the service sets, with `--set PLUGIN.NAME=VALUE`. Hosts come from here alone.
    #[serde(default)]
    pub(crate) settings: Entries<Setting>,
    /// The secrets that `upstream.auth` names, each with a description. They are looked up by their names.
    #[serde(default)]
    pub(crate) secrets: Entries<At<String>>,
    /// The vendor's API.
    pub(crate) upstream: Upstream,
    /// The fields of a task's `custom`.
    #[serde(default)]
    pub(crate) custom: Entries<Field>,
    /// Submits the job.
    #[serde(default)]
    pub(crate) create: Option<Create>,
    /// Reads the job's status.
    #[serde(default)]
    pub(crate) get: Option<Get>,
    /// Stops the job.
    #[serde(default)]
    pub(crate) delete: Option<Delete>,
    /// Runs the task within the call, in place of `create`, `get` and `delete`: for calls that take seconds.
    #[serde(default)]
    pub(crate) execute: Option<Execute>,
    /// Limits of the file's own.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How the vendor reports errors.
    #[serde(default)]
    pub(crate) errors: Errors,
    /// Links that Flyte's console shows, by label, from `job` and `settings`: URLs of pages.
    #[serde(default)]
    pub(crate) links: Entries<At<String>>,
}

/// What the plugin is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The plugin's name: lower-case letters, digits and hyphens, 63 at most.
    pub(crate) name: At<String>,
    /// What it runs, in one line.
    pub(crate) description: At<String>,
    /// The task types that it runs, each with its version: `nomad_batch:0`.
    pub(crate) task_types: Vec<At<String>>,
    /// A task as people submit it over REST, which `/docs` shows: `custom`, `sql` and `inputs`. It must be one that the plugin
    /// takes.
    #[serde(default)]
    pub(crate) example: Option<Node>,
}

/// A setting of the operator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    /// What it is for.
    pub(crate) description: At<String>,
    /// The type of its value; a string unless it says otherwise.
    #[serde(default)]
    pub(crate) r#type: Option<SettingType>,
    /// The value if the operator sets none, without expressions. Without it, the operator has to set one.
    #[serde(default)]
    pub(crate) default: Option<Node>,
}

/// The type of a setting.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SettingType {
    #[default]
    String,
    Integer,
    Boolean,
}

/// The vendor's API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// The API's URL, with its path if all requests share one; from `settings`. APIs of AWS have none: it follows from the
    /// region.
    #[serde(default)]
    pub(crate) base: Option<At<String>>,
    /// Headers of every request, from `settings`.
    #[serde(default)]
    pub(crate) headers: Entries<At<String>>,
    /// What signs every request.
    pub(crate) auth: At<Auth>,
}

/// A field of `custom`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// Its type.
    pub(crate) r#type: FieldType,
    /// What it is for.
    #[serde(default)]
    pub(crate) description: Option<At<String>>,
    /// Whether a task must have it.
    #[serde(default)]
    pub(crate) required: bool,
    /// The values that it may have.
    #[serde(default)]
    pub(crate) r#enum: Option<At<Vec<String>>>,
    /// The type of a list's items; any, unless it says otherwise.
    #[serde(default)]
    pub(crate) items: Option<At<FieldType>>,
    /// Its value if the task has none, without expressions.
    #[serde(default)]
    pub(crate) default: Option<Node>,
}

/// The type of a field, or of a list's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FieldType {
    String,
    Integer,
    Number,
    Boolean,
    Object,
    List,
    Any,
}

/// A request to the vendor: one of `get`, `post`, `put`, `delete` and `call`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The path of a GET, below the base's. What `${…}` gives is one segment, percent-encoded.
    #[serde(default)]
    pub(crate) get: Option<At<String>>,
    /// The path of a POST.
    #[serde(default)]
    pub(crate) post: Option<At<String>>,
    /// The path of a PUT.
    #[serde(default)]
    pub(crate) put: Option<At<String>>,
    /// The path of a DELETE.
    #[serde(default)]
    pub(crate) delete: Option<At<String>>,
    /// The operation of an API of AWS that names operations by a header.
    #[serde(default)]
    pub(crate) call: Option<At<String>>,
    /// The query's parameters. One without a value is left out.
    #[serde(default)]
    pub(crate) query: Entries<Node>,
    /// Headers. One without a value is left out.
    #[serde(default)]
    pub(crate) headers: Entries<Node>,
    /// The body, sent as JSON. What has no value is left out.
    #[serde(default)]
    pub(crate) json: Option<Node>,
    /// The body, sent as a URL-encoded form. A field without a value is left out.
    #[serde(default)]
    pub(crate) form: Option<At<Entries<Node>>>,
}

/// Submits the job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// What the job uses of the vendor's, for rules that limit callers to `targets`.
    #[serde(default)]
    pub(crate) target: Option<At<String>>,
    /// Submits the job.
    pub(crate) request: At<Request>,
    /// What keeps a repeated create from starting a second job.
    pub(crate) idempotency: At<Idempotency>,
    /// The ids that find the job again, from `body`: scalars. Later expressions see them as `job`.
    pub(crate) job: At<Entries<At<String>>>,
    /// The same ids where the vendor answers that the job exists already (409, or `errors.already_exists`): there is no
    /// `body` then.
    #[serde(default)]
    pub(crate) exists: Option<At<Entries<At<String>>>>,
}

/// What keeps a repeated request from starting a second job, or a second call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Idempotency {
    /// The vendor takes the key in this header.
    Header(At<String>),
    /// The vendor takes the key in this field of the body.
    Field(At<String>),
    /// The request has `key` or `short_key(…)` where the vendor knows a job by it, for example as its name.
    Request,
    /// The vendor has no key: look for the job before it is submitted. Two replicas that create at the same instant may
    /// both submit.
    Lookup(Box<Lookup>),
}

/// Looks for a job that an earlier create has submitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// Lists jobs, the newest among them.
    pub(crate) request: At<Request>,
    /// The list in `body`.
    pub(crate) items: At<String>,
    /// Whether `item` is the job of `key`.
    pub(crate) r#match: At<String>,
}

/// Reads the job's status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    /// Reads the job.
    pub(crate) request: At<Request>,
    /// Reads many jobs with one request.
    #[serde(default)]
    pub(crate) many: Option<Many>,
    /// Whether the vendor has the job, where a 2xx answer does not say so.
    #[serde(default)]
    pub(crate) found: Option<At<String>>,
    /// The vendor's state: a string, number or truth value.
    pub(crate) state: At<String>,
    /// The phase of each state: `queued`, `waiting_for_resources`, `initializing`, `running`, `succeeded`, `failed`,
    /// `retryable_failed`, `aborted`, or an expression that gives one. A state that is not here is running, and counted.
    pub(crate) states: At<Entries<At<String>>>,
    /// The message for the user.
    #[serde(default)]
    pub(crate) message: Option<At<String>>,
    /// The vendor's error code.
    #[serde(default)]
    pub(crate) code: Option<At<String>>,
    /// The outputs that a task may declare, by name. They become what the task declares; a string is the URI of a file or
    /// table, and `{uri, file_format}` a table's with its format.
    #[serde(default)]
    pub(crate) outputs: Entries<Node>,
    /// Facts that Flyte's console shows, by name.
    #[serde(default)]
    pub(crate) info: Entries<Node>,
}

/// Reads many jobs with one request. A job that is not in the answer is read by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Many {
    /// The job's id of which `ids` is a list. Jobs are read together if the others that the request uses are the same.
    pub(crate) by: At<String>,
    /// The most ids that the vendor takes in one request.
    pub(crate) most: At<usize>,
    /// Reads the jobs `ids`.
    pub(crate) request: At<Request>,
    /// The list in `body`.
    pub(crate) items: At<String>,
    /// The id of the job that `item` is.
    pub(crate) id: At<String>,
    /// What the answer to `get.request` would be, of `item`; the item itself unless it says otherwise. The expressions of
    /// `get` see it as `body`.
    #[serde(default)]
    pub(crate) body: Option<At<String>>,
}

/// Runs the task within the call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Execute {
    /// What the task uses of the vendor's, for rules that limit callers to `targets`.
    #[serde(default)]
    pub(crate) target: Option<At<String>>,
    /// Runs the task.
    pub(crate) request: At<Request>,
    /// `header`, `field` or `request`, if the vendor runs a repeated request once. Without it, a request that may have reached
    /// the vendor is not repeated.
    #[serde(default)]
    pub(crate) idempotency: Option<At<Idempotency>>,
    /// The phase after a 2xx answer, an expression: `succeeded`, `failed` or `retryable_failed`; `succeeded` unless it says
    /// otherwise.
    #[serde(default)]
    pub(crate) phase: Option<At<String>>,
    /// The message for the user.
    #[serde(default)]
    pub(crate) message: Option<At<String>>,
    /// The vendor's error code.
    #[serde(default)]
    pub(crate) code: Option<At<String>>,
    /// The outputs that a task may declare, by name, as those of `get`.
    #[serde(default)]
    pub(crate) outputs: Entries<Node>,
    /// Facts that Flyte's console shows, by name.
    #[serde(default)]
    pub(crate) info: Entries<Node>,
}

/// Stops the job. A job that the vendor does not have is stopped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    /// Stops the job.
    pub(crate) request: At<Request>,
    /// Errors that say that the job has ended: codes, or an expression of `code` and `message`.
    #[serde(default)]
    pub(crate) ended: Option<Node>,
}

/// How the vendor reports errors. Each class is a list of codes, or an expression of `code`, `message`, `status`,
/// `headers`, `body` and `text`; the first that fits decides, and then the status.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Errors {
    /// The error's code, from `body`; not for APIs of AWS, whose errors are known.
    #[serde(default)]
    pub(crate) code: Option<At<String>>,
    /// The error's message, from `body`, or from `text` where the body is no JSON. An answer without code and message is
    /// not the vendor's, but for example a proxy's. Not for APIs of AWS.
    #[serde(default)]
    pub(crate) message: Option<At<String>>,
    /// Too many calls: try again later.
    #[serde(default)]
    pub(crate) throttled: Option<Node>,
    /// The vendor is not available: try again.
    #[serde(default)]
    pub(crate) retryable: Option<Node>,
    /// The job exists already.
    #[serde(default)]
    pub(crate) already_exists: Option<Node>,
    /// There is no such job.
    #[serde(default)]
    pub(crate) not_found: Option<Node>,
    /// The credentials are not accepted.
    #[serde(default)]
    pub(crate) unauthenticated: Option<Node>,
    /// The credentials do not allow it.
    #[serde(default)]
    pub(crate) denied: Option<Node>,
    /// The request is wrong, and would be the next time.
    #[serde(default)]
    pub(crate) refused: Option<Node>,
}

/// The language's JSON Schema, for editors.
pub(crate) fn schema() -> plugin_core::serde_json::Value {
    schemars::schema_for!(File).to_value()
}
