//! flytekit's `boto` tasks: each is one call of SageMaker's API, one of those that flytekit's own tasks make.

use std::collections::BTreeMap;

use plugin_core::{
    Context, Error, Kind, Phase, Result, Status, SyncTasks, Task, Value,
    aws::{self, Client, ExecutionRoles},
    schemars::{self, JsonSchema},
    serde_json::{Map, Value as Json, json},
};
use serde::Deserialize;

use crate::{
    SageMaker, images, invoke, outputs,
    render::Values,
    request::{self, Request},
    resource::{ENDPOINT_CONFIG, Facts, MODEL},
    roles,
    submit::{self, Adopt},
};

/// The task's configuration: flytekit's `BotoConfig`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `sagemaker`, or `sagemaker-runtime` of `invoke_endpoint_async`.
    pub(crate) service: String,
    /// The method of boto3, one of those that the service's operator lists.
    pub(crate) method: String,
    /// Its arguments, in which `{inputs.x}`, `{images.x}` and `{idempotence_token}` are replaced.
    #[serde(default)]
    pub(crate) config: Option<Map<String, Json>>,
    /// The region, one of those that the service's operator lists.
    #[serde(default)]
    pub(crate) region: Option<String>,
    /// Images for `{images.x}`.
    #[serde(default)]
    pub(crate) images: Option<BTreeMap<String, String>>,
    /// The ARN of the role to call AWS as, one of those that the service's operator allows. flytekit has no such field.
    #[serde(default)]
    pub(crate) role: Option<String>,
}

/// What a method does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Make(&'static Facts),
    Read,
    /// Stops or deletes.
    End,
    /// Asks an endpoint for an inference, by the API of the runtime.
    Invoke,
}

impl Does {
    /// The service in boto3 that has the method.
    fn service(self) -> &'static str {
        match self {
            Self::Make(_) | Self::Read | Self::End => "sagemaker",
            Self::Invoke => "sagemaker-runtime",
        }
    }
}

/// The methods that flytekit's tasks call, with their operations.
const METHODS: [(&str, &str, Does); 16] = [
    ("create_model", "CreateModel", Does::Make(&MODEL)),
    ("create_endpoint_config", "CreateEndpointConfig", Does::Make(&ENDPOINT_CONFIG)),
    ("delete_endpoint", "DeleteEndpoint", Does::End),
    ("delete_endpoint_config", "DeleteEndpointConfig", Does::End),
    ("delete_model", "DeleteModel", Does::End),
    ("describe_training_job", "DescribeTrainingJob", Does::Read),
    ("describe_processing_job", "DescribeProcessingJob", Does::Read),
    ("describe_transform_job", "DescribeTransformJob", Does::Read),
    ("describe_hyper_parameter_tuning_job", "DescribeHyperParameterTuningJob", Does::Read),
    ("describe_inference_recommendations_job", "DescribeInferenceRecommendationsJob", Does::Read),
    ("stop_training_job", "StopTrainingJob", Does::End),
    ("stop_processing_job", "StopProcessingJob", Does::End),
    ("stop_transform_job", "StopTransformJob", Does::End),
    ("stop_hyper_parameter_tuning_job", "StopHyperParameterTuningJob", Does::End),
    ("stop_inference_recommendations_job", "StopInferenceRecommendationsJob", Does::End),
    ("invoke_endpoint_async", "InvokeEndpointAsync", Does::Invoke),
];

/// One of them, as people submit it.
pub(crate) const EXAMPLE: &str = r#"{
    "custom": {"service": "sagemaker", "method": "delete_model", "config": {"ModelName": "{inputs.name}"}},
    "inputs": {"name": "orders-1"}
}"#;

/// The setting that lists them.
const SETTING: &str = "--boto-methods (SAGEMAKER_BOTO_METHODS)";

/// The methods that tasks may call.
#[derive(Debug)]
pub(crate) struct Allowed(Vec<String>);

