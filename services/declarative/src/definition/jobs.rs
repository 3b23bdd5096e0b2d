//! The compiled `create`, `get` and `delete` of a file.

mod many;

pub(crate) use self::many::Many;
use super::states::{StatePhase, states};
use crate::{
    checker::Checker,
    errors::Matcher,
    expression::{EvalError, Expr, SHORT_KEY, Scope, Text, Wanted},
    file::{self, Idempotency as Key},
    located::{At, Entries},
    names::{Names, Scopes},
    request::{Request, header_name},
    task,
    value::Value,
};

/// A file whose tasks are jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) create: Create,
    pub(crate) get: Get,
    pub(crate) delete: Delete,
}

/// Submits the job.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) target: Option<Text>,
    pub(crate) request: Request,
    pub(crate) idempotency: Idempotency,
    pub(crate) job: Vec<(String, Text)>,
    pub(crate) exists: Option<Vec<(String, Text)>>,
}

/// What keeps a repeated create from starting a second job.
#[derive(Debug)]
pub(crate) enum Idempotency {
    /// The vendor, which gets the key in the request.
    Key,
    Lookup(Box<Lookup>),
}

/// Looks for a job.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) request: Request,
    pub(crate) items: Expr,
    pub(crate) is_it: Expr,
}

impl Create {
    pub(super) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Create,
        scopes: &Scopes,
        calls: bool,
    ) -> Self {
        let mut request = Request::compile(checker, &file.request, &scopes.task, calls);
        let idempotency = idempotency(checker, &file.idempotency, &mut request, scopes, calls);
        let job = ids(checker, &file.job, &scopes.created, "create.job");
        let exists = file.exists.as_ref().map(|exists| {
            let (mut own, mut theirs) = (exists.value.names(), file.job.value.names());
            own.sort_unstable();
            theirs.sort_unstable();
            if own != theirs {
                checker.mistake(exists.place, "`exists` must have the same ids as `job`");
            }
            ids(checker, exists, &scopes.task, "create.exists")
        });
        if !job.is_empty() && job.iter().all(|(_, id)| id.is_constant() && !id.is_absent()) {
            checker.mistake(file.job.place, "all jobs would have the same ids");
        }
        let target = file.target.as_ref();
        let target =
            target.map(|target| checker.required_text(target, &scopes.task, "create.target"));
        Self { target, request, idempotency, job, exists }
    }

    /// Makes what a task with the values of `scope` leads to, and sends nothing.
    pub(super) fn rehearsed(&self, scope: &Scope) -> Result<(), EvalError> {
        if let Some(target) = &self.target {
            target.eval(scope).map_err(|error| error.within("create.target"))?;
        }
        if let Idempotency::Lookup(lookup) = &self.idempotency {
            let part = "create.idempotency.lookup.request";
            lookup.request.prepare(scope).map_err(|error| error.below(part))?;
        }
        self.request.prepare(scope).map_err(|error| error.below("create.request"))?;
        if let Some(exists) = &self.exists {
            task::ids(exists, scope).map_err(|error| error.below("create.exists"))?;
        }
        Ok(())
    }

    /// Whether an expression uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let ids = self.job.iter().chain(self.exists.iter().flatten());
        let target = self.target.as_ref().is_some_and(|target| target.uses(name));
        let lookup = match &self.idempotency {
            Idempotency::Key => false,
            Idempotency::Lookup(lookup) => {
                let Lookup { request, items, is_it } = &**lookup;
                request.uses(name) || items.uses(name) || is_it.uses(name)
            }
        };
        target || lookup || self.request.uses(name) || ids.into_iter().any(|(_, id)| id.uses(name))
    }
}

fn ids(
    checker: &mut Checker<'_>,
    ids: &At<Entries<At<String>>>,
    names: &Names,
    part: &str,
) -> Vec<(String, Text)> {
    if ids.value.0.is_empty() {
        checker.mistake(ids.place, "there is no id that finds the job again");
    }
    let ids = ids.value.0.iter().map(|(name, text)| {
        let part = format!("{part}.{}", name.value);
        (name.value.clone(), checker.required_text(text, names, &part))
    });
    ids.collect()
}

