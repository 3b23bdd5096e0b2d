//! `cargo xtask demo`: runs one plugin end to end on this machine.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{Background, answers_ok, cargo, program, run as run_program, write},
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
}

/// Issuer and audience in the service's authentication file: the defaults of `cargo xtask token`.
const ISSUER: &str = "https://demo.example.com";
const AUDIENCE: &str = "connectors";

/// How long the service may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &Args) -> Result<()> {
    println!("Building the service and the fake BigQuery (the first time takes a few minutes) …");
    build(args.release)?;
    let files = Files::create()?;

    println!("\nStarting a fake BigQuery …");
    let mut fake = program(binary("fake-upstream", args.release));
    let mut fake = Background::start(fake.args(["bigquery", "--polls=5"]).stdout(Stdio::piped()))?;
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
    let mut command = cargo(&["build", "--package", "bigquery", "--package", "tests", "--bins"]);
    if release {
        command.arg("--release");
    }
    run_program(&mut command)
}

fn binary(name: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    target(profile).join(name)
}

/// The service's configuration files and its log.
struct Files {
    auth: PathBuf,
    handle_key: PathBuf,
    log: PathBuf,
}

impl Files {
    fn create() -> Result<Self> {
        let files = Self {
            auth: target("demo/auth.yaml"),
            handle_key: target("demo/handle.key"),
            log: target("demo/bigquery.log"),
        };
        let secret = target("demo/issuer.secret");
        write(&secret, hex(&random::<32>()?))?;
        write(&files.handle_key, random::<32>()?)?;
        let auth = format!(
            "issuers:\n\
             \x20 - name: demo\n\
             \x20   issuer: {ISSUER}\n\
             \x20   audiences: [{AUDIENCE}]\n\
             \x20   key: {{hs256_secret_file: {}}}\n\
             rules:\n\
             \x20 - {{issuer: demo, sub: propeller, role: propeller}}\n\
             \x20 - {{issuer: demo, role: user}}\n",
            secret.display()
        );
        write(&files.auth, auth)?;
        Ok(files)
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `preferred` on loopback, or any free port if that one is taken.
fn free_address(preferred: u16) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", preferred))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .context("no free port on loopback")?;
    Ok(listener.local_addr()?)
}

fn start_service(
    release: bool,
    files: &Files,
    upstream: &str,
    api: SocketAddr,
    admin: SocketAddr,
) -> Result<Background> {
    let log = File::create(&files.log)?;
    let mut service = program(binary("bigquery", release));
    service
        .arg(format!("--listen={api}"))
        .arg(format!("--admin-listen={admin}"))
        .arg(format!("--auth={}", files.auth.display()))
        .arg(format!("--handle-keys={}", files.handle_key.display()))
        .arg(format!("--endpoint={upstream}"))
        // The fake is also Google's metadata server, from which the service gets its own identity as
        // it would on Google Cloud.
        .env("GCE_METADATA_HOST", upstream.trim_start_matches("http://"))
        // Do not pick up the credentials of the person who runs the demo.
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env_remove("HOME")
        .stdout(log.try_clone()?)
        .stderr(log);
    Background::start(&mut service)
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
