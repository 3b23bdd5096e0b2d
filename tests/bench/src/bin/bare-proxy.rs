//! The limit that the services are compared with: tonic or axum, HS256 and hyper, and nothing else.
//!
//! No metrics, no log, no deadline, no limit, no retry; handles are the vendor's ids. What a service costs
//! beyond it is the price of what it does.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing,
};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use plugin_core::testing::proto::flyteidl::{
    admin::{
        CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
        GetTaskRequest, GetTaskResponse, Resource,
    },
    core::{task_execution::Phase, task_template::Target},
    service::async_agent_service_server::{AsyncAgentService, AsyncAgentServiceServer},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{Response, Status};

/// A proxy in front of BigQuery that checks a token and does nothing else.
#[derive(Parser)]
struct Args {
    /// Address for gRPC.
    #[arg(long)]
    grpc: SocketAddr,

    /// Address for REST.
    #[arg(long)]
    rest: SocketAddr,

    /// BigQuery's address.
    #[arg(long, value_name = "URL")]
    endpoint: String,

    /// Issuer of the tokens.
    #[arg(long)]
    issuer: String,

    /// Audience of the tokens.
    #[arg(long)]
    audience: String,

    /// Secret that the tokens are signed with.
    #[arg(long, env = "BARE_PROXY_SECRET", hide_env_values = true)]
    secret: String,
}

/// The fields that our service asks for.
const FIELDS: &str = "jobReference,status(state,errorResult),configuration/query/destinationTable,statistics(totalBytesProcessed,totalSlotMs,numChildJobs,query(totalBytesBilled,cacheHit,statementType,ddlTargetTable))";

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[&args.issuer]);
    validation.set_audience(&[&args.audience]);
    let proxy = Arc::new(Proxy {
        jobs: format!("{}/bigquery/v2/projects/acme-analytics/jobs", args.endpoint),
        client: Client::builder(TokioExecutor::new()).build_http(),
        key: DecodingKey::from_secret(args.secret.as_bytes()),
        validation,
    });
    let rest = Router::new()
        .route("/plugins/v1/bigquery_query_job_task/0", routing::put(put).get(get))
        .with_state(Arc::clone(&proxy));
    let listener = TcpListener::bind(args.rest).await?;
    let rest = async { anyhow::Ok(axum::serve(listener, rest).await?) };
    let grpc = AsyncAgentServiceServer::from_arc(proxy);
    let grpc = tonic::transport::Server::builder().add_service(grpc).serve(args.grpc);
    let grpc = async { anyhow::Ok(grpc.await?) };
    println!("ready");
    tokio::try_join!(rest, grpc).map(drop)
}

struct Proxy {
    jobs: String,
    client: Client<HttpConnector, Full<Bytes>>,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "sub")]
    _subject: String,
}

#[derive(Deserialize)]
struct Job<'a> {
    #[serde(borrow)]
    status: JobStatus<'a>,
}

#[derive(Deserialize)]
struct JobStatus<'a> {
    state: &'a str,
}

impl Proxy {
    fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| Status::unauthenticated("no token"))?;
        let checked = decode::<Claims>(token, &self.key, &self.validation);
        checked.map(drop).map_err(|error| Status::unauthenticated(error.to_string()))
    }

    async fn call(&self, method: &str, url: String, body: Bytes) -> Result<Bytes, Status> {
        let uri = url.parse::<Uri>().map_err(|error| Status::internal(error.to_string()))?;
        let request = Request::builder().method(method).uri(uri);
        let request = request
            .header("authorization", "Bearer mock")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Status::internal(error.to_string()))?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| Status::unavailable(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(Status::unavailable(answer.status().to_string()));
        }
        let body = answer.into_body().collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| Status::unavailable(error.to_string()))
    }

    async fn insert(&self, id: &str, statement: &str) -> Result<(), Status> {
        let body = json!({
            "jobReference": {"projectId": "acme-analytics", "jobId": id},
            "configuration": {"query": {"query": statement, "useLegacySql": false}},
        });
        let url = format!("{}?fields=jobReference", self.jobs);
        self.call("POST", url, body.to_string().into()).await.map(drop)
    }

    async fn phase(&self, id: &str) -> Result<Phase, Status> {
        let url = format!("{}/{id}?location=EU&fields={FIELDS}", self.jobs);
        let body = self.call("GET", url, Bytes::new()).await?;
        let job = serde_json::from_slice::<Job<'_>>(&body);
        let job = job.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(match job.status.state {
            "DONE" => Phase::Succeeded,
            _ => Phase::Running,
        })
    }
}

/// An id for the job of a task, from the prefix of its outputs as our service makes one.
fn id_of(output_prefix: &str) -> String {
    output_prefix.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

#[tonic::async_trait]
impl AsyncAgentService for Proxy {
    async fn create_task(
        &self,
        request: tonic::Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        self.check(request.metadata().as_ref())?;
        let request = request.into_inner();
        let target = request.template.and_then(|template| template.target);
        let Some(Target::Sql(sql)) = target else {
            return Err(Status::invalid_argument("no statement"));
        };
        let id = id_of(&request.output_prefix);
        self.insert(&id, &sql.statement).await?;
        Ok(Response::new(CreateTaskResponse { resource_meta: id.into_bytes().into() }))
    }

    async fn get_task(
        &self,
        request: tonic::Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        self.check(request.metadata().as_ref())?;
        let id = String::from_utf8(request.into_inner().resource_meta.into());
        let id = id.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let phase = self.phase(&id).await?;
        let resource = Resource { phase: phase.into(), ..Resource::default() };
        Ok(Response::new(GetTaskResponse { resource: Some(resource) }))
    }

    async fn delete_task(
        &self,
        _: tonic::Request<DeleteTaskRequest>,
    ) -> Result<Response<DeleteTaskResponse>, Status> {
        Err(Status::unimplemented("nothing is measured here"))
    }
}

type Answer = Result<Json<Value>, (StatusCode, String)>;

fn refused(status: &Status) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, status.message().to_owned())
}

#[derive(Deserialize)]
struct Put {
    sql: String,
    output_prefix: String,
}

async fn put(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, Json(put): Json<Put>) -> Answer {
    proxy.check(&headers).map_err(|status| refused(&status))?;
    let id = id_of(&put.output_prefix);
    proxy.insert(&id, &put.sql).await.map_err(|status| refused(&status))?;
    Ok(Json(json!({"job_id": id})))
}

#[derive(Deserialize)]
struct Get {
    job_id: String,
}

async fn get(
    State(proxy): State<Arc<Proxy>>,
    headers: HeaderMap,
    Query(get): Query<Get>,
) -> Answer {
    proxy.check(&headers).map_err(|status| refused(&status))?;
    let phase = proxy.phase(&get.job_id).await.map_err(|status| refused(&status))?;
    let state = if phase == Phase::Succeeded { "succeed" } else { "running" };
    Ok(Json(json!({"job_state": state})))
}
