//! What a vendor's answer to a poll says of the job.

use plugin_core::{
    Error, OutputTypes, Phase, Result, Status,
    serde_json::{Map, Value as Json},
};

use crate::{
    definition::{Execute, Get, StatePhase, phase},
    expression::{EvalError, Expr, Scope, Text, with_origin},
    value::Value,
};

/// An answer that does not fit the file. The job keeps its last known status.
pub(crate) fn unreadable(why: EvalError) -> Error {
    let message = format!("the vendor's answer does not fit the plugin's file: {why}");
    with_origin(Error::unavailable(message), why.into_origin())
}

/// The status in the answer that `scope` has, of a job whose task declares `outputs`.
///
/// # Errors
/// `NotFound` when the vendor does not have the job; `Unavailable` when the answer does not fit the file.
pub(crate) fn read(get: &Get, scope: Scope, outputs: &OutputTypes) -> Result<Status> {
    let unclear = |part: &str, error: EvalError| unreadable(error.within(&format!("get.{part}")));
    if let Some(found) = &get.found
        && !found.is_true(&scope).map_err(|error| unclear("found", error))?
    {
        return Err(Error::not_found("the vendor does not have the job").upstream());
    }
    let state = get.state.eval_text(&scope).map_err(|error| unclear("state", error))?;
    let state = state.ok_or_else(|| unclear("state", get.state.absent()))?;
    let scope = scope.with("state", &state);
    let known = match get.phase_of(&state) {
        Some(StatePhase::Known(phase)) => Some(*phase),
        Some(StatePhase::Expr(expr)) => {
            let name = expr.eval_text(&scope).map_err(|error| unclear("states", error))?;
            name.as_deref().and_then(phase)
        }
        None => None,
    };
    let rule = || format!("states.{state}");
    scope.note(rule, known.map_or("no such state: running, and counted", Phase::name));
    let Some(phase) = known else {
        return Ok(with_info(&get.info, Status::unknown_state(state), &scope));
    };
    let status = with_info(&get.info, Status::new(phase), &scope);
    let status = with_texts(&get.message, &get.code, status, &scope);
    match phase {
        Phase::Succeeded => Ok(with_outputs(&get.outputs, status, &scope, outputs)),
        _ => Ok(status),
    }
}

/// The status in the 2xx answer to `execute` that `scope` has, of a task that declares `outputs`.
///
/// # Errors
/// `Unavailable` when the answer does not fit the file.
pub(crate) fn executed(execute: &Execute, scope: &Scope, outputs: &OutputTypes) -> Result<Status> {
    let unclear = |error: EvalError| unreadable(error.within("execute.phase"));
    let name = execute.phase.as_ref().map(|phase| phase.eval_text(scope)).transpose();
    let name = name.map_err(unclear)?.flatten();
    let phase = name.as_deref().map_or(Some(Phase::Succeeded), phase);
    let phase = phase.filter(|phase| phase.is_terminal()).ok_or_else(|| {
        let origin = execute.phase.as_ref().and_then(Expr::origin);
        let message = format!("{:?} is no phase that ends a task", name.unwrap_or_default());
        unclear(EvalError::new(message, origin))
    })?;
    scope.note(|| "execute.phase".to_owned(), phase.name());
    let status = with_info(&execute.info, Status::new(phase), scope);
    let status = with_texts(&execute.message, &execute.code, status, scope);
    match phase {
        Phase::Succeeded => Ok(with_outputs(&execute.outputs, status, scope, outputs)),
        _ => Ok(status),
    }
}

/// `status` with its message and code. What explains a state may not be there yet.
fn with_texts(
    message: &Option<Text>,
    code: &Option<Text>,
    status: Status,
    scope: &Scope,
) -> Status {
    let text = |text: &Option<Text>| text.as_ref()?.eval(scope).ok().flatten();
    let status = text(message).into_iter().fold(status, Status::message);
    text(code).into_iter().fold(status, Status::code)
}

fn with_info(info: &[(String, Value)], status: Status, scope: &Scope) -> Status {
    info.iter().fold(status, |status, (name, value)| match value.eval(scope) {
        Ok(fact) => status.info(name, fact),
        Err(_) => status,
    })
}

/// Notes what the file's outputs give, whether or not they are declared.
fn note_outputs(outputs: &[(String, Value)], scope: &Scope) {
    let Some(trace) = scope.trace() else { return };
    let scope = scope.clone().traced(None);
    for (name, value) in outputs {
        match value.eval(&scope) {
            Ok(value) => trace.gave(&format!("outputs.{name}"), value.as_ref()),
            Err(error) => trace.add(format!("outputs.{name}: {}", error.beside())),
        }
    }
}

/// `status` with the declared outputs; a failure if the answer does not have them as they are declared.
fn with_outputs(
    known: &[(String, Value)],
    status: Status,
    scope: &Scope,
    declared: &OutputTypes,
) -> Status {
    note_outputs(known, scope);
    let failed = |code: &str, why: String| {
        let message = format!("the job succeeded, but its result cannot be used: {why}");
        Status::new(Phase::Failed).code(code).message(message)
    };
    let mut outputs = Map::new();
    for name in declared.names() {
        let value = known.iter().find(|(known, _)| known == name);
        let value = match value.map(|(_, value)| value.eval(scope)).transpose() {
            Ok(value) => value.flatten().unwrap_or(Json::Null),
            Err(error) => {
                let message = format!("outputs.{name}: {error}");
                if let Some(origin) = error.into_origin() {
                    tracing::warn!(output = name, %origin, "an output cannot be read");
                }
                return failed("OUTPUT_UNREADABLE", message);
            }
        };
        outputs.insert(name.to_owned(), value);
    }
    declared
        .add_to(status, outputs)
        .unwrap_or_else(|error| failed("OUTPUT_TYPE", error.message().to_owned()))
}
