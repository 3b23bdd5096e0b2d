//! Finds a task's job by its name, or submits one.

use plugin_core::{
    Context, Error, Result,
    aws::Client,
    serde_json::{Value as Json, json},
};

use crate::{
    api::{Listed, Submitted},
    job,
    request::Request,
};

/// How many pages are read to find a job. One has up to 100 jobs, but may have fewer, or none.
const MOST_PAGES: usize = 20;

/// The job that an earlier create of the same attempt has submitted.
///
/// # Errors
/// `Unavailable` if the list is longer than is read: the job may be on a later page, and a submit would be a second one.
pub(crate) async fn find(
    cx: &Context,
    client: &Client,
    request: &Request,
) -> Result<Option<String>> {
    let (queue, name) = (request.queue(), request.name());
    let mut body =
        json!({ "jobQueue": queue, "filters": [{ "name": "JOB_NAME", "values": [name] }] });
    for _ in 0..MOST_PAGES {
        let call = client.http().post(&["v1", "listjobs"]).json(&body);
        let listed: Listed = call.idempotent().send_json(cx).await?;
        let found = listed.first(name).filter(|id| job::is_id(id));
        match listed.next_token {
            Some(next) if found.is_none() => body["nextToken"] = next.into(),
            _ => return Ok(found),
        }
    }
    Err(Error::unavailable(format!(
        "whether the job exists is not known: the list of jobs in the queue {queue} has more than {MOST_PAGES} pages"
    )))
}

/// Submits `request`; returns the job's id. AWS Batch has no idempotency key, so a submit whose answer is lost is not
/// repeated: the job is looked for.
pub(crate) async fn submit(
    cx: &Context,
    client: &Client,
    (request, body): (&Request, Json),
) -> Result<String> {
    let call = client.http().post(&["v1", "submitjob"]).json(&body);
    match call.send_json::<Submitted>(cx).await {
        Ok(submitted) if job::is_id(&submitted.job_id) => Ok(submitted.job_id),
        Ok(_) => Err(Error::unavailable("AWS Batch's response has no id of a job")),
        Err(error) if error.kind().is_transient() => {
            find(cx, client, request).await.ok().flatten().ok_or(error)
        }
        Err(error) => Err(error),
    }
}
