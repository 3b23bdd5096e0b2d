//! A vendor that plays a scripted part, for demos and for tests in other languages.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use tests::{
    discovery::Discovery,
    fakes::{
        bigquery::{self, FakeBigQuery},
        databricks::{self, FakeDatabricks},
        snowflake::{self, FakeSnowflake},
    },
};

/// Serves a vendor's API without the vendor.
#[derive(Parser)]
struct Args {
    /// Which vendor.
    #[arg(value_enum)]
    vendor: Vendor,

    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// How many polls find a job unfinished.
    #[arg(long, default_value_t = 2)]
    polls: u32,

    /// How jobs end: `success`, `stuck`, or an error code of the vendor, for example invalidQuery,
    /// `CLUSTER_ERROR` or 001003.
    #[arg(long, default_value = "success")]
    ending: String,

    /// BigQuery: refuse what the published schema does not allow; it must be installed.
    #[arg(long)]
    check: bool,

    /// Snowflake: private keys (PEM) whose tokens are taken.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Vendor {
    Bigquery,
    Databricks,
    Snowflake,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match args.vendor {
        Vendor::Bigquery => serve_bigquery(args).await,
        Vendor::Databricks => serve_databricks(args).await,
        Vendor::Snowflake => serve_snowflake(args).await,
    }
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
            .with_context(|| format!("{} cannot be read", file.display()))?;
        fake.register_key(&pem)?;
    }
    println!("{}", fake.url());
    fake.serve().await;
    Ok(())
}
