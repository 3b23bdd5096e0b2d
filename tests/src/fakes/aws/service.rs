//! What the fake of one service says about itself, and what it answers.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Call, Checker, Model, course::Ending};

/// A service whose jobs a fake keeps.
pub trait Service: Send + Sized + 'static {
    /// The configuration of its fake.
    type Options: Default + Send;
    /// How a job of it may fail.
    type Failure: Clone + Send;

    /// Its model.
    fn model() -> &'static Model;

    /// The model of a rest-json API that the fake has besides, which AWS has at other hosts.
    #[must_use]
    fn rest_model() -> Option<&'static Model> {
        None
    }

    /// The regions for which requests may be signed.
    #[must_use]
    fn regions() -> &'static [&'static str] {
        &super::REGIONS
    }

    /// A service without jobs.
    fn new(options: Self::Options) -> Self;

    /// The answer to a call that fits the model. `checker` takes what the model does not say.
    ///
    /// # Errors
    /// The service's refusal.
    fn answer(&mut self, call: &Call, checker: &Checker) -> Answer;

    /// The states of all jobs, in the order of their submits.
    fn states(&self) -> Vec<String>;

    /// How jobs end that are submitted from now on.
    fn ending(&mut self) -> &mut Ending<Self::Failure>;

    /// The error of the service's own faults, with which a submit ends whose response is lost.
    #[must_use]
    fn fault(message: &str) -> Exception {
        Exception::new("InternalServerException", message)
    }
}

/// The answer to a call.
pub type Answer = Result<Done, Exception>;

/// A successful answer: the operation's output, if it has one.
#[derive(Debug, Clone)]
pub enum Done {
    /// Of an operation that starts nothing.
    Output(Value),
    /// Of an operation that has no output.
    Nothing,
    /// Of a submit that started a job.
    Started(Value),
    /// Of a submit of a job that already existed.
    Repeated(Value),
}

/// An error that the model documents for the operation, or a common one.
#[derive(Debug, Clone)]
pub struct Exception {
    /// Of a common error.
    pub(super) status: Option<StatusCode>,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) members: Value,
}

/// The code of an operation that there is not.
pub(super) const UNKNOWN_OPERATION: &str = "UnknownOperationException";

impl Exception {
    /// An error with `code`, which the model documents.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: None, code: code.to_owned(), message: message.into(), members: json!({}) }
    }

    /// One of AWS's common errors, which any operation may have, whatever the model says.
    #[must_use]
    pub fn common(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status: Some(status), ..Self::new(code, message) }
    }

    /// The answer to `operation`, which the fake does not have.
    #[must_use]
    pub fn unknown(operation: &str) -> Self {
        Self::new(UNKNOWN_OPERATION, operation)
    }

    /// The same with `members` besides its message.
    #[must_use]
    pub fn with(self, members: Value) -> Self {
        Self { members, ..self }
    }
}
