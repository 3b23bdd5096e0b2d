//! Calls a server once as a load will, checks the answers, and writes the load's requests to files.
//!
//! A load tool sees status codes and sizes. So one call of each kind is read here, message by message; the
//! load's answers then have to be as long as those that were read.

mod flyte;
mod rest;
mod sample;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use bench::wire;
use clap::{Parser, ValueEnum};

use self::sample::{Creates, Poll, Sample};

/// Creates jobs, polls one of them, and prints as JSON what a load tool needs for more of the same.
#[derive(Parser)]
struct Args {
    /// The server.
    #[arg(long)]
    address: SocketAddr,

    /// The protocol to call it with.
    #[arg(long)]
    protocol: Protocol,

    /// Where to write the requests.
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,

    /// How many jobs to create. Each gets a prefix of outputs of its own.
    #[arg(long, default_value_t = 1)]
    jobs: usize,

    /// File with the secret that tokens are signed with.
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,

    /// Issuer of the token.
    #[arg(long)]
    issuer: String,

    /// Audience of the token.
    #[arg(long)]
    audience: String,

    /// CreateTaskRequest as Flyte sends it. Its prefix of outputs is replaced.
    #[arg(long, value_name = "FILE", required_if_eq_any = [("protocol", "flyte1"), ("protocol", "flyte2")])]
    task: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    /// gRPC as FlytePropeller 1.x uses it.
    Flyte1,
    /// gRPC as Flyte 2 uses it.
    Flyte2,
    /// REST over HTTP/1.1.
    Rest,
}

/// The token's subject, which the service's rules give propeller's role.
const SUBJECT: &str = "propeller";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.directory)?;
    let secret = std::fs::read(&args.secret_file)
        .with_context(|| format!("cannot read {}", args.secret_file.display()))?;
    let token = wire::token(secret.trim_ascii_end(), &args.issuer, &args.audience, SUBJECT)?;
    let sample = match args.protocol {
        Protocol::Flyte1 => flyte::sample(&args, flyte::FLYTE1, &token).await?,
        Protocol::Flyte2 => flyte::sample(&args, flyte::FLYTE2, &token).await?,
        Protocol::Rest => rest::sample(&args, &token).await?,
    };
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

/// How many creates are made at once.
const AT_ONCE: usize = 50;

/// Prefixes of outputs, as many as there are jobs, all of one length and none of them used before.
fn prefixes(jobs: usize) -> Result<Vec<String>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let run = format!("{:016x}{:08x}", now.as_nanos() as u64, std::process::id());
    Ok((0..jobs).map(|job| format!("s3://bench/{run}/{job:06}/0")).collect())
}

/// The size that all answers have.
fn one_size(what: &str, sizes: &[usize]) -> Result<usize> {
    let first = *sizes.first().context("there is no job: --jobs must not be 0")?;
    let equal = sizes.iter().all(|size| *size == first);
    ensure!(equal, "answers to a {what} have different sizes, so they cannot be checked by size");
    Ok(first)
}
