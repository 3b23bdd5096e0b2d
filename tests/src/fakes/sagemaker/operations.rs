//! The fake's operations.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    SageMaker,
    resource::{Kind, Resource},
};
use crate::fakes::aws::{Answer, Call, Done, Exception};

type Operation = fn(&mut SageMaker, &'static Kind, &Call) -> Answer;
const VERBS: [(&str, Operation); 4] = [
    ("Create", SageMaker::create),
    ("Describe", SageMaker::describe),
    ("Stop", SageMaker::stop),
    ("Delete", SageMaker::delete),
];

impl SageMaker {
    pub(super) fn operate(&mut self, call: &Call) -> Answer {
        let operation = call.operation.as_str();
        if operation == "ListTags" {
            return self.tags(call.text("ResourceArn"));
        }
        if operation == "InvokeEndpointAsync" {
            return self.invoke(call);
        }
        let known = VERBS.into_iter().find_map(|(verb, answer)| {
            Some((answer, operation.strip_prefix(verb).and_then(Kind::of)?))
        });
        match known {
            Some((answer, kind)) => answer(self, kind, call),
            None => Err(Exception::unknown(operation)),
        }
    }

    /// Each call is another invocation, whatever its inference id: AWS promises nothing else.
    fn invoke(&self, call: &Call) -> Answer {
        let name = call.text("EndpointName");
        let key = Kind::of("Endpoint").map(|kind| kind.key(name));
        let found = key.and_then(|key| self.resources.get(&key));
        if found.is_none_or(|endpoint| endpoint.state() != "InService") {
            let message = format!("Endpoint {name} of account 123456789012 not found.");
            return Err(Exception::new("ValidationError", message));
        }
        let id = match call.text("InferenceId") {
            "" => "f1c1b0d2-0000-4000-8000-000000000001",
            id => id,
        };
        let (file, extension) = (call.text("Filename"), call.text("S3OutputPathExtension"));
        let file = if file.is_empty() { format!("{id}.out") } else { file.to_owned() };
        let folder = format!("{name}/{extension}").trim_end_matches('/').to_owned();
        Ok(Done::Started(json!({
            "InferenceId": id,
            "OutputLocation": format!("s3://acme-ml/inferences/{folder}/{file}"),
            "FailureLocation": format!("s3://acme-ml/failures/{folder}/{id}-error.out"),
        })))
    }

    fn create(&mut self, kind: &'static Kind, call: &Call) -> Answer {
        let (name, noun) = (call.text(kind.name), kind.noun);
        let (arn, key) = (kind.arn(name), kind.key(name));
        if self.resources.contains_key(&key) {
            let in_use = format!("The {noun} name {} is in use; names must be unique.", key.1);
            return Err(match kind.is_job() {
                true => Exception::new("ResourceInUse", in_use),
                false => invalid(format!("Cannot create already existing {noun} \"{arn}\".")),
            });
        }
        if let Some(missing) = self.missing_part(&call.input).filter(|_| self.options.needs_parts) {
            return Err(invalid(missing));
        }
        self.keep(kind, call.input.clone());
        Ok(Done::Started(json!({ kind.arn_member(): arn })))
    }

    /// What SageMaker says if `input` refers to a model or an endpoint configuration that does not exist.
    fn missing_part(&self, input: &Value) -> Option<String> {
        let variants = input["ProductionVariants"].as_array().into_iter().flatten();
        let models = variants.filter_map(|variant| variant["ModelName"].as_str());
        let models = models.map(|name| ("Model", name));
        let configs = input.get("EndpointName").and(input["EndpointConfigName"].as_str());
        let configs = configs.map(|name| ("EndpointConfig", name));
        models.chain(configs).find_map(|(suffix, name)| {
            let kind = Kind::of(suffix)?;
            let is_missing = !self.resources.contains_key(&kind.key(name));
            is_missing.then(|| format!("Could not find {} \"{}\".", kind.noun, kind.arn(name)))
        })
    }

    fn describe(&mut self, kind: &'static Kind, call: &Call) -> Answer {
        let name = call.text(kind.name);
        if let Some(found) = self.resources.get_mut(&kind.key(name)) {
            let described = found.described();
            found.advance();
            return Ok(Done::Output(described));
        }
        // The training jobs of a tuning job.
        let of_tuning = |(suffix, parent): &(&str, String)| {
            *suffix == "HyperParameterTuningJob" && name.starts_with(&format!("{parent}-0"))
        };
        if kind.suffix == "TrainingJob" && self.resources.keys().any(of_tuning) {
            let input = json!({
                "TrainingJobName": name, "StoppingCondition": {"MaxRuntimeInSeconds": 60}});
            return Ok(Done::Output(Resource::completed(kind, input).described()));
        }
        Err(not_found(kind, name))
    }

    fn stop(&mut self, kind: &'static Kind, call: &Call) -> Answer {
        let found = self.found(kind, call)?;
        if found.stop() {
            return Ok(Done::Nothing);
        }
        let (noun, state) = (kind.noun, found.state());
        Err(invalid(format!("The request was rejected because the {noun} is in status {state}.")))
    }

    fn delete(&mut self, kind: &'static Kind, call: &Call) -> Answer {
        let key = self.found(kind, call)?.key();
        self.resources.remove(&key);
        Ok(Done::Nothing)
    }

    fn tags(&self, arn: &str) -> Answer {
        let found = Kind::of_arn(arn).map(|(kind, name)| kind.key(name));
        match found.and_then(|key| self.resources.get(&key)) {
            Some(found) => Ok(Done::Output(found.tags())),
            None => Err(invalid(format!("Could not find resource \"{arn}\"."))),
        }
    }

    fn found(&mut self, kind: &'static Kind, call: &Call) -> Result<&mut Resource, Exception> {
        let name = call.text(kind.name);
        self.resources.get_mut(&kind.key(name)).ok_or_else(|| not_found(kind, name))
    }
}

fn not_found(kind: &Kind, name: &str) -> Exception {
    match kind.is_job() {
        true => Exception::new("ResourceNotFound", "Requested resource not found."),
        false => invalid(format!("Could not find {} \"{}\".", kind.noun, kind.arn(name))),
    }
}

/// The model has no error for what SageMaker calls invalid.
fn invalid(message: impl Into<String>) -> Exception {
    Exception::common(StatusCode::BAD_REQUEST, "ValidationException", message)
}
