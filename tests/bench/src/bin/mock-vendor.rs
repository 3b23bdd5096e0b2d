//! A mock of BigQuery for measurements: it checks nothing, answers at once or after a delay, and counts.
//!
//! The fakes of `tests` check every request against Google's schema, which costs more than the services do.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Parser;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

/// A mock of BigQuery's jobs API and of Google's token endpoints.
#[derive(Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// How long each call of the jobs API takes, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    delay: u64,
}

/// How many jobs a page of a list has.
const PAGE: usize = 1000;
/// What a metadata server is known by.
const FLAVOR: [(&str, &str); 1] = [("metadata-flavor", "Google")];
/// The machine's project, its account, and the scope of the account's tokens.
const PROJECT: &str = "acme-analytics";
const ACCOUNT: &str = "outrigger@acme-analytics.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// When the first job was created, in milliseconds; all that follow are a millisecond younger.
const CREATED: &str = "1767225600000";

#[derive(Default)]
struct Mock {
    delay: Duration,
    calls: AtomicU64,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    /// In the order of their creation.
    ids: Vec<String>,
    ended: HashSet<String>,
}

type Parameters = Query<HashMap<String, String>>;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await?;
    println!("http://{}", listener.local_addr()?);
    let mock = Mock { delay: Duration::from_millis(args.delay), ..Mock::default() };
    let jobs = "/bigquery/v2/projects/{project}/jobs";
    let router = Router::new()
        .route(jobs, post(insert).get(list))
        .route(&format!("{jobs}/{{id}}"), get(job))
        .route(&format!("{jobs}/{{id}}/cancel"), post(cancel))
        .route("/token", post(token))
        .route("/", get(root))
        .route("/computeMetadata/v1/{*path}", get(metadata))
        .route("/calls", get(calls))
        .route("/end/{id}", post(end))
        .with_state(Arc::new(mock));
    Ok(axum::serve(listener, router).await?)
}

