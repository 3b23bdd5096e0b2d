//! `try`: the requests that a file makes of a task, and what a vendor's answers mean, without a service.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use plugin_core::{
    Error, OutputTypes,
    aws::{Refusal, read_failure},
    digest::{hex, sha256},
    http::StatusCode,
    serde_json::{self, Map, Value as Json},
};

use super::{
    recorded::{Answer, answers},
    shown::Requests,
};
use crate::{
    auth::Auth,
    definition::{Create, Definition, Execute, Idempotency, Jobs, Work},
    expression::{Scope, origin_of},
    file::from_yaml,
    mistake::Mistakes,
    request::Request,
    settings::{self, Assignment, Declared},
    status,
    task::{Short, Values, ids},
    trace::Trace,
};

/// What is tried.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The file's name.
    pub name: &'a str,
    /// The file.
    pub source: &'a str,
    /// A task in the short form of REST, in JSON or YAML; the file's own example without one.
    pub request: Option<&'a str>,
    /// A vendor's answers, by step, in JSON: the conformance suite's `recorded.json`.
    pub recorded: Option<&'a str>,
    /// The names of the files with the task and the answers.
    pub(crate) names: Names<'a>,
    /// The operator's settings.
    pub(crate) set: Vec<Assignment>,
    /// Whether to show what each expression and rule gave.
    pub explain: bool,
}

/// What errors call the files of a trial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) request: &'a str,
    pub(crate) recorded: &'a str,
}

impl<'a> Attempt<'a> {
    /// The file `source` with the name `name`, for its own example, without settings.
    #[must_use]
    pub fn new(name: &'a str, source: &'a str) -> Self {
        let names = Names { request: "the task", recorded: "the recorded answers" };
        let (set, explain) = (Vec::new(), false);
        Self { name, source, request: None, recorded: None, names, set, explain }
    }

    /// Tries the task `request`.
    #[must_use]
    pub fn request(self, request: Option<&'a str>) -> Self {
        Self { request, ..self }
    }

    /// Takes the settings `set`, each as `PLUGIN.NAME=VALUE`.
    ///
    /// # Errors
    /// One has another form.
    pub fn set(self, set: &[&str]) -> Result<Self, String> {
        let set = set.iter().map(|one| one.parse()).collect::<Result<_, String>>()?;
        Ok(Self { set, ..self })
    }

    /// Says what the answers `recorded` mean.
    #[must_use]
    pub fn recorded(self, recorded: Option<&'a str>) -> Self {
        Self { recorded, ..self }
    }

    /// Shows what each expression and rule gave.
    #[must_use]
    pub fn explained(self) -> Self {
        Self { explain: true, ..self }
    }
}

/// Prints what `attempt` is.
///
/// # Errors
/// What is wrong with the file, the task, the settings or the answers.
pub fn attempt(attempt: &Attempt<'_>) -> Result<String, String> {
    let plan = Plan::of(attempt, None)?;
    let requests = Requests::of(&plan.definition, &plan.scope)?;
    plan.trace.take();
    let this = Offline { requests, plan };
    let output_prefix = "s3://bucket/an-attempt";
    let values = this.plan.values(output_prefix, hex(&sha256(&[output_prefix.as_bytes()])))?;
    let scope = values.scope(this.plan.scope.clone());
    let recorded = attempt.recorded.map(|text| answers(attempt.names.recorded, text));
    let answers = recorded.transpose().map_err(|wrong| wrong.to_string())?.unwrap_or_default();
    let jobs = match &this.plan.definition.work {
        Work::Jobs(jobs) => jobs,
        Work::Sync(execute) => return this.sync(execute, &scope, &answers),
        Work::None => return Ok(String::new()),
    };
    let mut text = this.create(&jobs.create, &scope)?;
    let created = answers.get("created").and_then(|answers| answers.last());
    let ids = match created {
        Some(answer) => ids(&jobs.create.job, &answer.seen_in(scope))
            .map_err(|error| error.below(&format!("{}: created: create", attempt.names.recorded)))
            .map_err(|error| error.located())?,
        None => placeholders(&jobs.create),
    };
    let job = this.plan.scope.clone().with("job", &ids);
    if created.is_some() {
        let shown = Json::Object(ids.clone());
        let _ = writeln!(text, "job: {shown}\n{}", this.plan.explanation());
    }
    text += &this.shown("get", &jobs.get.request, &job)?;
    if let Some(many) = &jobs.get.many {
        let ids = ids.get(&many.by).map(|id| vec![id]);
        text += &this.shown("get.many", &many.request, &job.clone().with("ids", ids))?;
    }
    text += &this.shown("delete", &jobs.delete.request, &job)?;
    Ok(text + &this.meanings(&answers, |step, answer| polled(jobs, step, answer, &job)))
}

