//! Creates and polls over REST.

use anyhow::{Context as _, Result, ensure};
use bench::wire::{Connection, written};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use crate::{AT_ONCE, Args, Creates, Poll, Sample, one_size, prefixes};

const PATH: &str = "/plugins/v1/bigquery_query_job_task/0";

#[derive(Deserialize)]
struct Created {
    job_id: String,
}

#[derive(Deserialize)]
struct Polled {
    job_state: String,
}

pub(crate) async fn sample(args: &Args, token: &str) -> Result<Sample> {
    let authorization = format!("authorization: Bearer {token}");
    let headers = vec![authorization, "content-type: application/json".to_owned()];
    let connection = Connection::new(format!("http://{}", args.address), false, headers.clone());
    let create = async |(job, prefix): (usize, &String)| {
        let body = task(prefix);
        let answer = connection.call("PUT", PATH, body.clone()).await?;
        let created = serde_json::from_slice::<Created>(&answer.body);
        let created = created.with_context(|| lossy(&answer.body))?;
        ensure!(!created.job_id.is_empty(), "a create was answered without a handle");
        let file = written(&args.directory, &format!("create-{job}"), &body)?;
        anyhow::Ok((file, answer.body.len(), format!("{PATH}?job_id={}", created.job_id)))
    };
    let prefixes = prefixes(args.jobs)?;
    let created = stream::iter(prefixes.iter().enumerate()).map(create).buffered(AT_ONCE);
    let created = created.try_collect::<Vec<_>>().await?;
    let sizes = created.iter().map(|(_, size, _)| *size).collect::<Vec<_>>();
    let paths = created.iter().map(|(_, _, path)| path.clone()).collect::<Vec<_>>();
    let bodies = created.into_iter().map(|(file, _, _)| file).collect();
    let bytes = one_size("create", &sizes)?;
    let creates = Creates { method: "PUT", path: PATH.to_owned(), bodies, bytes };
    let poll = poll(args, &connection, &paths).await?;
    Ok(Sample { headers, creates, poll })
}

async fn poll(args: &Args, connection: &Connection, paths: &[String]) -> Result<Poll> {
    let path = paths.first().context("there is no job")?.clone();
    let answer = connection.call("GET", &path, Bytes::new()).await?;
    let polled = serde_json::from_slice::<Polled>(&answer.body);
    let state = polled.with_context(|| lossy(&answer.body))?.job_state;
    ensure!(state == "running", "a running job was reported as {state}");
    let list = paths.iter().map(|path| format!("{path}\n")).collect::<String>();
    let list = written(&args.directory, "polls", list.as_bytes())?;
    Ok(Poll { path, bodies: Vec::new(), paths: Some(list), bytes: answer.body.len() })
}

/// A task in the short form, with the statement and inputs of the golden request of gRPC.
fn task(prefix: &str) -> Bytes {
    let task = json!({
        "custom": {"ProjectID": "acme-analytics", "Location": "US"},
        "sql": STATEMENT,
        "inputs": {
            "customer_id": 4711, "min_total": 19.99, "country": "DE", "paid": true,
            "since": "2026-03-01T06:30:15.250Z",
        },
        "output_prefix": prefix,
    });
    task.to_string().into()
}

const STATEMENT: &str = "SELECT order_id, total FROM `acme-analytics.shop.orders` WHERE customer_id = @customer_id AND total >= @min_total AND country = @country AND paid = @paid AND created_at >= @since";

fn lossy(body: &[u8]) -> String {
    format!("the answer is {}", String::from_utf8_lossy(body))
}
