//! What a vendor's answer to a poll says of the job.

use plugin_core::{
    Error, OutputTypes, Phase, Result, Status,
    serde_json::{Map, Value as Json},
};

use crate::{
    definition::{Get, StatePhase, phase},
    expression::{EvalError, Scope},
};

/// An answer that does not fit the file. The job keeps its last known status.
pub(crate) fn unreadable(why: &str) -> Error {
    Error::unavailable(format!("the vendor's answer does not fit the plugin's file: {why}"))
}

/// The status in the answer that `scope` has, of a job whose task declares `outputs`.
///
/// # Errors
/// `NotFound` when the vendor does not have the job; `Unavailable` when the answer does not fit the file.
pub(crate) fn read(get: &Get, scope: Scope, outputs: &OutputTypes) -> Result<Status> {
    let unclear = |part: &str, error: &EvalError| unreadable(&format!("get.{part}: {error}"));
    if let Some(found) = &get.found
        && !found.is_true(&scope).map_err(|error| unclear("found", &error))?
    {
        return Err(Error::not_found("the vendor does not have the job").upstream());
    }
    let state = get.state.eval_text(&scope).map_err(|error| unclear("state", &error))?;
    let state = state.ok_or_else(|| unclear("state", &get.state.absent()))?;
    let scope = scope.with("state", &state);
    let known = match get.phase_of(&state) {
        Some(StatePhase::Known(phase)) => Some(*phase),
        Some(StatePhase::Expr(expr)) => {
            let name = expr.eval_text(&scope).map_err(|error| unclear("states", &error))?;
            name.as_deref().and_then(phase)
        }
        None => None,
    };
    let rule = || format!("states.{state}");
    scope.note(rule, known.map_or("no such state: running, and counted", Phase::name));
    let Some(phase) = known else {
        return Ok(with_info(get, Status::unknown_state(state), &scope));
    };
    let status = with_info(get, Status::new(phase), &scope);
    // What explains a state may not be there yet.
    let text = |text: &Option<crate::expression::Text>| text.as_ref()?.eval(&scope).ok().flatten();
    let status = text(&get.message).into_iter().fold(status, Status::message);
    let status = text(&get.code).into_iter().fold(status, Status::code);
    match phase {
        Phase::Succeeded => {
            note_outputs(get, &scope);
            Ok(with_outputs(get, status, &scope, outputs))
        }
        _ => Ok(status),
    }
}

fn with_info(get: &Get, status: Status, scope: &Scope) -> Status {
    get.info.iter().fold(status, |status, (name, value)| match value.eval(scope) {
        Ok(fact) => status.info(name, fact),
        Err(_) => status,
    })
}

/// Notes what the file's outputs give, whether or not they are declared.
fn note_outputs(get: &Get, scope: &Scope) {
    let Some(trace) = scope.trace() else { return };
    let scope = scope.clone().traced(None);
    for (name, value) in &get.outputs {
        match value.eval(&scope) {
            Ok(value) => trace.gave(&format!("outputs.{name}"), value.as_ref()),
            Err(error) => trace.add(format!("outputs.{name}: {error}")),
        }
    }
}

/// `status` with the declared outputs; a failure if the answer does not have them as they are declared.
fn with_outputs(get: &Get, status: Status, scope: &Scope, declared: &OutputTypes) -> Status {
    let failed = |code: &str, why: String| {
        let message = format!("the job succeeded, but its result cannot be used: {why}");
        Status::new(Phase::Failed).code(code).message(message)
    };
    let mut outputs = Map::new();
    for name in declared.names() {
        let value = get.outputs.iter().find(|(known, _)| known == name);
        let value = match value.map(|(_, value)| value.eval(scope)).transpose() {
            Ok(value) => value.flatten().unwrap_or(Json::Null),
            Err(error) => return failed("OUTPUT_UNREADABLE", format!("outputs.{name}: {error}")),
        };
        outputs.insert(name.to_owned(), value);
    }
    match declared.values(outputs) {
        Ok(values) => values
            .into_iter()
            .fold(status, |status, (name, value)| status.output(name, Some(value))),
        Err(error) => failed("OUTPUT_TYPE", error.message().to_owned()),
    }
}
