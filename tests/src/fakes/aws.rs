//! What all fakes of AWS services share: requests and responses checked against the service's published model.
//!
//! The models are extracts of botocore's (`tests/aws-models`). A request that does not fit gets the error that AWS would
//! answer with, and is recorded as a breach; so is a response that AWS could not have made. Signatures are verified
//! with the known secrets.

mod course;
mod fake;
mod metadata;
mod model;
mod rest;
mod service;
mod shape;
mod signature;
mod sts;
mod tokens;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

pub use self::{
    course::{At, Course, Ending},
    fake::Fake,
    metadata::{FakeContainer, FakeInstance},
    model::{Model, Operation},
    service::{Answer, Done, Exception, Service},
    signature::Identity,
    sts::{Assumed, FakeSts},
    tokens::{Earlier, Tokens},
};

/// The id of the access key that fakes know. Like the one of AWS's documentation, it belongs to nobody.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The regions that fakes are in.
pub const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// An error that a fake answers with, whatever it is asked.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The HTTP status.
    pub status: u16,
    /// The error's code, for example `ThrottlingException`.
    pub code: String,
    /// Its message.
    pub message: String,
}

impl Outage {
    /// An outage with `code`.
    #[must_use]
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// AWS's answer to too many requests.
    #[must_use]
    pub fn throttled() -> Self {
        Self::new(400, "ThrottlingException", "Rate exceeded")
    }

    /// AWS's answer to the keys of an ended session.
    #[must_use]
    pub fn expired() -> Self {
        let message = "The security token included in the request is expired";
        Self::new(400, "ExpiredTokenException", message)
    }

    /// Its response.
    #[must_use]
    pub fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        error(status, &self.code, &self.message)
    }
}

/// The key of a tag in `input` that AWS keeps for itself, which no model says.
fn reserved_tag(input: &Value) -> Option<&str> {
    let is_reserved = |key: &&str| key.to_ascii_lowercase().starts_with("aws:");
    let keys = input["tags"].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let listed = input["Tags"].as_array().into_iter().flatten();
    keys.chain(listed.filter_map(|tag| tag["Key"].as_str())).find(is_reserved)
}

/// A request to a fake, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path and the query.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// A request that fits the model and is signed by a known identity.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation, for example `ExecuteStatement`.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// Who signed it: an access key id.
    pub access_key: String,
}

/// Checks what a fake receives and answers.
pub struct Checker {
    model: &'static Model,
    /// Of another API at the same address.
    rest: Option<&'static Model>,
    regions: Vec<String>,
    identities: Mutex<BTreeMap<String, Identity>>,
    breaches: Mutex<Vec<String>>,
}

impl Checker {
    /// A checker of `model` for requests that are signed for one of `regions`.
    #[must_use]
    pub fn new(model: &'static Model, regions: &[&str]) -> Self {
        Self {
            model,
            rest: None,
            regions: regions.iter().map(|&region| region.to_owned()).collect(),
            identities: Mutex::default(),
            breaches: Mutex::default(),
        }
    }

    /// Checks requests that name their operation by a path with `model`, if there is one.
    #[must_use]
    pub fn with_rest(self, model: Option<&'static Model>) -> Self {
        Self { rest: model, ..self }
    }

    /// The model of the API that `received` is for.
    fn model_of(&self, received: Received<'_>) -> &'static Model {
        let is_rest = received.uri.path() != "/" && !received.headers.contains_key("x-amz-target");
        self.rest.filter(|_| is_rest).unwrap_or(self.model)
    }

    /// The model that has `operation`.
    fn model_with(&self, operation: &str) -> &'static Model {
        let has = |model: &&Model| model.operations.contains_key(operation);
        self.rest.filter(has).unwrap_or(self.model)
    }

    /// Accepts requests that `identity` signs.
    pub fn know(&self, identity: Identity) {
        lock(&self.identities).insert(identity.access_key.clone(), identity);
    }

    /// Refuses all requests of `access_key` from now on, as AWS does those of ended sessions.
    pub fn expire(&self, access_key: &str) {
        if let Some(identity) = lock(&self.identities).get_mut(access_key) {
            identity.expired = true;
        }
    }