pub(super) fn idempotency(
    checker: &mut Checker<'_>,
    file: &At<Key>,
    request: &mut Request,
    scopes: &Scopes,
    calls: bool,
) -> Idempotency {
    let key = |checker: &mut Checker<'_>| {
        Value::Expr(checker.expr(&At { value: "=key".to_owned(), place: file.place }, &scopes.task))
    };
    match &file.value {
        Key::Header(name) => {
            let value = key(checker);
            let header = header_name(checker, name);
            if header.is_some_and(|header| !request.add_header(header, value)) {
                checker.mistake(name.place, "the request has this header already");
            }
        }
        Key::Field(name) => {
            let value = key(checker);
            if !request.add_field(&name.value, value) {
                let message = "the body has this field already, or has no fields";
                checker.mistake(name.place, message);
            }
        }
        Key::Request => {
            if !request.uses("key") && !request.uses(SHORT_KEY) {
                let message = "the request has neither `key` nor `short_key(…)`: a repeat would start a second job";
                checker.mistake(file.place, message);
            }
        }
        Key::Lookup(lookup) => {
            let of = |name: &str| format!("create.idempotency.lookup.{name}");
            let is_it = checker.expr_of(&lookup.r#match, &scopes.item, &of("match"), Wanted::Truth);
            if !is_it.uses("key") && !is_it.uses(SHORT_KEY) {
                let message = "it must compare something of `item` with `key`";
                checker.mistake(lookup.r#match.place, message);
            }
            return Idempotency::Lookup(Box::new(Lookup {
                request: Request::compile(checker, &lookup.request, &scopes.task, calls),
                items: checker.expr_of(&lookup.items, &scopes.created, &of("items"), Wanted::List),
                is_it,
            }));
        }
    }
    Idempotency::Key
}

/// Reads the job's status.
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) request: Request,
    pub(crate) many: Option<Many>,
    pub(crate) found: Option<Expr>,
    pub(crate) state: Expr,
    states: Vec<(String, StatePhase)>,
    pub(crate) message: Option<Text>,
    pub(crate) code: Option<Text>,
    pub(crate) outputs: Vec<(String, Value)>,
    pub(crate) info: Vec<(String, Value)>,
}

impl Get {
    pub(super) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Get,
        scopes: &Scopes,
        ids: &[&str],
        calls: bool,
    ) -> Self {
        Self {
            request: Request::compile(checker, &file.request, &scopes.job, calls),
            many: file.many.as_ref().map(|many| Many::compile(checker, many, scopes, ids, calls)),
            found: file
                .found
                .as_ref()
                .map(|found| checker.expr_of(found, &scopes.polled, "get.found", Wanted::Truth)),
            state: checker.expr_of(&file.state, &scopes.polled, "get.state", Wanted::Scalar),
            states: states(checker, &file.states, scopes),
            message: checker.optional_text(file.message.as_ref(), &scopes.state),
            code: checker.optional_text(file.code.as_ref(), &scopes.state),
            outputs: checker.values(&file.outputs, &scopes.state),
            info: checker.values(&file.info, &scopes.state),
        }
    }

    /// The phase of `state`, if the file has it.
    pub(crate) fn phase_of(&self, state: &str) -> Option<&StatePhase> {
        self.states.iter().find(|(known, _)| known == state).map(|(_, phase)| phase)
    }
}

/// Stops the job.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) request: Request,
    pub(crate) ended: Option<Matcher>,
}

impl Delete {
    pub(super) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Delete,
        scopes: &Scopes,
        calls: bool,
    ) -> Self {
        let request = Request::compile(checker, &file.request, &scopes.job, calls);
        let names = Names::default().scalar("code").scalar("message");
        let ended =
            file.ended.as_ref().map(|node| Matcher::compile(checker, node, &names, "delete.ended"));
        Self { request, ended }
    }
}
