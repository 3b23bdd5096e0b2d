//! A fake vendor with scripted behaviour, for demos and for tests in other languages.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use tests::{
    discovery::Discovery,
    fakes::{
        athena,
        aws::{Fake, Service},
        aws_batch,
        bigquery::{self, FakeBigQuery},
        databricks::{self, FakeDatabricks},
        emr_serverless, redshift, sagemaker,
        snowflake::{self, FakeSnowflake},
    },
};

/// A fake of a vendor's API with scripted behaviour.
#[derive(Parser)]
struct Args {
    /// Vendor whose API to serve.
    #[arg(value_enum)]
    vendor: Vendor,

    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Number of polls that find a job unfinished.
    #[arg(long, default_value_t = 2)]
    polls: u32,

    /// How jobs end: `success`, `stuck`, or an error code of the vendor, for example `invalidQuery`,
    /// `CLUSTER_ERROR`, `001003` or `SYNTAX_ERROR`; Athena's `exhausted`, AWS Batch's `Host`, EMR Serverless's
    /// `maximumCapacity`, Redshift's `isolation` and SageMaker's `CapacityError` may be retried.
    #[arg(long, default_value = "success")]
    ending: String,

    /// BigQuery: reject requests that violate the published schema, which must be installed.
    #[arg(long)]
    check: bool,

    /// EMR Serverless: what the application is at first.
    #[arg(long, value_enum, default_value_t)]
    application: Application,

    /// Snowflake: private key (PEM) whose tokens are accepted; may be repeated.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Vendor {
    Athena,
    AwsBatch,
    Bigquery,
    Databricks,
    EmrServerless,
    Redshift,
    Sagemaker,
    Snowflake,
}

/// The state of an application.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Application {
    /// It takes runs.
    #[default]
    Started,
    /// It does not start by itself.
    Stopped,
    /// It starts by itself.
    Idle,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match args.vendor {
        Vendor::Athena => serve_athena(args).await,
        Vendor::AwsBatch => serve_aws_batch(args).await,
        Vendor::Bigquery => serve_bigquery(args).await,
        Vendor::Databricks => serve_databricks(args).await,
        Vendor::EmrServerless => serve_emr_serverless(args).await,
        Vendor::Redshift => serve_redshift(args).await,
        Vendor::Sagemaker => serve_sagemaker(args).await,
        Vendor::Snowflake => serve_snowflake(args).await,
    }
}

/// Serves a fake of a service of AWS.
async fn serve_aws<S: Service>(listen: SocketAddr, options: S::Options) -> Result<()> {
    let fake = Fake::<S>::start_at(listen, options).await?;
    println!("{}", fake.url());
    fake.serve().await;
    Ok(())
}

/// As many states as there are polls: these, again and again.
fn states(states: [&str; 2], polls: u32) -> Vec<String> {
    states.into_iter().cycle().take(polls as usize).map(str::to_owned).collect()
}

async fn serve_athena(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => athena::Ending::Success,
        "stuck" => athena::Ending::Stuck("RUNNING".to_owned()),
        "exhausted" => athena::Ending::internal_error(),
        _ => athena::Ending::syntax_error(),
    };
    let states = states(["QUEUED", "RUNNING"], args.polls);
    let options = athena::Options { states, ending, ..athena::Options::default() };
    serve_aws::<athena::Athena>(args.listen, options).await
}

async fn serve_aws_batch(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => aws_batch::Ending::Success,
        "stuck" => aws_batch::Ending::Stuck("RUNNING".to_owned()),
        "Host" => aws_batch::Ending::lost_host(),
        _ => aws_batch::Ending::misconfigured(),
    };
    let states = states(["RUNNABLE", "RUNNING"], args.polls);
    let options = aws_batch::Options { states, ending, ..aws_batch::Options::default() };
    serve_aws::<aws_batch::AwsBatch>(args.listen, options).await
}

