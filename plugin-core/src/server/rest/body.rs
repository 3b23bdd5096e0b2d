//! The bodies and queries of REST.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use server_core::{Error, Result};
use utoipa::{IntoParams, ToSchema};

use crate::{
    plugin,
    task::{TaskType, in_words},
    verbs::Served,
    wire::{
        self, Bounds, from_plain_json, members,
        proto::flyteidl::{
            admin::CreateTaskRequest,
            core::{LiteralMap, Sql, TaskTemplate, task_template::Target},
        },
    },
};

/// A task to run: Flyte's whole template, or the short form `{custom, sql, inputs}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateJob {
    /// Flyte's TaskTemplate, as proto-JSON.
    #[schema(value_type = Option<Object>)]
    template: Option<Box<RawValue>>,
    /// With `template`, Flyte's LiteralMap as proto-JSON; in the short form, plain JSON values by name.
    #[schema(value_type = Option<Object>)]
    inputs: Option<Box<RawValue>>,
    /// Where Flyte keeps the attempt's outputs; identifies the attempt.
    #[serde(alias = "outputPrefix")]
    output_prefix: Option<String>,
    /// Flyte's TaskExecutionMetadata, as proto-JSON.
    #[serde(alias = "taskExecutionMetadata")]
    #[schema(value_type = Option<Object>)]
    task_execution_metadata: Option<Box<RawValue>>,
    /// Flyte 2's connection. Must be empty, because secrets are not accepted over REST.
    #[schema(value_type = Option<Object>)]
    connection: Option<Box<RawValue>>,
    /// Short form: the task's settings. `/plugins/v1/{task_type}/{version}/schema` has their schema.
    #[schema(value_type = Option<Object>)]
    custom: Option<Box<RawValue>>,
    /// Short form: the statement of an SQL task.
    sql: Option<String>,
}

/// Parses the body of a create or an execution.
///
/// # Errors
/// `InvalidArgument` with the path of the invalid field.
pub(super) fn read(body: &[u8]) -> Result<CreateJob> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json);
    let body = read.map_err(|error| match error.path().to_string() {
        path if [".", "?"].contains(&path.as_str()) => {
            Error::invalid(format!("body: {}", error.inner()))
        }
        path => Error::invalid(format!("{path}: {}", error.inner())),
    })?;
    json.end().map_err(|error| Error::invalid(format!("body: {error}")))?;
    Ok(body)
}

impl CreateJob {
    /// The equivalent gRPC request.
    pub(super) fn into_request(
        self,
        task_type: TaskType,
        bounds: &Bounds,
    ) -> Result<CreateTaskRequest> {
        let connection = self.connection.as_ref().and_then(|connection| members(connection.get()));
        let secrets = connection.as_ref().and_then(|connection| connection.get("secrets"));
        let secrets = secrets.and_then(|secrets| members(secrets.get()));
        if secrets.is_some_and(|secrets| !secrets.is_empty()) {
            return Err(Error::invalid(
                "connection.secrets: not accepted over REST, where polls cannot send them",
            ));
        }
        match self.template {
            Some(_) if self.custom.is_some() || self.sql.is_some() => Err(Error::invalid(
                "give either template, or the short form's custom and sql, not both",
            )),
            Some(_) => self.full(task_type),
            None => self.short(task_type, bounds),
        }
    }

    fn full(self, task_type: TaskType) -> Result<CreateTaskRequest> {
        check_literals(self.inputs.as_deref())?;
        let fields = [
            ("template", &self.template),
            ("inputs", &self.inputs),
            ("task_execution_metadata", &self.task_execution_metadata),
        ];
        let fields = fields.iter().filter_map(|(name, json)| Some((*name, json.as_deref()?)));
        let mut request = wire::from_proto_json(&fields.collect::<Vec<_>>())?;
        request.output_prefix = self.output_prefix.unwrap_or_default();
        let template = request.template.get_or_insert_default();
        if template.r#type.is_empty() {
            template.r#type = task_type.name.to_owned();
        }
        if template.r#type != task_type.name {
            let (named, path) = (&template.r#type, task_type.name);
            return Err(Error::invalid(format!(
                "template.type: is {named}, but the path has {path}"
            )));
        }
        if template.task_type_version != task_type.version {
            let (named, path) = (template.task_type_version, task_type.version);
            let message =
                format!("template.task_type_version: is {named}, but the path has {path}");
            return Err(Error::invalid(message));
        }
        Ok(request)
    }

    fn short(self, task_type: TaskType, bounds: &Bounds) -> Result<CreateTaskRequest> {
        let inputs =
            self.inputs.as_deref().map(|inputs| plain_inputs(inputs, bounds)).transpose()?;
        let custom =
            self.custom.as_deref().map(|json| read_at("custom", json.get())).transpose()?;
        let metadata = match self.task_execution_metadata.as_deref() {
            None => None,
            Some(metadata) => {
                wire::from_proto_json(&[("task_execution_metadata", metadata)])?
                    .task_execution_metadata
            }
        };
        let statement = |statement| Target::Sql(Sql { statement, dialect: 0 });
        Ok(CreateTaskRequest {
            inputs: Some(inputs.unwrap_or_default()),
            template: Some(TaskTemplate {
                r#type: task_type.name.to_owned(),
                task_type_version: task_type.version,
                custom: Some(wire::to_struct(&custom.unwrap_or_default())),
                target: self.sql.map(statement),
                ..TaskTemplate::default()
            }),
            output_prefix: self.output_prefix.unwrap_or_default(),
            task_execution_metadata: metadata,
            connection: None,
        })
    }
}

