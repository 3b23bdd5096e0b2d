//! A fake EMR Serverless that runs no jobs.
//!
//! It speaks rest-json: a client token returns the existing run, or a conflict if the request is another; runs go through
//! states to the configured [`Ending`] and can be cancelled while they have not ended; an application takes runs only while
//! it is started, or starts by itself.

mod application;
mod run;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::application::Application;
use self::run::Run;
use super::aws::{
    self, Answer, Call, Checker, Done, Earlier, Exception, Fake, Model, Service, Tokens,
};

/// A running fake.
pub type FakeEmrServerless = Fake<EmrServerless>;

/// How runs end.
pub type Ending = aws::Ending<Failure>;

/// How a run fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `FAILED`, or `CANCELLED` without a cancel.
    pub state: String,
    /// Its details.
    pub details: String,
}

impl Ending {
    /// A script that raises.
    #[must_use]
    pub fn failed_script() -> Self {
        let details = "Job failed, please check complete logs in configured logging destination. ExitCode: 1.";
        Self::failed("FAILED", details)
    }

    /// An application that has no room.
    #[must_use]
    pub fn no_capacity() -> Self {
        Self::failed(
            "FAILED",
            "Job failed as the application has reached maximumCapacity settings.",
        )
    }

    /// A run that takes too long.
    #[must_use]
    pub fn timeout() -> Self {
        Self::failed("CANCELLED", "Job timed out.")
    }

    fn failed(state: &str, details: &str) -> Self {
        Self::Failure(Failure { state: state.to_owned(), details: details.to_owned() })
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The states in which polls find a run before it ends.
    pub states: Vec<String>,
    /// How runs end.
    pub ending: Ending,
    /// The applications.
    pub applications: Vec<Application>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            states: ["SUBMITTED", "SCHEDULED", "RUNNING"].map(str::to_owned).to_vec(),
            ending: Ending::Success,
            applications: vec![Application::new("00f1r2v3abcdef09", "etl")],
        }
    }
}

/// EMR Serverless.
pub struct EmrServerless {
    options: Options,
    runs: BTreeMap<String, Run>,
    tokens: Tokens,
}

impl Service for EmrServerless {
    type Options = Options;
    type Failure = Failure;

    fn model() -> &'static Model {
        Model::emr_serverless()
    }

    fn new(options: Options) -> Self {
        Self { options, runs: BTreeMap::new(), tokens: Tokens::default() }
    }

    fn answer(&mut self, call: &Call, _: &Checker) -> Answer {
        match call.operation.as_str() {
            "ListApplications" => {
                let asked = Asked::new(&call.input);
                let found = self.options.applications.iter().filter(|one| asked.has(&one.state));
                Ok(Done::Output(
                    json!({ "applications": found.map(Application::listed).collect::<Value>() }),
                ))
            }
            "GetApplication" => {
                let application = self.application(call)?;
                application.advance();
                Ok(Done::Output(json!({ "application": application.described() })))
            }
            "StartApplication" => {
                "STARTING".clone_into(&mut self.application(call)?.state);
                Ok(Done::Output(json!({})))
            }
            "StartJobRun" => self.submit(call),
            "ListJobRuns" => Ok(self.list(&call.input)),
            "GetJobRun" => {
                let run = self.run(call)?;
                let described = run.described();
                run.advance();
                Ok(Done::Output(json!({ "jobRun": described })))
            }
            "CancelJobRun" => self.run(call)?.cancel(),
            other => Err(Exception::unknown(other)),
        }
    }

    fn states(&self) -> Vec<String> {
        self.runs.values().map(|run| run.state().to_owned()).collect()
    }

    fn ending(&mut self) -> &mut Ending {
        &mut self.options.ending
    }
}

impl EmrServerless {
    fn application(&mut self, call: &Call) -> Result<&mut Application, Exception> {
        let id = call.text("applicationId");
        let found = self.options.applications.iter_mut().find(|one| one.id == id);
        found.ok_or_else(|| not_found(&format!("Application {id}")))
    }

    fn run(&mut self, call: &Call) -> Result<&mut Run, Exception> {
        let (application, id) = (call.text("applicationId"), call.text("jobRunId"));
        let found = self.runs.get_mut(id).filter(|run| run.application == application);
        found.ok_or_else(|| not_found(&format!("JobRun {id}")))
    }

    fn list(&self, input: &Value) -> Done {
        let size = input["maxResults"].as_u64().map_or(50, |size| size as usize);
        let after = input["nextToken"].as_str().unwrap_or_default();
        let asked = Asked::new(input);
        let matching = self.runs.values().filter(|run| {
            run.application == input["applicationId"]
                && run.id.as_str() > after
                && asked.has(run.state())
        });
        let page = matching.take(size).collect::<Vec<_>>();
        let mut answer =
            json!({ "jobRuns": page.iter().map(|run| run.listed()).collect::<Value>() });
        if page.len() == size
            && let Some(last) = page.last()
        {
            answer["nextToken"] = last.id.as_str().into();
        }
        Done::Output(answer)
    }

    /// A new run, or the one that has the token.
    fn submit(&mut self, call: &Call) -> Answer {
        let (input, token) = call.without("clientToken");
        match self.tokens.earlier(&token, &input) {
            Earlier::Other => Err(Exception::new(
                "ConflictException",
                "The client token was used with other parameters",
            )),
            Earlier::Same(id) => {
                let started = self.runs.get(&id).map(Run::started);
                Ok(Done::Repeated(started.unwrap_or_default()))
            }
            Earlier::None => {
                let id = format!("00f1r2v9{:08x}", self.runs.len() + 1);
                let (states, ending) = (self.options.states.clone(), self.options.ending.clone());
                let application = self.application(call)?;
                application.take_run()?;
                let run = Run::new(id.clone(), application, input.clone(), states, ending);
                let started = run.started();
                self.tokens.remember(&token, &input, &id);
                self.runs.insert(id, run);
                Ok(Done::Started(started))
            }
        }
    }
}

/// The states that a list asks for. None are all.
struct Asked<'a>(&'a [Value]);

impl<'a> Asked<'a> {
    fn new(input: &'a Value) -> Self {
        Self(input["states"].as_array().map_or(&[], Vec::as_slice))
    }

    fn has(&self, state: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one == state)
    }
}

fn not_found(what: &str) -> Exception {
    Exception::new("ResourceNotFoundException", format!("{what} does not exist"))
}
