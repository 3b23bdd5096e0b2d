//! The calls of `cargo xtask demo`: every kind of caller, step by step, with checks.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::Parser;
use plugin_core::testing::{Client, Dialect, Observation};
use serde_json::Value as Json;
use tests::golden::{Flyte, Golden};
use tokio::time::Instant;

/// Client of `cargo xtask demo`: calls a running BigQuery service over every protocol.
#[derive(Parser)]
struct Args {
    /// Address of the service's API.
    #[arg(long)]
    api: SocketAddr,

    /// Address of the service's admin port.
    #[arg(long)]
    admin: SocketAddr,

    /// URL of the fake BigQuery, which counts the jobs.
    #[arg(long)]
    upstream: String,

    /// Token with the role propeller.
    #[arg(long, env = "DEMO_TOKEN", hide_env_values = true)]
    token: String,
}

struct Demo {
    args: Args,
    http: reqwest::Client,
}

/// A job and the request that created it.
struct Job {
    dialect: Dialect,
    task: Json,
    handle: Vec<u8>,
}

/// How long a job of the fake may take.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a caller, not the service")]
    let http = reqwest::Client::new();
    let demo = Demo { args: Args::parse(), http };
    demo.refused_without_token().await?;
    let jobs = demo.create_all().await?;
    demo.create_again(&jobs).await?;
    for job in &jobs {
        demo.poll_to_the_end(job).await?;
    }
    demo.delete().await?;
    demo.metrics().await?;
    println!("\nEvery step passed.");
    Ok(())
}

fn step(title: &str) {
    println!("● {title}");
}

fn passed(what: &str) {
    println!("  ✓ {what}");
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Flyte1 => "Flyte 1 over gRPC",
        Dialect::Flyte2 => "Flyte 2 over gRPC",
        Dialect::Rest => "a person over REST",
    }
}

/// The golden request that each caller sends.
fn golden(dialect: Dialect) -> Result<Json> {
    let (flyte, name) = match dialect {
        Dialect::Flyte1 => (Flyte::V1, "bq_query_job_config"),
        Dialect::Flyte2 => (Flyte::V2, "bq_count_events"),
        Dialect::Rest => (Flyte::V1, "bq_output_columns"),
    };
    let mut task = Golden::read(flyte, name)?.json;
    // The golden requests share an attempt; here each must be a separate task.
    task["output_prefix"] = format!("s3://my-bucket/demo/{name}/0").into();
    Ok(task)
}

impl Demo {
    async fn client(&self, dialect: Dialect) -> Client {
        Client::connect(dialect, self.args.api, Some(self.args.token.clone())).await
    }

    async fn refused_without_token(&self) -> Result<()> {
        step("A create without a token");
        for dialect in Dialect::ALL {
            let anonymous = Client::connect(dialect, self.args.api, None).await;
            let refused = anonymous.create(&golden(dialect)?).await;
            let Err(refusal) = refused else { bail!("{} was served", name(dialect)) };
            let expected = if dialect.is_grpc() { 16 } else { 401 };
            ensure!(refusal.code == expected, "{refusal:?}");
            passed(&format!(
                "{}: rejected with {}: {}",
                name(dialect),
                refusal.code,
                refusal.message
            ));
        }
        Ok(())
    }

    async fn create_all(&self) -> Result<Vec<Job>> {
        step("A create by each caller, as Flyte's own SDKs send it");
        let mut jobs = Vec::new();
        for dialect in Dialect::ALL {
            let task = golden(dialect)?;
            let handle = self.create(dialect, &task).await?;
            ensure!(handle.len() <= 1024, "a handle of {} bytes", handle.len());
            let job = Job { dialect, task, handle };
            let id = self.id(&job).await?;
            passed(&format!(
                "{}: {id}, a sealed handle of {} bytes",
                name(dialect),
                job.handle.len()
            ));
            jobs.push(job);
        }
        Ok(jobs)
    }

    async fn create(&self, dialect: Dialect, task: &Json) -> Result<Vec<u8>> {
        let created = self.client(dialect).await.create(task).await;
        created.map_err(|refusal| anyhow::anyhow!("{}: {refusal:?}", name(dialect)))
    }

