//! `try`: the requests that a file makes of a task, and what a vendor's answers mean, without a service.

use std::{collections::BTreeMap, fmt::Write as _};

use plugin_core::{
    OutputTypes,
    digest::{hex, sha256},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    serde_json::{self, Map, Value as Json, json},
};
use serde::Deserialize;

use crate::{
    auth::Auth,
    definition::{Definition, Idempotency},
    errors::header_map,
    expression::Scope,
    request::Request,
    settings::{self, Assignment},
    status,
    task::{Values, ids},
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
    /// The operator's settings.
    pub(crate) set: Vec<Assignment>,
}

impl<'a> Attempt<'a> {
    /// The file `source` with the name `name`, for its own example, without settings.
    #[must_use]
    pub fn new(name: &'a str, source: &'a str) -> Self {
        Self { name, source, request: None, recorded: None, set: Vec::new() }
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
}

/// A task in the short form.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Short {
    #[serde(default)]
    custom: Map<String, Json>,
    #[serde(default)]
    sql: Option<String>,
    #[serde(default)]
    inputs: Map<String, Json>,
}

/// A recorded answer.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Json,
}

fn ok() -> u16 {
    200
}

/// Prints what `attempt` is.
///
/// # Errors
/// What is wrong with the file, the task, the settings or the answers.
pub fn attempt(attempt: &Attempt<'_>) -> Result<String, String> {
    let definition = Definition::read(attempt.name, attempt.source);
    let definition = definition.map_err(|mistakes| mistakes.to_string())?;
    let settings = settings::values(&definition.name, &definition.settings, &attempt.set);
    let settings = settings.map_err(|error| error.message().to_owned())?;
    let request = match attempt.request {
        Some(text) => serde_saphyr::from_str::<Short>(text)
            .map_err(|error| format!("the request: {}", error.without_snippet()))?,
        None => serde_json::from_value(definition.example.clone())
            .map_err(|error| format!("plugin.example: {error}"))?,
    };
    let trial = Trial { base: base(&definition, &settings)?, definition, settings };
    let scope = trial.task(request)?;
    let mut text = trial.create(&scope)?;
    let answers = attempt.recorded.map(answers).transpose()?.unwrap_or_default();
    let created = answers.get("created").and_then(|answers| answers.last());
    let ids = match created {
        Some(answer) => ids(&trial.definition.create.job, &answered(scope, answer))?,
        None => {
            let names = trial.definition.create.job.iter().map(|(name, _)| name);
            names
                .map(|name| (name.clone(), format!("JOB-{}", name.to_uppercase()).into()))
                .collect()
        }
    };
    let job = Scope::default().with("settings", &trial.settings).with("job", &ids);
    if created.is_some() {
        let _ = writeln!(text, "job: {}\n", Json::Object(ids));
    }
    text += &trial.shown("get", &trial.definition.get.request, &job)?;
    text += &trial.shown("delete", &trial.definition.delete.request, &job)?;
    for (step, answers) in &answers {
        if let Some(answer) = answers.last() {
            let _ = writeln!(text, "{step}: {}", trial.meaning(step, answer, &job));
        }
    }
    Ok(text)
}

struct Trial {
    definition: Definition,
    settings: Json,
    base: String,
}

impl Trial {
    /// What the expressions of `create` see of `task`.
    fn task(&self, task: Short) -> Result<Scope, String> {
        let output_prefix = "s3://bucket/an-attempt".to_owned();
        let names = ["project", "domain", "name", "node", "task", "namespace"];
        let mut execution = names.map(|name| (name.to_owned(), json!(format!("a-{name}"))));
        execution.sort_by(|one, other| one.0.cmp(&other.0));
        let mut execution = Map::from_iter(execution);
        execution.insert("attempt".to_owned(), json!(0));
        let custom = self.definition.custom.read(task.custom);
        let values = Values {
            custom: custom.map_err(|error| error.message().to_owned())?,
            inputs: task.inputs,
            sql: task.sql,
            timeout: None,
            labels: Map::new(),
            execution: Json::Object(execution),
            key: hex(&sha256(&[output_prefix.as_bytes()])),
            output_prefix,
        };
        Ok(values.scope(&self.settings))
    }