    /// What did not fit so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        lock(&self.breaches).clone()
    }

    /// Records that `what` did not fit.
    pub fn breach(&self, what: impl Into<String>) {
        lock(&self.breaches).push(what.into());
    }

    /// The call that `received` makes.
    ///
    /// # Errors
    /// AWS's answer to a request that does not fit.
    pub fn check(&self, received: Received<'_>) -> Result<Call, Box<Response>> {
        let model = self.model_of(received);
        let access_key = self.verify(received, model)?;
        let (name, operation, input) = match model.is_rest() {
            true => rest::read(model, received)
                .map_err(|why| self.refused("SerializationException", &why))?,
            false => {
                let (name, operation) = self.operation(received)?;
                let body = match received.body {
                    [] => b"{}",
                    body => body,
                };
                let input = serde_json::from_slice::<Value>(body).map_err(|why| {
                    self.refused("SerializationException", &format!("{name}: {why}"))
                })?;
                (name, operation, input)
            }
        };
        let problems = shape::check(model, &operation.input, &input);
        if let Some(kind) = problems.first().map(|first| first.kind) {
            let messages = problems.iter().map(|one| one.message.clone()).collect::<Vec<_>>();
            self.breach(format!("{name}: {}", messages.join("; ")));
            return Err(Box::new(misfit(operation, kind, &messages)));
        }
        if let Some(key) = reserved_tag(&input) {
            let message = format!("{name}: the tag {key} has the prefix aws:, which is reserved");
            return Err(self.refused("ValidationException", &message));
        }
        Ok(Call { operation: name.to_owned(), input, access_key })
    }

    /// Who signed `received`.
    fn verify(&self, received: Received<'_>, model: &Model) -> Result<String, Box<Response>> {
        let verified = signature::verify(
            received,
            &model.metadata.signing_name,
            &self.regions,
            &lock(&self.identities),
        );
        verified.map_err(|refused| {
            if refused.is_breach {
                self.breach(format!("signature: {}", refused.message));
            }
            Box::new(error(StatusCode::BAD_REQUEST, refused.code, &refused.message))
        })
    }

    /// The operation that `received` names by its headers.
    fn operation(
        &self,
        received: Received<'_>,
    ) -> Result<(&'static str, &'static Operation), Box<Response>> {
        let text = |name: &str| {
            received.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let version = self.model.metadata.json_version.as_deref().unwrap_or("1.1");
        let media_type = format!("application/x-amz-json-{version}");
        if text(header::CONTENT_TYPE.as_str()) != media_type {
            let found = text(header::CONTENT_TYPE.as_str());
            return Err(
                self.refused("UnknownOperationException", &format!("content-type: {found}"))
            );
        }
        let target = text("x-amz-target");
        let prefix = self.model.metadata.target_prefix.as_deref().unwrap_or_default();
        let name = target.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
        let found = name.and_then(|name| self.model.operations.get_key_value(name));
        let Some((name, operation)) = found else {
            return Err(
                self.refused("UnknownOperationException", &format!("x-amz-target: {target}"))
            );
        };
        if *received.method != Method::POST || received.uri.path() != "/" {
            let line = format!("{} {}", received.method, received.uri);
            return Err(self.refused("UnknownOperationException", &line));
        }
        Ok((name, operation))
    }

    /// Records a breach; the answer to it.
    fn refused(&self, code: &str, message: &str) -> Box<Response> {
        self.breach(message);
        Box::new(error(StatusCode::BAD_REQUEST, code, message))
    }

    /// A successful answer of `operation`.
    pub fn answer(&self, operation: &str, output: &Value) -> Response {
        let model = self.model_with(operation);
        let known = model.operations.get(operation).and_then(|known| known.output.as_ref());
        match known {
            Some(shape) => {
                for problem in shape::check(model, shape, output) {
                    self.breach(format!("the fake's answer to {operation}: {}", problem.message));
                }
            }
            None => self.breach(format!("the fake answers {operation}, which has no output")),
        }
        let status = model.operations.get(operation).and_then(|known| known.http.response_code);
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        let (headers, body) = rest::spread(known.and_then(|shape| model.shapes.get(shape)), output);
        (headers, respond(status.unwrap_or(StatusCode::OK), &body)).into_response()
    }

    /// A successful answer of `operation`, which has no output.
    pub fn done(&self, operation: &str) -> Response {
        let known = self.model_with(operation).operations.get(operation);
        if known.is_none_or(|known| known.output.is_some()) {
            self.breach(format!("the fake answers {operation} without its output"));
        }
        StatusCode::OK.into_response()
    }

    /// An error that the model documents for `operation`, with `members` besides its message.
    pub fn exception(
        &self,
        operation: &str,
        code: &str,
        message: &str,
        members: &Value,
    ) -> Response {
        let model = self.model_with(operation);
        let documented = model.operations.get(operation);
        if !documented.is_some_and(|known| known.errors.iter().any(|error| error == code)) {
            self.breach(format!(
                "the fake answers {operation} with {code}, which is not documented"
            ));
        }
        let shape = model.shapes.get(code);
        let is_fault = shape.is_some_and(|shape| shape.fault);
        let status =
            if is_fault { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        let is_rest = model.is_rest();
        let mut body = Map::new();
        if !is_rest {
            body.insert("__type".to_owned(), code.into());
        }
        let capital = shape.is_some_and(|shape| shape.members.contains_key("Message"));
        body.insert(if capital { "Message" } else { "message" }.to_owned(), message.into());
        body.extend(members.as_object().cloned().unwrap_or_default());
        let body = Value::Object(body);
        match is_rest {
            true => rest::exception(shape, status, code, &body),
            false => respond(status, &body),
        }
    }
}

/// AWS's answer to an input that does not fit.
fn misfit(operation: &Operation, kind: shape::Misfit, messages: &[String]) -> Response {
    if kind == shape::Misfit::Type {
        return error(StatusCode::BAD_REQUEST, "SerializationException", &messages[0]);
    }
    // Services from before Smithy's validation have an exception of their own for it.
    let own = ["InvalidRequestException", "ClientException"];
    let own = own.into_iter().find(|own| operation.errors.iter().any(|known| known == own));
    let code = own.unwrap_or("ValidationException");
    let errors = if messages.len() == 1 { "error" } else { "errors" };
    let message =
        format!("{} validation {errors} detected: {}", messages.len(), messages.join("; "));
    error(StatusCode::BAD_REQUEST, code, &message)
}

/// An error that any service of AWS may answer with, for example `ThrottlingException` with HTTP 400.
#[must_use]
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    respond(status, &json!({ "__type": code, "message": message }))
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"),
        ("x-amzn-requestid", "4b7d2a1e-0000-4000-8000-000000000001"),
    ];
    (status, headers, body.to_string()).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
