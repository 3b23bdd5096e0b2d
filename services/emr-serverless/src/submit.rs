//! Submits a job, and starts its application where that does not start by itself.

use std::time::Duration;

use plugin_core::{
    Context, Error, Kind, Result,
    aws::{self, Client},
};

use crate::{api, application, errors, request::Request};

/// The time between two looks at an application that is starting.
const PAUSE: Duration = Duration::from_secs(1);

/// Submits `request` to `application`; returns the run's id. An application that is stopped is started, and the submit
/// repeated under the same token once it runs.
///
/// # Errors
/// `Unavailable` when the application has not started in time.
pub(crate) async fn submit(
    cx: &Context,
    client: &Client,
    application: &str,
    request: &Request,
) -> Result<String> {
    let refused = match start_run(cx, client, application, request).await {
        Err(error) if errors::is_refused_submit(&error) => error,
        outcome => return outcome.map_err(aws::of_submit),
    };
    // The request is wrong, or the application cannot take it yet: only the application's state can tell.
    if !await_start(cx, client, application, &refused).await? {
        return Err(refused);
    }
    start_run(cx, client, application, request).await.map_err(aws::of_submit)
}

async fn start_run(
    cx: &Context,
    client: &Client,
    application: &str,
    request: &Request,
) -> Result<String> {
    let call = client.http().post(&["applications", application, "jobruns"]).json(request);
    let started: api::Started = call.idempotent().submits_job("").send_json(cx).await?;
    match started.job_run_id.filter(|id| api::is_id(id)) {
        Some(id) => Ok(id),
        None => Err(Error::unavailable("EMR Serverless's response has no id of a run")),
    }
}

/// What to do about an application before a submit is repeated.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It runs, and the submit may be repeated.
    Submit,
    Start,
    Wait,
    /// Its state does not explain why a submit was refused.
    GiveUp,
}

fn next(found: &api::Application) -> Next {
    match found.state.as_str() {
        "STARTED" => Next::Submit,
        "CREATED" | "STOPPED" if found.starts_itself() => Next::GiveUp,
        "CREATED" | "STOPPED" => Next::Start,
        "CREATING" | "STARTING" | "STOPPING" => Next::Wait,
        _ => Next::GiveUp,
    }
}

/// Waits until `application` runs, and starts it if need be. False if its state does not explain `refused`.
async fn await_start(
    cx: &Context,
    client: &Client,
    application: &str,
    refused: &Error,
) -> Result<bool> {
    loop {
        let found = match application::describe(cx, client, application).await {
            Ok(found) => found,
            Err(error) => return unseen(error, refused),
        };
        match next(&found) {
            // It may have come up between the submit and this look.
            Next::Submit => return Ok(true),
            Next::GiveUp => return Ok(false),
            Next::Start => {
                let call = client.http().post(&["applications", application, "start"]);
                call.idempotent().send(cx).await.map_err(aws::of_submit)?;
            }
            Next::Wait => {}
        }
        if cx.deadline().remaining() < 2 * PAUSE || !cx.is_wanted() {
            let message = format!(
                "the application {application} is starting, which may take minutes; enable its auto-start, or let Flyte \
                 retry the task"
            );
            return Err(Error::unavailable(message).with_source(refused.clone()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What follows from `refused` if a look at the application ended with `error`.
fn unseen(error: Error, refused: &Error) -> Result<bool> {
    match error.kind() {
        // The keys have ended in between, or AWS does not answer.
        kind if kind.is_transient() || kind == Kind::Unauthenticated => Err(error.about(&format!(
            "the submit was refused ({refused}), and the application's state is not known"
        ))),
        // Why nobody may look at the application says less than why AWS refused the submit.
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn every_state_of_the_model_says_what_comes_next() {
        for (state, by_itself, by_start) in [
            ("CREATING", Next::Wait, Next::Wait),
            ("CREATED", Next::GiveUp, Next::Start),
            ("STARTING", Next::Wait, Next::Wait),
            ("STARTED", Next::Submit, Next::Submit),
            ("STOPPING", Next::Wait, Next::Wait),
            ("STOPPED", Next::GiveUp, Next::Start),
            ("TERMINATED", Next::GiveUp, Next::GiveUp),
            ("HIBERNATING", Next::GiveUp, Next::GiveUp),
        ] {
            for (enabled, expected) in [(true, by_itself), (false, by_start)] {
                let found = json!({"state": state, "autoStartConfiguration": {"enabled": enabled}});
                let found = serde_json::from_value(found).unwrap();
                assert_eq!(next(&found), expected, "{state} {enabled}");
            }
        }
    }
}