/// Ids of a job that there is not.
fn placeholders(create: &Create) -> Map<String, Json> {
    let names = create.job.iter().map(|(name, _)| name);
    names.map(|name| (name.clone(), format!("JOB-{}", name.to_uppercase()).into())).collect()
}

/// A file with its settings, and the task that it is tried with.
pub(super) struct Plan {
    pub(super) definition: Arc<Definition>,
    /// The settings.
    pub(super) scope: Scope,
    pub(super) trace: Trace,
    explain: bool,
    task: Short,
}

impl Plan {
    /// What `attempt` tries, at the URL `against` if it is sent. It is then the vendor's address, too, if this is the only setting
    /// that the attempt lacks.
    ///
    /// # Errors
    /// What is wrong with the file, the settings or the form of the task.
    pub(super) fn of(attempt: &Attempt<'_>, against: Option<&str>) -> Result<Self, String> {
        let definition = Definition::read(attempt.name, attempt.source);
        let definition = definition.map_err(|mistakes| mistakes.to_string())?;
        let address = against.and_then(|url| address(&definition, &attempt.set, url));
        let set = attempt.set.iter().cloned().chain(address).collect::<Vec<_>>();
        let settings = settings::values(&definition.name, &definition.settings, &set);
        let settings = settings.map_err(|error| error.message().to_owned())?;
        let task = match attempt.request {
            Some(text) => from_yaml::<Short>(text).map_err(|mistake| {
                Mistakes::one(attempt.names.request, text, mistake).to_string()
            })?,
            None => Short::of(&definition.example)
                .map_err(|error| format!("plugin.example: {}", error.message()))?,
        };
        let trace = Trace::default();
        let traced = attempt.explain.then(|| trace.clone());
        let scope = Scope::default().with("settings", settings).traced(traced);
        Ok(Self { definition: Arc::new(definition), scope, trace, explain: attempt.explain, task })
    }

    /// What the expressions of `create` see of the task.
    ///
    /// # Errors
    /// What is wrong with the task's `custom`.
    pub(super) fn values(&self, output_prefix: &str, key: String) -> Result<Values, String> {
        let (fields, needs_sql) = (&self.definition.custom, self.definition.uses("sql"));
        let values = Values::of_short(fields, needs_sql, &self.task, output_prefix);
        let values = values.map_err(|error| error.message().to_owned())?;
        Ok(Values { key, ..values })
    }

    /// What was evaluated since the last call, if that is wanted.
    pub(super) fn explanation(&self) -> String {
        let lines = self.trace.take();
        if self.explain { lines } else { String::new() }
    }
}

/// The setting with which the base begins, as `url`: if `set` lacks no other.
fn address(definition: &Definition, set: &[Assignment], url: &str) -> Option<Assignment> {
    let url = url.trim_end_matches('/');
    let plugin = &definition.name;
    let is_set =
        |one: &&Declared| set.iter().any(|set| set.plugin == *plugin && set.name == one.name);
    let required = definition.settings.iter().filter(|one| one.default.is_none());
    let name = required.filter(|one| !is_set(one)).map(|one| one.name.clone()).next()?;
    let address = Assignment { plugin: plugin.clone(), name, value: url.to_owned() };
    let set = set.iter().cloned().chain([address.clone()]).collect::<Vec<_>>();
    let values = settings::values(plugin, &definition.settings, &set).ok()?;
    let base =
        definition.base.as_ref()?.eval(&Scope::default().with("settings", values)).ok()??;
    base.starts_with(url).then_some(address)
}

