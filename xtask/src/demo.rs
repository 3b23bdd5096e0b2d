//! `cargo xtask demo`: runs one plugin end to end on this machine.

use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    local_service::{Files, free_address},
    process::{Background, answers_ok, cargo, program, run as run_program},
    recording::Recording,
    target, token,
};

/// Runs the BigQuery service against a fake BigQuery and calls it as Flyte and as curl would.
///
/// Builds the service, starts it with authentication on, and shows the requests and responses of
/// Flyte 1, Flyte 2 and a person with curl. Needs only Rust. Succeeds only if every step succeeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the service running at the end and print commands to paste.
    #[arg(long)]
    keep: bool,

    /// Build with optimisations.
    #[arg(long)]
    release: bool,

    /// Record the run as an animated picture in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "keep")]
    svg: Option<PathBuf>,

    /// Check that the picture in this file has the steps of the run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keep", "svg"])]
    check_svg: Option<PathBuf>,
}

/// How long the service may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &Args) -> Result<()> {
    match (&args.svg, &args.check_svg) {
        (Some(file), _) => recording(args.release)?.write(file),
        (None, Some(file)) => recording(args.release)?.check(file),
        (None, None) => run_here(args),
    }
}

/// A run in a process of its own, recorded.
fn recording(release: bool) -> Result<Recording> {
    let mut demo = program(std::env::current_exe()?);
    demo.arg("demo").args(release.then_some("--release"));
    Recording::of("cargo xtask demo", &mut demo)
}

fn run_here(args: &Args) -> Result<()> {
    println!("Building the service and the fake BigQuery (the first time takes a few minutes) …");
    build(args.release)?;
    let files = Files::create("demo")?;

    println!("\nStarting a fake BigQuery …");
    let mut fake = program(binary("fake-upstream", args.release));
    let mut fake = Background::start(fake.args(["bigquery", "--polls=2"]).stdout(Stdio::piped()))?;
    let upstream = fake.first_line()?;
    println!("  {upstream}");

    println!("Starting the BigQuery service, authentication on …");
    let (api, admin) = (free_address(8000)?, free_address(9090)?);
    let mut service = start_service(args.release, &files, &upstream, api, admin)?;
    wait_until_ready(&mut service, admin, &files)?;
    println!("  gRPC and REST on {api}, admin on {admin}, log in {}\n", files.log.display());

    let token = token::of_the_demo("propeller")?;
    run_program(
        program(binary("demo-calls", args.release))
            .args(["--api", &api.to_string(), "--admin", &admin.to_string()])
            .args(["--upstream", &upstream])
            .env("DEMO_TOKEN", token),
    )?;
    if args.keep {
        print_calls(api, admin)?;
        service.wait()?;
    }
    Ok(())
}

fn build(release: bool) -> Result<()> {
    let packages = ["bigquery", "fake-upstream", "outrigger", "tests"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let args = ["build", "--bins"].into_iter().chain(packages).collect::<Vec<_>>();
    let mut command = cargo(&args);
    if release {
        command.arg("--release");
    }
    run_program(&mut command)
}

fn binary(name: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    target(profile).join(name)
}

fn start_service(
    release: bool,
    files: &Files,
    upstream: &str,
    api: SocketAddr,
    admin: SocketAddr,
) -> Result<Background> {
    let log = File::create(&files.log)?;
    let mut service = files.service(&binary("bigquery", release), upstream, api, admin);
    Background::start(service.stdout(log.try_clone()?).stderr(log))
}

fn wait_until_ready(service: &mut Background, admin: SocketAddr, files: &Files) -> Result<()> {
    let deadline = Instant::now() + STARTS_WITHIN;
    while !answers_ok(admin, "/readyz") {
        if !service.is_running() || Instant::now() > deadline {
            let log = std::fs::read_to_string(&files.log).unwrap_or_default();
            bail!("the service did not start:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn print_calls(api: SocketAddr, admin: SocketAddr) -> Result<()> {
    let token = token::of_the_demo("you")?;
    println!(
        r#"
The service keeps running; stop it with Ctrl-C. Commands to paste into another terminal:

  export TOKEN={token}

  # REST: submit, get (replace JOB_ID with the job_id returned), delete
  curl -sS -X PUT http://{api}/plugins/v1/bigquery_query_job_task/0 \
    -H "authorization: Bearer $TOKEN" -H "idempotency-key: try-1" \
    -d '{{"custom": {{"ProjectID": "acme-analytics", "Location": "EU"}},
         "sql": "SELECT @word AS word", "inputs": {{"word": "hello"}}}}'
  curl -sS "http://{api}/plugins/v1/bigquery_query_job_task/0?job_id=JOB_ID" -H "authorization: Bearer $TOKEN"
  curl -sS -X DELETE "http://{api}/plugins/v1/bigquery_query_job_task/0?job_id=JOB_ID" -H "authorization: Bearer $TOKEN"

  # gRPC, as FlytePropeller and Flyte 2 call it (grpcurl finds the services by reflection; this service
  # declares only the fields of Flyte's messages that it reads, hence -allow-unknown-fields)
  grpcurl -plaintext -allow-unknown-fields -H "authorization: Bearer $TOKEN" -d @ {api} \
    flyteidl.service.AsyncAgentService/CreateTask < tests/golden/v1/bq_scalars.json
  grpcurl -plaintext -allow-unknown-fields -H "authorization: Bearer $TOKEN" -d @ {api} \
    flyteidl2.connector.AsyncConnectorService/CreateTask < tests/golden/v2/bq_count_events.json
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" {api} list

  # Flyte's own SDK, locally; the query goes to the service (clients/flytekit/README.md)
  pip install './clients/flytekit[flytekit]' flytekitplugins-bigquery==1.16.31
  OUTRIGGER_ENDPOINT=http://{api} OUTRIGGER_TOKEN=$TOKEN \
    pyflyte run clients/flytekit/examples/orders.py orders --day 2026-03-01 --ids '[1, 2]'

  # Metrics and API documentation
  curl -sS http://{admin}/metrics
  http://{api}/docs/
"#
    );
    Ok(())
}
