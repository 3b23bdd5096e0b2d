//! A plugin with its settings and its client: creates, polls and stops jobs.

mod aws;
mod clients;
mod joint;

use std::sync::Arc;

use plugin_core::{
    Context, Error, HttpBuilder, Kind, OutputTypes, Result, Status, Task,
    aws::{Asked, Place},
    http::{HeaderName, HeaderValue},
    serde_json::{Map, Value as Json},
    upstream::Response,
};

use self::clients::{Clients, Vendor};
use crate::{
    definition::{Definition, Execute, Idempotency, Lookup, Work},
    errors::header_map,
    expression::{EvalError, Scope, Text, invalid, origin_of, with_origin},
    job::Job,
    request::{NO_HEADER, Prepared},
    status::{self, unreadable},
    task::{Values, ids},
    value::Value,
};

/// A plugin that is served.
pub(crate) struct Served {
    pub(crate) definition: Arc<Definition>,
    /// What every expression sees: the settings.
    scope: Scope,
    headers: Vec<(HeaderName, HeaderValue)>,
    clients: Clients,
    watch: Option<Box<dyn Watch>>,
}

/// Sees what is sent, and what comes back.
pub(crate) trait Watch: Send + Sync {
    /// The part `part` of the file is about to send `request`.
    fn sending(&self, part: &str, request: &Prepared);
    /// The vendor answered.
    fn answered(&self, answer: &Result<Response>);
}

impl Served {
    /// The plugin of `definition`, with the settings that `scope` has.
    ///
    /// # Errors
    /// `InvalidArgument` when a setting makes no URL, header or region.
    pub(crate) fn new(
        definition: Arc<Definition>,
        scope: Scope,
        http: HttpBuilder,
    ) -> Result<Self> {
        let mut headers = Vec::new();
        for (name, text) in &definition.headers {
            let within =
                |error: EvalError| invalid(error.within(&format!("upstream.headers.{name}")));
            let given = text.eval(&scope).map_err(within)?;
            let value = given.as_deref().map(HeaderValue::from_str).transpose();
            let value = value.map_err(|_| within(text.error(NO_HEADER)))?;
            headers.extend(value.map(|value| (name.clone(), value)));
        }
        let clients = Clients::new(&definition, &scope, http)?;
        Ok(Self { definition, scope, headers, clients, watch: None })
    }

    /// The same, in place of `before`: its creates in progress count.
    pub(crate) fn following(mut self, before: &Self) -> Self {
        self.clients.follow(&before.clients);
        self
    }

    /// The same, watched by `watch`.
    pub(crate) fn watched(self, watch: impl Watch + 'static) -> Self {
        Self { watch: Some(Box::new(watch)), ..self }
    }

    /// Submits the job of `task`, or finds it.
    pub(crate) async fn create(&self, cx: &Context, task: &Task<Map<String, Json>>) -> Result<Job> {
        let _begun = self.clients.begin(&self.definition.name, cx.task_type())?;
        let outputs = OutputTypes::of(task);
        self.check_outputs(&self.definition.jobs()?.get.outputs, &outputs)?;
        self.submit(cx, &outputs, self.values(cx, task)?).await
    }

    /// Submits the job of a task with `values`, which declares `outputs`, or finds it.
    pub(crate) async fn submit(
        &self,
        cx: &Context,
        outputs: &OutputTypes,
        values: Values,
    ) -> Result<Job> {
        let job = Job::new(&self.definition.name, outputs, self.place(cx)?);
        cx.check_meta(&job)?;
        let create = &self.definition.jobs()?.create;
        let scope = values.scope(self.scope.clone());
        check_target(cx, "create.target", create.target.as_ref(), &scope)?;
        let request = create
            .request
            .prepare(&scope)
            .map_err(|error| invalid(error.below("create.request")))?;
        let repeats = match &create.idempotency {
            Idempotency::Key => true,
            Idempotency::Lookup(lookup) => {
                if let Some(found) = self.look_up(cx, &job, lookup, &scope).await? {
                    return self.created(job, &scope.with("body", found));
                }
                false
            }
        };
        match (self.send(cx, "create", &job, request, repeats).await, &create.exists) {
            (Ok(response), _) => {
                let created = self.created(job, &answered(scope, &response));
                created.map_err(|error| explained(error, &response))
            }
            (Err(error), Some(exists)) if error.kind() == Kind::AlreadyExists => {
                let ids =
                    ids(exists, &scope).map_err(|error| invalid(error.below("create.exists")))?;
                Ok(Job { ids, ..job })
            }
            (Err(error), _) => Err(error),
        }
    }

