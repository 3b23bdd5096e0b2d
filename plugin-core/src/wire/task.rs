//! Create requests: task templates, inputs and metadata.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use prost::Message as _;
use secrecy::SecretString;
use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{
    bounds::Bounds,
    literal::{exact_struct, input},
    literal_type::output_kind,
    outputs::detailed,
    path::Path,
    proto::flyteidl::{
        admin::{CreateTaskRequest, TaskCategory, TaskExecutionMetadata},
        core::{
            self as proto, Connection, LiteralMap, TaskTemplate, VariableMap,
            resources::{ResourceEntry, ResourceName},
            task_template::Target,
        },
    },
    raw::{RawTask, Submitted},
};
use crate::{
    context::{ConnectionValues, Execution},
    task::{Container, Inputs, Task, TaskId, Type},
};

/// A task in the form that its plugin takes.
pub(crate) enum AnyTask {
    Read(Box<Task<Json>>),
    Raw(RawTask),
}

impl AnyTask {
    /// The task, for a plugin that takes it read.
    pub(crate) fn read(self) -> Result<Task<Json>> {
        match self {
            Self::Read(task) => Ok(*task),
            Self::Raw(_) => Err(Error::internal("the task was not read")),
        }
    }

    /// The task, for a plugin that takes it as it came.
    pub(crate) fn raw(self) -> Result<RawTask> {
        match self {
            Self::Raw(task) => Ok(task),
            Self::Read(_) => Err(Error::internal("the task was read")),
        }
    }
}

/// A decoded create request.
pub(crate) struct Submission {
    /// The task, or the error if it is invalid.
    pub(crate) task: Result<AnyTask>,
    pub(crate) output_prefix: String,
    pub(crate) execution: Arc<Execution>,
    /// Identifies the attempt if there is no output prefix; else empty, as if it is unknown.
    pub(crate) attempt_id: String,
    pub(crate) connection: ConnectionValues,
    /// The encoded size of the inputs, in bytes.
    pub(crate) input_bytes: usize,
}