    async fn create_again(&self, jobs: &[Job]) -> Result<()> {
        step("The same creates again, as after a lost response");
        let before = self.jobs_upstream().await?;
        for job in jobs {
            let handle = self.create(job.dialect, &job.task).await?;
            let again = Job { dialect: job.dialect, task: job.task.clone(), handle };
            let (first, second) = (self.id(job).await?, self.id(&again).await?);
            ensure!(first == second, "{first} and {second}");
            passed(&format!("{}: the same job", name(job.dialect)));
        }
        let after = self.jobs_upstream().await?;
        ensure!(before == after, "{before} jobs upstream became {after}");
        passed(&format!("the upstream still has {after} jobs"));
        Ok(())
    }

    async fn poll_to_the_end(&self, job: &Job) -> Result<()> {
        step(&format!("{} polls until its job ends", name(job.dialect)));
        let (started, mut phase) = (Instant::now(), String::new());
        // A phase is as old as the service's view of its jobs may be: two seconds.
        while started.elapsed() < ENDS_WITHIN {
            let seen = self.get(job).await?;
            if seen.phase != phase {
                println!("  {}", seen.phase);
                phase.clone_from(&seen.phase);
            }
            match seen.phase.as_str() {
                "QUEUED" | "RUNNING" => {}
                "SUCCEEDED" => {
                    println!("  {}", results(&seen)?);
                    let (link, uri) = seen.links.first().context("no link")?;
                    println!("  {link}: {uri}");
                    passed("outputs and a link for Flyte's console");
                    return Ok(());
                }
                other => bail!("{other}: {}", seen.message),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the job did not end within {} seconds", ENDS_WITHIN.as_secs())
    }

    async fn get(&self, job: &Job) -> Result<Observation> {
        let seen = self.client(job.dialect).await.get(&job.task, &job.handle).await;
        seen.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
    }

    async fn delete(&self) -> Result<()> {
        step("A running job is deleted");
        let mut task = golden(Dialect::Flyte1)?;
        task["output_prefix"] = "s3://my-bucket/demo/delete".into();
        let handle = self.create(Dialect::Flyte1, &task).await?;
        let job = Job { dialect: Dialect::Flyte1, task, handle };
        let client = self.client(job.dialect).await;
        for times in ["once", "twice"] {
            let deleted = client.delete(&job.task, &job.handle).await;
            deleted.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            passed(&format!("deleted {times}"));
        }
        let seen = self.get(&job).await?;
        ensure!(seen.phase == "FAILED" && seen.message.starts_with("stopped"), "{seen:?}");
        passed(&format!("it is {}: {}", seen.phase, seen.message));
        Ok(())
    }

    async fn metrics(&self) -> Result<()> {
        step("Metrics for operators");
        let text = self.text(&format!("http://{}/metrics", self.args.admin)).await?;
        for wanted in [
            "flyte_connector_requests_success_total",
            "rpc_server_call_duration_seconds_count",
            "plugin_auth_failures_total",
        ] {
            let line = text.lines().find(|line| line.starts_with(wanted));
            println!("  {}", line.with_context(|| format!("no {wanted}"))?);
        }
        passed("metrics with OpenTelemetry's and flytekit's names");
        Ok(())
    }

    /// The job's BigQuery id, which REST shows to the job's owner.
    async fn id(&self, job: &Job) -> Result<String> {
        let url = format!(
            "http://{}/plugins/v1/bigquery_query_job_task/0?job_id={}",
            self.args.api,
            BASE64_URL_SAFE_NO_PAD.encode(&job.handle)
        );
        let answer = self.http.get(url).bearer_auth(&self.args.token).send().await?;
        let answer: Json = answer.error_for_status()?.json().await?;
        Ok(answer["job_spec"]["job"]["id"].as_str().context("no job id")?.to_owned())
    }

    async fn jobs_upstream(&self) -> Result<u64> {
        let jobs = self.text(&format!("{}/fake/jobs", self.args.upstream)).await?;
        Ok(jobs.parse()?)
    }

    async fn text(&self, url: &str) -> Result<String> {
        Ok(self.http.get(url).send().await?.error_for_status()?.text().await?)
    }
}

fn results(seen: &Observation) -> Result<String> {
    let uri = &seen.outputs["literals"]["results"]["scalar"]["structured_dataset"]["uri"];
    Ok(format!("results = {}", uri.as_str().context("no results")?))
}