/// Plain inputs beside a template would be lost without a word.
fn check_literals(inputs: Option<&RawValue>) -> Result<()> {
    let inputs = inputs.and_then(|inputs| members(inputs.get())).unwrap_or_default();
    match inputs.keys().find(|name| *name != "literals") {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "inputs.{name}: with a template, inputs are Flyte's LiteralMap: {{\"literals\": …}}"
        ))),
    }
}

/// The inputs of the short form. One is read after the other, so that only one is in memory twice.
fn plain_inputs(json: &RawValue, bounds: &Bounds) -> Result<LiteralMap> {
    let inputs = members(json.get()).ok_or_else(|| Error::invalid("inputs: must be an object"))?;
    bounds.check_inputs(inputs.len())?;
    let root = wire::Path::Root("inputs");
    let literals = inputs.into_iter().map(|(name, json)| {
        let path = root.member(&name);
        let value = from_plain_json(&path, read_at("inputs", json.get())?)?;
        Ok((name, wire::literal(&value)))
    });
    Ok(LiteralMap { literals: literals.collect::<Result<_>>()? })
}

/// Reads `json`, the field `field` or a part of it.
fn read_at<T: DeserializeOwned>(field: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        Error::invalid(format!("{field}: {}", in_words(&wire::without_place(&error))))
    })
}

/// The job of a request.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobQuery {
    /// The `job_id` that create returned. Required, unless `resource_id` is given.
    pub(super) job_id: Option<String>,
    /// An alias of `job_id`, from Flyte's RFC. Exactly one of the two is given.
    pub(super) resource_id: Option<String>,
}

/// The task types of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServedPlugins {
    pub(super) service: &'static str,
    pub(super) service_version: &'static str,
    pub(super) plugins: Vec<ServedPlugin>,
}

/// A task type.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServedPlugin {
    task_type: &'static str,
    version: i32,
    mode: Mode,
    /// What a repeated create leads to; null for a type of mode `sync`, which has none.
    repeated_create: Option<RepeatedCreate>,
    /// The path of its REST operations.
    path: String,
}

/// How tasks of a type are run.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// As jobs: PUT one, and GET it until it has ended.
    Async,
    /// Within the call: POST.
    Sync,
}

/// What a create leads to that is repeated with the same `Idempotency-Key` or `output_prefix`.
///
/// `safe`: to the first one's job, at every replica. `up_to_plugin`: to the first one's job if the plugin in the other process
/// looks for it by the key, which it is given. `remembered`: to the first one's job at the replica that submitted it, for an
/// hour; to a second job at another replica, or if the replica ended in between.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RepeatedCreate {
    Safe,
    UpToPlugin,
    Remembered,
}

impl From<plugin::RepeatedCreate> for RepeatedCreate {
    fn from(repeated: plugin::RepeatedCreate) -> Self {
        match repeated {
            plugin::RepeatedCreate::Safe => Self::Safe,
            plugin::RepeatedCreate::UpToPlugin => Self::UpToPlugin,
            plugin::RepeatedCreate::Remembered => Self::Remembered,
        }
    }
}

impl ServedPlugin {
    pub(super) fn of(served: &Served) -> Self {
        let TaskType { name, version } = served.task_type;
        Self {
            task_type: name,
            version,
            mode: if served.plugin.is_sync() { Mode::Sync } else { Mode::Async },
            repeated_create: served.plugin.repeated_create(served.task_type).map(Into::into),
            path: format!("/plugins/v1/{name}/{version}"),
        }
    }
}

/// RFC 9457, with the members of Flyte's RFC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// The vendor's error code as the vendor spells it, or one of the service, in capitals: `INVALID_ARGUMENT`.
    error_code: String,
    message: String,
}