struct Offline {
    requests: Requests,
    plan: Plan,
}

impl Offline {
    fn create(&self, create: &Create, scope: &Scope) -> Result<String, String> {
        let found = match &create.idempotency {
            Idempotency::Lookup(lookup) => self.shown("look-up", &lookup.request, scope)?,
            Idempotency::Key => String::new(),
        };
        Ok(found + &self.shown("create", &create.request, scope)?)
    }

    /// The request of `part`.
    fn shown(&self, part: &str, request: &Request, scope: &Scope) -> Result<String, String> {
        let prepared =
            request.prepare(scope).map_err(|error| error.below(&format!("{part}.request")));
        let prepared = prepared.map_err(|error| error.located())?;
        Ok(format!("{}{}\n", self.requests.show(part, &prepared), self.plan.explanation()))
    }

    /// The call of a sync file, and what answers to it mean.
    fn sync(
        &self,
        execute: &Execute,
        scope: &Scope,
        answers: &BTreeMap<String, Vec<Answer>>,
    ) -> Result<String, String> {
        let shown = self.shown("execute", &execute.request, scope)?;
        let meaning = |_: &str, answer: &Answer| {
            let scope = answer.seen_in(scope.clone());
            match status::executed(execute, &scope, &OutputTypes::default()) {
                Ok(status) => format!("the task ends as {}", status.phase().name()),
                Err(error) => located(&error),
            }
        };
        Ok(shown + &self.meanings(answers, meaning))
    }

    /// What `answers` mean; `of` says it of those with a 2xx status.
    fn meanings(
        &self,
        answers: &BTreeMap<String, Vec<Answer>>,
        of: impl Fn(&str, &Answer) -> String,
    ) -> String {
        let mut text = String::new();
        for (step, answers) in answers {
            let Some(answer) = answers.last() else { continue };
            let status = StatusCode::from_u16(answer.status).unwrap_or_default();
            let meaning = match status.is_success() {
                true => of(step, answer),
                false => self.error(status, answer),
            };
            let _ = writeln!(text, "{step}: {meaning}");
            text += &self.plan.explanation();
        }
        text
    }

    /// What an error means.
    fn error(&self, status: StatusCode, answer: &Answer) -> String {
        let definition = &self.plan.definition;
        let body = serde_json::to_vec(&answer.body).unwrap_or_default();
        let (scope, headers) = (self.plan.scope.clone(), answer.headers().clone());
        let failure = match definition.auth {
            Auth::Aws(_) => {
                let own =
                    |refusal: &Refusal<'_>| definition.errors.read_aws(scope.clone(), refusal);
                read_failure(status, &headers, &body, own, |_| false)
            }
            _ => definition.errors.read(scope, status, &headers, &body),
        };
        match failure {
            Some(failure) => {
                let code = failure.code.unwrap_or_default();
                format!("{} {code} {}", failure.kind.name(), failure.message)
            }
            None => format!("{status}, not the vendor's: the status alone counts"),
        }
    }
}

/// What a 2xx answer to a poll of `job` means.
fn polled(jobs: &Jobs, step: &str, answer: &Answer, job: &Scope) -> String {
    if ["created", "repeated", "cancelled"].contains(&step) {
        return StatusCode::from_u16(answer.status).unwrap_or_default().to_string();
    }
    let scope = answer.seen_in(job.clone());
    match status::read(&jobs.get, scope, &OutputTypes::default()) {
        Ok(status) => format!("a poll answers {}", status.phase().name()),
        Err(error) => format!("not the answer to a poll: {}", located(&error)),
    }
}

/// What `error` says, and where in the file the expression is that it is about.
pub(super) fn located(error: &Error) -> String {
    match origin_of(error) {
        Some(origin) => format!("{} ({origin})", error.message()),
        None => error.message().to_owned(),
    }
}