impl Allowed {
    /// Those that the operator lists as `names`; all of them for `all`, and none for `none` or an empty list. An empty
    /// environment variable is no list: it counts as not set.
    ///
    /// # Errors
    /// `InvalidArgument` with one that flytekit's tasks do not call.
    pub(crate) fn new(names: &[String]) -> Result<Self> {
        let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        let names = names.map(str::to_owned).collect::<Vec<_>>();
        match names.as_slice() {
            [one] if one == "all" => {
                return Ok(Self(METHODS.map(|(name, ..)| name.to_owned()).to_vec()));
            }
            [one] if one == "none" => return Ok(Self(Vec::new())),
            _ => {}
        }
        let known = |name: &&String| METHODS.iter().any(|(method, ..)| method == name);
        match names.iter().find(|name| !known(name)) {
            Some(unknown) => Err(Error::invalid(format!(
                "{SETTING}: {unknown:?} is neither all, none nor a method of flytekit's tasks; these are {}",
                METHODS.map(|(name, ..)| name).join(", ")
            ))),
            None => Ok(Self(names)),
        }
    }

    /// Whether tasks may call any.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn find(&self, call: &Call) -> Result<(&'static str, Does)> {
        let (service, method) = (call.service.as_str(), call.method.as_str());
        let is_called = |(_, _, does): &(&str, &str, Does)| does.service() == service;
        if !METHODS.iter().any(is_called) {
            return Err(Error::invalid(format!(
                "custom.service: {service:?}: this service calls sagemaker and sagemaker-runtime alone"
            )));
        }
        let known = METHODS.iter().find(|(name, ..)| *name == method);
        match known.filter(|_| self.0.iter().any(|name| name == method)) {
            Some(known @ (_, operation, does)) if is_called(known) => Ok((operation, *does)),
            Some((.., does)) => Err(Error::invalid(format!(
                "custom.service: {service:?} has no {method}, which is a method of {}",
                does.service()
            ))),
            None => Err(Error::invalid(format!(
                "custom.method: {method:?} is not allowed; the service's operator lists methods in {SETTING}"
            ))),
        }
    }
}

/// The JSON Schema of their `custom`.
pub(crate) fn schema() -> Json {
    schemars::schema_for!(Call).to_value()
}

impl SyncTasks for SageMaker {
    type Call = Call;

    async fn execute(&self, cx: &Context, task: Task<Call>) -> Result<Status> {
        let (region, role) = (task.custom.region.as_deref(), task.custom.role.as_deref());
        let place = self.aws.choose(cx, &crate::asked(&task.inputs, region, role))?;
        let (operation, does) = self.boto.find(&task.custom)?;
        let api = if matches!(does, Does::Invoke) { &self.runtime } else { &self.aws };
        let client = api.client(cx, &place)?;
        execute(cx, &client, &self.roles, (operation, does), &task).await
    }
}

/// Calls what `task` asks for, which is `operation`, in the region that `client` calls.
async fn execute(
    cx: &Context,
    client: &Client,
    roles: &ExecutionRoles,
    (operation, does): (&str, Does),
    task: &Task<Call>,
) -> Result<Status> {
    let call = &task.custom;
    let asked = call.config.clone().unwrap_or_default();
    let token = request::token(cx);
    let values = Values {
        inputs: &task.inputs,
        images: &images::of(call.images.as_ref(), client.region().name())?,
        token: &token,
        longest: ("", 0),
    };
    let config = values.render("custom.config", &asked)?;
    roles::check(cx, roles, "custom.config", &config)?;
    let result = match does {
        Does::Make(facts) => make(cx, client, roles, facts, config).await?,
        Does::Read => read(cx, client, operation, config).await?,
        Does::End => end(cx, client, operation, config).await?,
        Does::Invoke => invoke::invoke(cx, client, config).await?,
    };
    // As in flytekit, there is a token only where one was asked for.
    let is_asked = Json::Object(asked).to_string().contains("{idempotence_token}");
    let token = if is_asked { token } else { String::new() };
    Ok(Status::new(Phase::Succeeded)
        .output("result", Some(Value::Json(result)))
        .output("idempotence_token", Some(Value::String(token))))
}