impl Mock {
    async fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            sleep(self.delay).await;
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls of the jobs API have come so far.
async fn calls(State(mock): State<Arc<Mock>>) -> String {
    mock.calls.load(Ordering::Relaxed).to_string()
}

/// Ends a job.
async fn end(State(mock): State<Arc<Mock>>, Path(id): Path<String>) {
    mock.jobs().ended.insert(id);
}

/// A token, for every way to ask for one.
async fn token() -> impl IntoResponse {
    let token = json!({"access_token": "mock", "expires_in": 3599, "token_type": "Bearer"});
    (FLAVOR, Json(token))
}

/// A metadata server's answer to Google's Python client, which looks for one before it asks for anything.
async fn root() -> impl IntoResponse {
    FLAVOR
}

/// What Google's clients ask a metadata server for.
async fn metadata(Path(path): Path<String>) -> Response {
    match path.as_str() {
        "project/project-id" => (FLAVOR, PROJECT).into_response(),
        "universe/universe-domain" => (FLAVOR, "googleapis.com").into_response(),
        "instance/service-accounts/default/" => {
            let account = json!({"aliases": ["default"], "email": ACCOUNT, "scopes": [SCOPE]});
            (FLAVOR, Json(account)).into_response()
        }
        _ => token().await.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inserted {
    #[serde(default)]
    job_reference: Reference,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    job_id: Option<String>,
}

async fn insert(
    State(mock): State<Arc<Mock>>,
    Path(project): Path<String>,
    Query(query): Parameters,
    Json(inserted): Json<Inserted>,
) -> impl IntoResponse {
    mock.call().await;
    let mut jobs = mock.jobs();
    let chosen = || format!("job_{:08}", jobs.ids.len());
    let id = inserted.job_reference.job_id.unwrap_or_else(chosen);
    let answer = answer(&project, &id, false, &query);
    jobs.ids.push(id);
    answer
}

async fn job(
    State(mock): State<Arc<Mock>>,
    Path((project, id)): Path<(String, String)>,
    Query(query): Parameters,
) -> impl IntoResponse {
    mock.call().await;
    let has_ended = mock.jobs().ended.contains(&id);
    answer(&project, &id, has_ended, &query)
}

async fn cancel(
    State(mock): State<Arc<Mock>>,
    Path((project, id)): Path<(String, String)>,
) -> Json<Value> {
    mock.call().await;
    Json(
        json!({"kind": "bigquery#jobCancelResponse", "job": {"jobReference": {"projectId": project, "jobId": id}}}),
    )
}

async fn list(
    State(mock): State<Arc<Mock>>,
    Path(project): Path<String>,
    Query(query): Parameters,
) -> impl IntoResponse {
    mock.call().await;
    let jobs = mock.jobs();
    let from = query.get("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let newest_first = jobs.ids.iter().rev().skip(from).take(PAGE);
    let page = newest_first.map(|id| polled(&project, id, jobs.ended.contains(id)));
    let page = page.collect::<Vec<_>>().join(",");
    let next =
        (jobs.ids.len() > from + PAGE).then(|| format!("\"nextPageToken\":\"{}\",", from + PAGE));
    as_json(format!("{{{}\"jobs\":[{page}]}}", next.unwrap_or_default()))
}

/// A job: of all fields if `fields` does not choose some, as BigQuery does.
fn answer(
    project: &str,
    id: &str,
    has_ended: bool,
    query: &HashMap<String, String>,
) -> impl IntoResponse + use<> {
    as_json(match query.get("fields").map(String::as_str) {
        None => whole(project, id, has_ended),
        Some("jobReference") => format!("{{{}}}", reference(project, id)),
        Some(_) => polled(project, id, has_ended),
    })
}

fn as_json(body: String) -> impl IntoResponse {
    let json = HeaderValue::from_static("application/json; charset=UTF-8");
    (HeaderMap::from_iter([(header::CONTENT_TYPE, json)]), body)
}

fn reference(project: &str, id: &str) -> String {
    format!(r#""jobReference":{{"projectId":"{project}","jobId":"{id}","location":"EU"}}"#)
}

/// The fields that a poll of our service asks for.
fn polled(project: &str, id: &str, has_ended: bool) -> String {
    let state = if has_ended { "DONE" } else { "RUNNING" };
    format!(
        r#"{{{},"status":{{"state":"{state}"}},"configuration":{{"query":{{"destinationTable":{}}}}},"statistics":{{"totalBytesProcessed":"123456789","totalSlotMs":"98765","query":{{"totalBytesBilled":"124780544","cacheHit":false,"statementType":"SELECT"}}}}}}"#,
        reference(project, id),
        destination(project),
    )
}

fn destination(project: &str) -> String {
    format!(
        r#"{{"projectId":"{project}","datasetId":"_0123456789abcdef","tableId":"anon0123456789abcdef0123456789abcdef"}}"#
    )
}

/// What BigQuery answers to a caller that chooses no fields, in the order and with the whitespace of its own.
fn whole(project: &str, id: &str, has_ended: bool) -> String {
    let stage = |number: u32| {
        json!({
            "name": format!("S{number:02}: Input"), "id": number.to_string(), "startMs": "1767225600512",
            "endMs": "1767225600873", "waitRatioAvg": 0.01, "waitMsAvg": "4", "readRatioAvg": 0.2,
            "readMsAvg": "61", "computeRatioAvg": 0.5, "computeMsAvg": "187", "shuffleOutputBytes": "8192",
            "recordsRead": "1000000", "recordsWritten": "12", "parallelInputs": "4", "status": "COMPLETE",
            "completedParallelInputs": "4", "slotMs": "2133",
            "steps": [{"kind": "READ", "substeps": ["$1:day, $2:id", "FROM acme.orders"]}],
        })
    };
    let destination = serde_json::from_str(&destination(project)).unwrap_or(Value::Null);
    let whole = json!({
        "kind": "bigquery#job", "etag": "Yx4f0SmtSxYCb3rN8p1NOg==", "id": format!("{project}:EU.{id}"),
        "selfLink": format!("https://bigquery.googleapis.com/bigquery/v2/projects/{project}/jobs/{id}?location=EU"),
        "user_email": ACCOUNT,
        "configuration": {
            "query": {
                "query": "SELECT day, COUNT(id) AS orders FROM acme.orders WHERE day >= @since GROUP BY day ORDER BY day",
                "destinationTable": destination, "createDisposition": "CREATE_IF_NEEDED",
                "writeDisposition": "WRITE_TRUNCATE", "priority": "INTERACTIVE", "useLegacySql": false,
                "parameterMode": "NAMED",
                "queryParameters": [{"name": "since", "parameterType": {"type": "DATE"}, "parameterValue": {"value": "2026-01-01"}}],
            },
            "jobType": "QUERY",
        },
        "jobReference": {"projectId": project, "jobId": id, "location": "EU"},
        "statistics": {
            "creationTime": CREATED, "startTime": "1767225600250", "totalBytesProcessed": "123456789",
            "totalSlotMs": "98765", "reservation_id": "default-pipeline",
            "query": {
                "totalBytesProcessed": "123456789", "totalBytesBilled": "124780544", "cacheHit": false,
                "statementType": "SELECT", "totalSlotMs": "98765", "estimatedBytesProcessed": "123456789",
                "referencedTables": [{"projectId": project, "datasetId": "acme", "tableId": "orders"}],
                "queryPlan": [stage(0), stage(1)],
                "timeline": [{"elapsedMs": "412", "totalSlotMs": "2133", "pendingUnits": "0", "completedUnits": "4", "activeUnits": "0"}],
            },
        },
        "status": {"state": if has_ended { "DONE" } else { "RUNNING" }},
        "principal_subject": format!("serviceAccount:{ACCOUNT}"),
    });
    format!("{whole:#}")
}
