//! Flyte's phases, as files name them, and the states of a vendor that have them.

use plugin_core::{Phase, serde_json::Value as Json};

use crate::{
    checker::Checker,
    expression::{Expr, kind},
    located::{At, Entries, Place},
    mistake::{Mistake, nearest},
    names::Scopes,
};

/// Flyte's phases, as a file names them.
const PHASES: [(&str, Phase); 8] = [
    ("queued", Phase::Queued),
    ("waiting_for_resources", Phase::WaitingForResources),
    ("initializing", Phase::Initializing),
    ("running", Phase::Running),
    ("succeeded", Phase::Succeeded),
    ("failed", Phase::Failed),
    ("retryable_failed", Phase::RetryableFailed),
    ("aborted", Phase::Aborted),
];

/// The phase of a state.
#[derive(Debug)]
pub(crate) enum StatePhase {
    Known(Phase),
    /// An expression that gives its name.
    Expr(Expr),
}

/// The phase that a file names `name`.
pub(crate) fn phase(name: &str) -> Option<Phase> {
    PHASES.iter().find(|(known, _)| *known == name).map(|(_, phase)| *phase)
}

pub(super) fn states(
    checker: &mut Checker<'_>,
    file: &At<Entries<At<String>>>,
    scopes: &Scopes,
) -> Vec<(String, StatePhase)> {
    let mut states = Vec::new();
    for (state, name) in &file.value.0 {
        let found = match (phase(&name.value), name.value.starts_with('=')) {
            (Some(phase), _) => StatePhase::Known(phase),
            (None, true) => {
                let expr = checker.expr(name, &scopes.state);
                let part = format!("get.states.{}", state.value);
                match known_phase(checker, &expr, name.place, &part) {
                    Some(Some(phase)) => StatePhase::Known(phase),
                    Some(None) => continue,
                    None => StatePhase::Expr(expr),
                }
            }
            (None, false) => {
                checker.wrong(unknown(name.place, &name.value));
                continue;
            }
        };
        states.push((state.value.clone(), found));
    }
    let any = |wanted: &[Phase]| {
        states.iter().any(|(_, phase)| match phase {
            StatePhase::Known(phase) => wanted.contains(phase),
            StatePhase::Expr(_) => true,
        })
    };
    let failures = [Phase::Failed, Phase::RetryableFailed, Phase::Aborted];
    if !any(&[Phase::Succeeded]) {
        checker.mistake(file.place, "no state is `succeeded`: the task would run for ever");
    }
    if !any(&failures) {
        checker.mistake(file.place, "no state is `failed`: a failed task would run for ever");
    }
    states
}

/// The phase that `expr` in `place`, the part `part` of the file, is known to give; `None` within if that is a mistake.
fn known_phase(
    checker: &mut Checker<'_>,
    expr: &Expr,
    place: Place,
    part: &str,
) -> Option<Option<Phase>> {
    let value = expr.known()?.ok()?.unwrap_or_default();
    let Json::String(name) = &value else {
        checker.mistake(place, format!("{part}: must be a phase, not {}", kind(&value)));
        return Some(None);
    };
    let found = phase(name);
    if found.is_none() {
        checker.wrong(unknown(place, name));
    }
    Some(found)
}

/// Checks that `expr` in `place`, the part `part` of the file, is a phase that ends a task, if it is known and has a value.
pub(super) fn check_end(checker: &mut Checker<'_>, expr: &Expr, place: Place, part: &str) {
    if matches!(expr.known(), Some(Ok(None))) {
        return;
    }
    if let Some(Some(phase)) = known_phase(checker, expr, place, part)
        && !phase.is_terminal()
    {
        checker.mistake(place, format!("{part}: must be a phase that ends a task"));
    }
}

/// The mistake that there is no phase `name`.
fn unknown(place: Place, name: &str) -> Mistake {
    let known = PHASES.map(|(name, _)| name);
    let mistake = Mistake::unknown(place, "phase", name, &known);
    match nearest(&name.to_lowercase(), known.into_iter()) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None => mistake,
    }
}