async fn make(
    cx: &Context,
    client: &Client,
    roles: &ExecutionRoles,
    facts: &Facts,
    mut config: Map<String, Json>,
) -> Result<Json> {
    let role = "ExecutionRoleArn";
    if facts.name == MODEL.name && !config.contains_key(role) {
        let default = roles.choose(cx, role, None)?;
        config.extend(default.map(|arn| (role.to_owned(), arn.into())));
    }
    let field = format!("custom.config.{}", facts.name);
    let name = match config.get(facts.name) {
        Some(name) => request::checked(&field, name, facts.longest_name)?.to_owned(),
        None => return Err(Error::invalid(format!("{field}: missing"))),
    };
    let request = Request::tagged(cx, "custom.config", name, config)?;
    let arn = submit::submit(cx, client, facts, &request, Adopt::Same).await?;
    Ok(json!({ facts.arn: arn }))
}

async fn read(
    cx: &Context,
    client: &Client,
    operation: &str,
    config: Map<String, Json>,
) -> Result<Json> {
    let answer: Json =
        client.call(operation, &config).idempotent().send_json(cx).await.map_err(aws::of_submit)?;
    Ok(outputs::all_timed("", answer))
}

/// A repeat finds nothing that it could stop or delete.
async fn end(
    cx: &Context,
    client: &Client,
    operation: &str,
    config: Map<String, Json>,
) -> Result<Json> {
    // What flytekit's connector returns for a call without a result.
    let nothing = json!({ "result": null });
    match client.call(operation, &config).idempotent().send(cx).await {
        Ok(_) => Ok(nothing),
        Err(error) if error.kind() == Kind::NotFound => Ok(nothing),
        Err(error) if operation.starts_with("Stop") && has_ended(&error) => Ok(nothing),
        Err(error) => Err(error),
    }
}

/// Whether AWS refused to stop a job because it does not run: the model has no error for that.
fn has_ended(error: &Error) -> bool {
    let is_refusal = error.kind() == Kind::InvalidArgument && error.is_upstream();
    is_refusal && ["is in status", "non-running"].iter().any(|text| error.message().contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: &str, method: &str) -> Call {
        let (service, method) = (service.to_owned(), method.to_owned());
        Call { service, method, config: None, region: None, images: None, role: None }
    }

    #[test]
    fn only_listed_methods_of_sagemaker_may_be_called() {
        let all = Allowed::new(&["all".to_owned()]).unwrap();
        for (method, _, does) in METHODS {
            assert!(all.find(&call(does.service(), method)).is_ok(), "{method}");
        }
        for (service, method) in
            [("sagemaker", "invoke_endpoint_async"), ("sagemaker-runtime", "create_model")]
        {
            let error = all.find(&call(service, method)).unwrap_err();
            assert!(error.message().starts_with("custom.service: "), "{error}");
        }
        let some = Allowed::new(&["create_model".to_owned(), " delete_model".to_owned()]).unwrap();
        assert!(some.find(&call("sagemaker", "delete_model")).is_ok());
        for (service, method, field) in [
            ("sagemaker", "delete_endpoint", "custom.method: "),
            ("sagemaker", "create_notebook_instance", "custom.method: "),
            ("iam", "create_model", "custom.service: "),
            ("sagemaker-runtime", "invoke_endpoint_async", "custom.method: "),
            ("sagemaker-runtime", "invoke_endpoint", "custom.method: "),
        ] {
            let error = some.find(&call(service, method)).unwrap_err();
            assert!(error.message().starts_with(field), "{error}");
        }
        for none in ["none", "", " "] {
            assert!(!Allowed::new(&[none.to_owned()]).unwrap().any(), "{none:?}");
        }
        let both = ["none".to_owned(), "delete_model".to_owned()];
        assert!(Allowed::new(&both).unwrap_err().message().contains("\"none\" is neither"));
        let error = Allowed::new(&["create_user".to_owned()]).unwrap_err();
        assert!(error.message().starts_with(SETTING), "{error}");
    }
}