    fn create(&self, scope: &Scope) -> Result<String, String> {
        let create = &self.definition.create;
        let found = match &create.idempotency {
            Idempotency::Lookup(lookup) => self.shown("look-up", &lookup.request, scope)?,
            Idempotency::Key => String::new(),
        };
        Ok(found + &self.shown("create", &create.request, scope)?)
    }

    /// The request of `verb`. Secrets are names.
    fn shown(&self, verb: &str, request: &Request, scope: &Scope) -> Result<String, String> {
        let prepared = request.prepare(scope).map_err(|error| format!("{verb}.request.{error}"))?;
        let signed = match &self.definition.auth {
            Auth::None => String::new(),
            Auth::Bearer(secret) => format!("authorization: Bearer <{secret}>\n"),
            Auth::Header { name, secret, prefix } => format!("{name}: {prefix}<{secret}>\n"),
            Auth::Basic { username, password } => {
                format!("authorization: Basic <{username}>:<{password}>\n")
            }
            Auth::Oauth2(_) => "authorization: Bearer <a token of the token endpoint>\n".to_owned(),
            Auth::Aws(_) => "authorization: AWS4-HMAC-SHA256 <a signature>\n".to_owned(),
        };
        Ok(format!("# {verb}\n{}\n", prepared.shown(&self.base, &signed)))
    }

    /// What `answer` to a poll means, or to any call if it is an error.
    fn meaning(&self, step: &str, answer: &Answer, job: &Scope) -> String {
        let status = StatusCode::from_u16(answer.status).unwrap_or_default();
        if !status.is_success() {
            let body = serde_json::to_vec(&answer.body).unwrap_or_default();
            let errors = &self.definition.errors;
            return match errors.read(&self.settings, status, &answer.header_map(), &body) {
                _ if matches!(self.definition.auth, Auth::Aws(_)) => {
                    format!("{status}, an error of AWS")
                }
                Some(failure) => {
                    let code = failure.code.unwrap_or_default();
                    format!("{} {code} {}", failure.kind.name(), failure.message)
                }
                None => format!("{status}, not the vendor's: the status alone counts"),
            };
        }
        if ["created", "repeated", "cancelled"].contains(&step) {
            return format!("{status}");
        }
        let scope = answered(job.clone(), answer);
        match status::read(&self.definition.get, scope, &OutputTypes::default()) {
            Ok(status) => format!("a poll answers {}", status.phase().name()),
            Err(error) => format!("not the answer to a poll: {}", error.message()),
        }
    }
}

impl Answer {
    fn header_map(&self) -> HeaderMap {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        });
        headers.collect()
    }
}

fn answered(scope: Scope, answer: &Answer) -> Scope {
    let headers = header_map(&answer.header_map());
    scope.with("body", &answer.body).with("status", answer.status).with("headers", headers)
}

/// The answers of a `recorded.json`, by step; its other members are left out.
fn answers(text: &str) -> Result<BTreeMap<String, Vec<Answer>>, String> {
    const OTHERS: [&str; 6] =
        ["task", "bad_custom", "bad_field", "args", "secrets", "refused_message"];
    let recorded = serde_json::from_str::<Map<String, Json>>(text);
    let recorded = recorded.map_err(|error| format!("the recorded answers: {error}"))?;
    let steps = recorded.into_iter().filter(|(step, _)| !OTHERS.contains(&step.as_str()));
    let read = steps.map(|(step, answers)| {
        let answers = match answers {
            Json::Array(answers) => answers,
            answer => vec![answer],
        };
        let read = answers.into_iter().map(serde_json::from_value).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| format!("the recorded answers: {step}: {error}"))?;
        Ok((step, read))
    });
    read.collect()
}

fn base(definition: &Definition, settings: &Json) -> Result<String, String> {
    let scope = Scope::default().with("settings", settings);
    let text = match (&definition.base, &definition.auth) {
        (Some(base), _) => base.eval(&scope),
        (None, Auth::Aws(api)) => api.region.eval(&scope).map(|region| {
            Some(format!("https://{}.{}.amazonaws.com", api.service, region.unwrap_or_default()))
        }),
        (None, _) => Ok(None),
    };
    Ok(text.map_err(|error| format!("upstream.base: {error}"))?.unwrap_or_default())
}