    fn created(&self, job: Job, scope: &Scope) -> Result<Job> {
        let ids = ids(&self.definition.jobs()?.create.job, scope)
            .map_err(|error| unreadable(error.below("create")))?;
        Ok(Job { ids, ..job })
    }

    /// The job that an earlier create of the same task has submitted.
    async fn look_up(
        &self,
        cx: &Context,
        job: &Job,
        lookup: &Lookup,
        scope: &Scope,
    ) -> Result<Option<Json>> {
        let part = "create.idempotency.lookup";
        let request = lookup.request.prepare(scope);
        let request = request.map_err(|error| invalid(error.below(&format!("{part}.request"))))?;
        let response = self.send(cx, "look-up", job, request, true).await?;
        let unclear = |error: EvalError| unreadable(error.within(part));
        let items = lookup.items.eval(&answered(scope.clone(), &response));
        let items = match items.map_err(unclear)? {
            Some(Json::Array(items)) => items,
            // Without a list, nothing says that there is no such job.
            _ => return Err(unclear(lookup.items.error("is no list"))),
        };
        for item in items {
            let is_it = lookup.is_it.is_true(&scope.clone().with("item", &item));
            if is_it.map_err(unclear)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Runs `task` within the call.
    pub(crate) async fn execute(
        &self,
        cx: &Context,
        task: &Task<Map<String, Json>>,
    ) -> Result<Status> {
        let outputs = OutputTypes::of(task);
        let Work::Sync(execute) = &self.definition.work else {
            let message = format!("the plugin {} has jobs", self.definition.name);
            return Err(Error::new(Kind::FailedPrecondition, message));
        };
        let _begun = self.clients.begin(&self.definition.name, cx.task_type())?;
        self.check_outputs(&execute.outputs, &outputs)?;
        self.run(cx, execute, &outputs, self.values(cx, task)?).await
    }

    /// Runs a task with `values`, which declares `outputs`.
    pub(crate) async fn run(
        &self,
        cx: &Context,
        execute: &Execute,
        outputs: &OutputTypes,
        values: Values,
    ) -> Result<Status> {
        let job = Job::new(&self.definition.name, outputs, self.place(cx)?);
        let scope = values.scope(self.scope.clone());
        check_target(cx, "execute.target", execute.target.as_ref(), &scope)?;
        let request = execute.request.prepare(&scope);
        let request = request.map_err(|error| invalid(error.below("execute.request")))?;
        let response = self.send(cx, "execute", &job, request, execute.repeats).await?;
        let status = status::executed(execute, &answered(scope, &response), outputs);
        let status = status.map_err(|error| explained(error, &response))?;
        Ok(self.described(status, &job))
    }

    /// Reads the status of `job`.
    pub(crate) async fn get(&self, cx: &Context, job: &Job) -> Result<Status> {
        let scope = self.scope_of(job);
        let get = &self.definition.jobs()?.get;
        let request = get.request.prepare(&scope);
        let request = request.map_err(|error| invalid(error.below("get.request")))?;
        let response = self.send(cx, "get", job, request, true).await?;
        let scope = answered(scope, &response);
        let outputs = job.outputs()?;
        let status = status::read(get, scope, &outputs);
        let status = status.map_err(|error| explained(error, &response))?;
        Ok(self.described(status, job))
    }

    /// Stops `job`.
    pub(crate) async fn delete(&self, cx: &Context, job: &Job) -> Result<()> {
        let scope = self.scope_of(job);
        let delete = &self.definition.jobs()?.delete;
        let request = delete.request.prepare(&scope);
        let request = request.map_err(|error| invalid(error.below("delete.request")))?;
        let Err(error) = self.send(cx, "delete", job, request, true).await else { return Ok(()) };
        let seen = Scope::default().with("code", error.code()).with("message", error.message());
        match &delete.ended {
            Some(ended) if error.is_upstream() && ended.fits(error.code(), &seen) => Ok(()),
            _ => Err(error),
        }
    }

    /// `status` with the job's links.
    pub(crate) fn described(&self, status: Status, job: &Job) -> Status {
        let scope = self.scope_of(job);
        self.definition.links.iter().fold(status, |status, (label, text)| match text.eval(&scope) {
            Ok(Some(uri)) => status.link(label, uri),
            Ok(None) | Err(_) => status,
        })
    }

    fn values(&self, cx: &Context, task: &Task<Map<String, Json>>) -> Result<Values> {
        Values::of(&self.definition.custom, self.definition.uses("sql"), cx, task)
    }

    fn scope_of(&self, job: &Job) -> Scope {
        self.scope.clone().with("job", &job.ids)
    }

    /// Checks that the file has each output of the task.
    fn check_outputs(&self, known: &[(String, Value)], declared: &OutputTypes) -> Result<()> {
        let unknown = declared.names().find(|name| !known.iter().any(|(one, _)| one == name));
        let Some(unknown) = unknown else { return Ok(()) };
        let known = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::invalid(format!(
            "interface.outputs.{unknown}: the plugin {} has no such output; it has [{known}]",
            self.definition.name
        )))
    }

    fn place(&self, cx: &Context) -> Result<Option<Place>> {
        match self.clients.vendor(cx.task_type()) {
            Vendor::Http(_) => Ok(None),
            Vendor::Aws(aws) => aws.choose(cx, &Asked::default()).map(Some),
        }
    }

    async fn send(
        &self,
        cx: &Context,
        part: &str,
        job: &Job,
        mut request: Prepared,
        repeats: bool,
    ) -> Result<Response> {
        for (name, value) in &self.headers {
            if !request.headers.iter().any(|(own, _)| own == name) {
                request.headers.push((name.clone(), value.clone()));
            }
        }
        let watch = self.watch.as_ref();
        if let Some(watch) = watch {
            watch.sending(part, &request);
        }
        let answer = match (self.clients.vendor(cx.task_type()), &job.place) {
            (Vendor::Http(http), _) => request.send(http, cx, repeats).await,
            (Vendor::Aws(aws), place) => {
                let place = place.clone().map_or_else(|| aws.choose(cx, &Asked::default()), Ok)?;
                request.send_to_aws(&aws.client(cx, &place)?, cx, repeats).await
            }
        };
        if let Some(watch) = watch {
            watch.answered(&answer);
        }
        answer
    }
}

/// Checks that the caller may use the vendor's `target`, the part `part` of the file.
fn check_target(cx: &Context, part: &str, target: Option<&Text>, scope: &Scope) -> Result<()> {
    let Some(target) = target else { return Ok(()) };
    let target = target.eval(scope).map_err(|error| invalid(error.within(part)))?;
    cx.caller().check_target(target.as_deref().unwrap_or_default())
}

/// `error` about an answer that does not fit the file, with what the file cannot know of: a page of a proxy, or of a login, has
/// none of its parts.
fn explained(error: Error, response: &Response) -> Error {
    if error.kind() != Kind::Unavailable || response.json::<Json>().is_ok() {
        return error;
    }
    let what = if response.body.is_empty() { "empty" } else { "not JSON" };
    let origin = origin_of(&error).cloned();
    with_origin(Error::unavailable(format!("{}; the answer is {what}", error.message())), origin)
}

/// `scope` with a response.
fn answered(scope: Scope, response: &Response) -> Scope {
    let scope = scope
        .with("status", response.status.as_u16())
        .with("headers", header_map(&response.headers));
    // What is not JSON has no parts; an expression that needs one says so.
    match response.json::<Json>() {
        Ok(body) => scope.with("body", body),
        Err(_) => scope,
    }
}
