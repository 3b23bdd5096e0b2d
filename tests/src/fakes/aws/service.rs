//! What the fake of one service says about itself, and what it answers.

use serde_json::{Value, json};

use super::{Call, Checker, Model, course::Ending};

/// A service whose jobs a fake keeps.
pub trait Service: Send + Sized + 'static {
    /// The configuration of its fake.
    type Options: Default + Send;
    /// How a job of it may fail.
    type Failure: Clone + Send;

    /// The error of the service's own faults, with which a submit ends whose response is lost.
    const FAULT: &'static str = "InternalServerException";

    /// Its model.
    fn model() -> &'static Model;

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
}

/// The answer to a call.
pub type Answer = Result<Done, Exception>;

/// A successful answer: the operation's output.
#[derive(Debug, Clone)]
pub enum Done {
    /// Of an operation that starts nothing.
    Output(Value),
    /// Of a submit that started a job.
    Started(Value),
    /// Of a submit of a job that already existed.
    Repeated(Value),
}

/// An error that the model documents for the operation.
#[derive(Debug, Clone)]
pub struct Exception {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) members: Value,
}

/// The code of an operation that there is not.
pub(super) const UNKNOWN_OPERATION: &str = "UnknownOperationException";

impl Exception {
    /// An error with `code`.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), members: json!({}) }
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
