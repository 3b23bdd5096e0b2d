//! The status of a job of a plugin that speaks plain JSON.

use plugin_core::{MAX_FACTS, MAX_LINKS, OutputTypes, Phase, Status, serde_json::Map};

use crate::rest::Answer;

/// The code of outputs that the task does not declare so.
const WRONG_OUTPUTS: &str = "WRONG_OUTPUTS";
/// The phases that a plugin may answer with.
const PHASES: &str =
    "QUEUED, WAITING_FOR_RESOURCES, INITIALIZING, RUNNING, SUCCEEDED, FAILED and RETRYABLE_FAILED";

/// The status that `answer` reports of a task with these outputs.
pub(crate) fn status(answer: Answer, types: &OutputTypes) -> Status {
    let phase = phase(&answer);
    let status = phase.clone().map_or_else(unknown, Status::new);
    let status = match answer.message.as_deref() {
        None | Some("") => status,
        Some(message) => status.message(message),
    };
    let status = status.code(answer.error_code.unwrap_or_default());
    let links = answer.log_links.unwrap_or_default().into_iter().take(MAX_LINKS);
    let status = links.fold(status, |status, link| status.link(link.name, link.uri));
    let info = answer.custom_info.unwrap_or_default().into_iter().take(MAX_FACTS);
    let status = info.fold(status, |status, (key, fact)| status.info(key, Some(fact)));
    if phase != Ok(Phase::Succeeded) {
        return status;
    }
    with_outputs(status, answer.outputs.unwrap_or_default(), types)
}

/// A running job, with words for the plugin's author.
fn unknown(phase: String) -> Status {
    let said = match &*phase {
        "" => "without a phase".to_owned(),
        phase => format!("with the phase {phase:?}"),
    };
    let message = format!("the plugin answered {said}; there are {PHASES}");
    Status::unknown_state(phase).message(message)
}

/// Flyte would fail to read outputs that are missing or of another type, with words that do not help.
fn with_outputs(
    status: Status,
    outputs: Map<String, plugin_core::serde_json::Value>,
    types: &OutputTypes,
) -> Status {
    let wrong = |message: String| Status::new(Phase::Failed).code(WRONG_OUTPUTS).message(message);
    if let Some(name) = types.missing(&outputs) {
        let others = outputs.keys().cloned().collect::<Vec<_>>().join(", ");
        let instead = if others.is_empty() { "no outputs" } else { &others };
        return wrong(format!(
            "outputs.{name}: missing, but the task declares it; the plugin returned {instead}"
        ));
    }
    types.add_to(status, outputs).unwrap_or_else(|error| wrong(error.message().to_owned()))
}

/// The phase, or what is unknown of it.
fn phase(answer: &Answer) -> Result<Phase, String> {
    let of = |name: &Option<String>| name.as_deref().map(str::to_ascii_uppercase);
    let (phase, state) = (of(&answer.phase), of(&answer.job_state));
    match (phase.as_deref(), state.as_deref()) {
        (Some("QUEUED"), _) => Ok(Phase::Queued),
        (Some("WAITING_FOR_RESOURCES"), _) => Ok(Phase::WaitingForResources),
        (Some("INITIALIZING"), _) => Ok(Phase::Initializing),
        (Some("RUNNING"), _) | (None, Some("RUNNING")) => Ok(Phase::Running),
        (Some("SUCCEEDED"), _) | (None, Some("SUCCEED" | "SUCCEEDED")) => Ok(Phase::Succeeded),
        (Some("FAILED" | "ABORTED"), _) | (None, Some("FAILED")) => Ok(Phase::Failed),
        (Some("RETRYABLE_FAILED"), _) => Ok(Phase::RetryableFailed),
        (Some(unknown), _) | (None, Some(unknown)) => Err(unknown.to_owned()),
        (None, None) => Err(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    fn read(answer: serde_json::Value) -> Status {
        status(serde_json::from_value(answer).unwrap(), &OutputTypes::default())
    }

    #[test]
    fn phases_and_states_are_read() {
        for (answer, expected) in [
            (json!({"phase": "QUEUED"}), Phase::Queued),
            (json!({"phase": "INITIALIZING"}), Phase::Initializing),
            (json!({"phase": "WAITING_FOR_RESOURCES"}), Phase::WaitingForResources),
            (json!({"phase": "SUCCEEDED", "job_state": "running"}), Phase::Succeeded),
            (json!({"phase": "RETRYABLE_FAILED", "job_state": "failed"}), Phase::RetryableFailed),
            (json!({"job_state": "succeed"}), Phase::Succeeded),
            (json!({"job_state": "failed"}), Phase::Failed),
            (json!({"job_state": "running"}), Phase::Running),
            (json!({"phase": "succeeded"}), Phase::Succeeded),
            (json!({"job_state": "dreaming"}), Phase::Running),
            (
                json!({"phase": "FAILED", "message": 7, "outputs": [], "log_links": [1]}),
                Phase::Failed,
            ),
            (json!({"phase": "SUCCEEDED", "log_links": [{"uri": "x"}]}), Phase::Succeeded),
            (json!({}), Phase::Running),
        ] {
            assert_eq!(read(answer.clone()).phase(), expected, "{answer}");
        }
    }
}