async fn serve_bigquery(args: Args) -> Result<()> {
    let discovery = if args.check { Discovery::installed()? } else { None };
    if args.check && discovery.is_none() {
        bail!("{} is missing; cargo xtask test installs it", Discovery::path().display());
    }
    let ending = match args.ending.as_str() {
        "success" => bigquery::Ending::Success,
        "stuck" => bigquery::Ending::Stuck("RUNNING".to_owned()),
        reason => bigquery::Ending::Failure {
            reason: reason.to_owned(),
            message: "as scripted".to_owned(),
        },
    };
    let fake = FakeBigQuery::start(bigquery::Options {
        listen: args.listen,
        polls: args.polls,
        ending,
        discovery,
        require_token: true,
    });
    let fake = fake.await?;
    println!("{}", fake.url());
    fake.serve().await;
    Ok(())
}

async fn serve_databricks(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => databricks::Ending::Success("42".to_owned()),
        "stuck" => databricks::Ending::Stuck("RUNNING".to_owned()),
        code => {
            databricks::Ending::Terminated { code: code.to_owned(), result: "FAILED".to_owned() }
        }
    };
    let (listen, polls) = (args.listen, args.polls);
    let options = databricks::Options { listen, polls, ending, ..databricks::Options::default() };
    let fake = FakeDatabricks::start(options).await?;
    println!("{}", fake.url());
    fake.serve().await;
    Ok(())
}

async fn serve_redshift(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => redshift::Ending::Success,
        "stuck" => redshift::Ending::Stuck("STARTED".to_owned()),
        "isolation" => redshift::Ending::conflict(),
        _ => redshift::Ending::syntax_error(),
    };
    let options = redshift::Options { polls: args.polls as usize, ending };
    serve_aws::<redshift::Redshift>(args.listen, options).await
}

async fn serve_emr_serverless(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => emr_serverless::Ending::Success,
        "stuck" => emr_serverless::Ending::Stuck("RUNNING".to_owned()),
        "maximumCapacity" => emr_serverless::Ending::no_capacity(),
        _ => emr_serverless::Ending::failed_script(),
    };
    let states = states(["SUBMITTED", "RUNNING"], args.polls);
    let mut options =
        emr_serverless::Options { states, ending, ..emr_serverless::Options::default() };
    // That of the request of flytekit's own plugin that would make it.
    let of_flytekit = emr_serverless::Application::new("00f1r2v3abcdef0a", "etl-new")
        .with_image("111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:1.4");
    options.applications.push(of_flytekit);
    options.applications = options
        .applications
        .into_iter()
        .map(|one| match args.application {
            Application::Started => one,
            Application::Stopped => one.in_state("STOPPED", 0).without_auto_start(),
            Application::Idle => one.in_state("STOPPED", 0),
        })
        .collect();
    serve_aws::<emr_serverless::EmrServerless>(args.listen, options).await
}

async fn serve_sagemaker(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => sagemaker::Ending::Success,
        "stuck" => sagemaker::Ending::Stuck("InProgress".to_owned()),
        "CapacityError" => sagemaker::Ending::no_capacity(),
        _ => sagemaker::Ending::failed_script(),
    };
    let polls = args.polls as usize;
    let options = sagemaker::Options { polls, ending, ..sagemaker::Options::default() };
    serve_aws::<sagemaker::SageMaker>(args.listen, options).await
}

async fn serve_snowflake(args: Args) -> Result<()> {
    let ending = match args.ending.as_str() {
        "success" => snowflake::Ending::Success,
        "stuck" => snowflake::Ending::Stuck("333334".to_owned()),
        code => snowflake::Ending::Failure {
            status: 422,
            code: code.to_owned(),
            message: "as scripted".to_owned(),
        },
    };
    let (listen, polls) = (args.listen, args.polls);
    let fake = FakeSnowflake::start(snowflake::Options { listen, polls, ending }).await?;
    for file in &args.key {
        let pem = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        fake.register_key(&pem)?;
    }
    println!("{}", fake.url());
    fake.serve().await;
    Ok(())
}
