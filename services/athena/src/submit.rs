//! Starting a query.

use plugin_core::{Context, Error, Result, aws::Client};

use crate::{
    api::Started,
    errors, job,
    location::{WORKGROUPS, below_output_prefix},
    request::Start,
};

/// Starts the query; returns its id. `is_auto` is the setting by which it gets a location of our own if neither it nor its
/// workgroup has one. A refused request has not used its token.
pub(crate) async fn submit(
    cx: &Context,
    client: &Client,
    start: Start,
    is_auto: bool,
) -> Result<String> {
    let error = match send(cx, client, &start).await {
        Err(error) if is_auto && start.has_no_location() => error,
        answer => return answer,
    };
    if errors::lacks_location(&error) {
        return send(cx, client, &start.at(below_output_prefix(cx, &WORKGROUPS)?)).await;
    }
    // Athena may look for the token before the location: an earlier submit may have had ours.
    match below_output_prefix(cx, &WORKGROUPS) {
        Ok(location) if errors::is_mismatch(&error) => {
            let again = send(cx, client, &start.at(location)).await;
            again.map_err(|again| if errors::is_verdict(&again) { error } else { again })
        }
        _ => Err(error),
    }
}

async fn send(cx: &Context, client: &Client, start: &Start) -> Result<String> {
    let call = client.call("StartQueryExecution", start).idempotent().submits_job("");
    let started: Started = call.send_json(cx).await?;
    match started.query_execution_id {
        id if job::is_id(&id) => Ok(id),
        _ => Err(Error::unavailable("Athena's response has no id of a query")),
    }
}
