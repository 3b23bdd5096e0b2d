//! The compiled `execute` of a file.

use super::{
    jobs::{Idempotency, idempotency},
    states::check_end,
};
use crate::{
    checker::Checker,
    expression::{EvalError, Expr, Scope, Text},
    file,
    names::Scopes,
    request::Request,
    value::Value,
};

/// Runs the task within the call.
#[derive(Debug)]
pub(crate) struct Execute {
    pub(crate) target: Option<Text>,
    pub(crate) request: Request,
    /// Whether the vendor runs a repeated request once.
    pub(crate) repeats: bool,
    pub(crate) phase: Option<Expr>,
    pub(crate) message: Option<Text>,
    pub(crate) code: Option<Text>,
    pub(crate) outputs: Vec<(String, Value)>,
    pub(crate) info: Vec<(String, Value)>,
}

impl Execute {
    pub(super) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Execute,
        scopes: &Scopes,
        calls: bool,
    ) -> Self {
        let mut request = Request::compile(checker, &file.request, &scopes.task, calls);
        if let Some(key) = &file.idempotency {
            let compiled = idempotency(checker, key, &mut request, scopes, calls);
            if matches!(compiled, Idempotency::Lookup(_)) {
                checker.mistake(key.place, "there is no job to look for: leave it out");
            }
        }
        Self {
            target: file
                .target
                .as_ref()
                .map(|target| checker.required_text(target, &scopes.task, "execute.target")),
            repeats: file.idempotency.is_some(),
            phase: file.phase.as_ref().map(|phase| {
                let expr = checker.expr(phase, &scopes.created);
                check_end(checker, &expr, phase.place, "execute.phase");
                expr
            }),
            message: checker.optional_text(file.message.as_ref(), &scopes.created),
            code: checker.optional_text(file.code.as_ref(), &scopes.created),
            outputs: checker.values(&file.outputs, &scopes.created),
            info: checker.values(&file.info, &scopes.created),
            request,
        }
    }

    /// Makes what a task with the values of `scope` leads to, and sends nothing.
    pub(super) fn rehearsed(&self, scope: &Scope) -> Result<(), EvalError> {
        if let Some(target) = &self.target {
            target.eval(scope).map_err(|error| error.within("execute.target"))?;
        }
        self.request.prepare(scope).map_err(|error| error.below("execute.request"))?;
        Ok(())
    }

    /// Whether an expression uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let texts = [&self.target, &self.message, &self.code];
        let values = self.outputs.iter().chain(&self.info);
        self.request.uses(name)
            || texts.into_iter().flatten().any(|text| text.uses(name))
            || self.phase.as_ref().is_some_and(|phase| phase.uses(name))
            || values.into_iter().any(|(_, value)| value.uses(name))
    }
}