impl Submission {
    /// The task type and version of a request, without decoding the rest.
    pub(crate) fn addressee(request: &CreateTaskRequest) -> Result<(&str, i32)> {
        match &request.template {
            Some(template) if template.r#type.is_empty() => {
                Err(Error::invalid("template.type: missing"))
            }
            Some(template) => Ok((&template.r#type, template.task_type_version)),
            None => Err(Error::invalid("template: missing")),
        }
    }

    /// Reads `submitted`, whose plugin may want the task as it came; a task that exceeds `bounds` is invalid.
    pub(crate) fn read(submitted: Submitted, wants_raw: bool, bounds: &Bounds) -> Self {
        let checked = bounds.check(&submitted.request);
        let raw = wants_raw.then(|| submitted.raw());
        let request = *submitted.request;
        let template = request.template.unwrap_or_default();
        let inputs = request.inputs.unwrap_or_default();
        let mut metadata = request.task_execution_metadata.unwrap_or_default();
        // Only where nothing else names the attempt.
        let is_named = !request.output_prefix.is_empty();
        let attempt_id = if is_named { String::new() } else { attempt_id(&metadata) };
        Self {
            output_prefix: request.output_prefix,
            execution: Arc::new(execution(&mut metadata)),
            attempt_id,
            connection: connection(request.connection),
            input_bytes: inputs.encoded_len(),
            task: checked.and_then(|()| match raw {
                Some(raw) => raw.map(AnyTask::Raw),
                None => task(template, inputs, metadata).map(|task| AnyTask::Read(Box::new(task))),
            }),
        }
    }
}

fn task(
    template: TaskTemplate,
    inputs: LiteralMap,
    metadata: TaskExecutionMetadata,
) -> Result<Task<Json>> {
    let proto::Identifier { project, domain, name, version, .. } = template.id.unwrap_or_default();
    let interface = template.interface.unwrap_or_default();
    let declared = interface.outputs.unwrap_or_default().variables;
    let detailed_outputs = detailed(&declared);
    let outputs = declared.into_iter().map(|(name, variable)| {
        (name, variable.r#type.as_ref().map_or(Type::Unknown, output_kind))
    });
    let timeout = template.metadata.and_then(|metadata| metadata.timeout);
    let (statement, container) = match template.target {
        Some(Target::Sql(sql)) => (Some(sql.statement), None),
        Some(Target::Container(container)) => (None, Some(read_container(container))),
        Some(Target::K8sPod(_)) | None => (None, None),
    };
    Ok(Task {
        custom: exact_struct(&Path::Root("custom"), template.custom.unwrap_or_default())?,
        inputs: read_inputs(inputs, &interface.inputs.unwrap_or_default())?,
        config: template.config,
        container,
        // Absent, zero and negative all mean no limit.
        timeout: timeout.and_then(|time| Duration::try_from(time).ok()).filter(|t| !t.is_zero()),
        labels: metadata.labels,
        environment: metadata.environment_variables,
        id: TaskId { project, domain, name, version },
        iam_role: metadata
            .identity
            .map(|identity| identity.iam_role)
            .filter(|role| !role.is_empty()),
        statement,
        outputs: outputs.collect(),
        detailed_outputs,
    })
}

fn read_container(container: proto::Container) -> Container {
    let env = container.env.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let proto::Container { image, command, args, .. } = container;
    let proto::Resources { requests, limits } = container.resources.unwrap_or_default();
    let (requests, limits) = (quantities(requests), quantities(limits));
    Container { image, command, args, env, requests, limits }
}

/// Quantities by name, as Kubernetes has them.
fn quantities(entries: Vec<ResourceEntry>) -> BTreeMap<String, String> {
    let entries = entries.into_iter().filter_map(|entry| {
        let name = match entry.name() {
            ResourceName::Cpu => "cpu",
            ResourceName::Gpu => "gpu",
            ResourceName::Memory => "memory",
            ResourceName::Storage => "storage",
            ResourceName::EphemeralStorage => "ephemeral-storage",
            ResourceName::Unknown => return None,
        };
        Some((name.to_owned(), entry.value))
    });
    entries.collect()
}

pub(super) fn read_inputs(literals: LiteralMap, declared: &VariableMap) -> Result<Inputs> {
    let root = Path::Root("inputs");
    let inputs = literals.literals.into_iter().map(|(name, literal)| {
        let declared = declared.variables.get(&name).and_then(|variable| variable.r#type.as_ref());
        let input = input(&root.member(&name), literal, declared)?;
        Ok((name, input))
    });
    inputs.collect()
}

/// Flyte's names for the attempt, which are taken out of `metadata`.
pub(crate) fn execution(metadata: &mut TaskExecutionMetadata) -> Execution {
    let id = metadata.task_execution_id.take().unwrap_or_default();
    let node = id.node_execution_id.unwrap_or_default();
    let execution = node.execution_id.unwrap_or_default();
    Execution {
        project: execution.project,
        domain: execution.domain,
        name: execution.name,
        node: node.node_id,
        attempt: id.retry_attempt,
        task: id.task_id.unwrap_or_default().name,
        namespace: mem::take(&mut metadata.namespace),
    }
}

/// The task execution id as one string.
///
/// Only a fallback for `output_prefix`: in Flyte 1 node ids repeat in sub-workflows and map tasks.
fn attempt_id(metadata: &TaskExecutionMetadata) -> String {
    let Some(id) = &metadata.task_execution_id else {
        return String::new();
    };
    let task = id.task_id.clone().unwrap_or_default();
    let node = id.node_execution_id.clone().unwrap_or_default();
    let execution = node.execution_id.unwrap_or_default();
    if execution.name.is_empty() {
        return String::new();
    }
    let attempt = id.retry_attempt.to_string();
    [
        execution.project,
        execution.domain,
        execution.name,
        node.node_id,
        task.name,
        task.version,
        attempt,
    ]
    .join("/")
}

/// The values in a request's connection.
pub(crate) fn connection(connection: Option<Connection>) -> ConnectionValues {
    let Connection { secrets, configs, .. } = connection.unwrap_or_default();
    let secrets = secrets.into_iter().map(|(name, value)| (name, SecretString::from(value)));
    ConnectionValues { secrets: secrets.collect(), configs }
}

/// The task type of a get or delete; propellers before 1.11 send only its name.
pub(crate) fn category(category: Option<TaskCategory>, task_type: String) -> Option<String> {
    let name = category.map_or(task_type, |category| category.name);
    (!name.is_empty()).then_some(name)
}
