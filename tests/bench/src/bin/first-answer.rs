//! Waits for a server's first good answer: sends a poll again and again, a millisecond apart.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use bench::wire::Connection;
use bytes::Bytes;
use clap::Parser;
use tokio::time::{sleep, timeout};

/// Prints `waiting`, and `answered` when a server has given the answer that is wanted.
#[derive(Parser)]
struct Args {
    /// The server, which need not run yet.
    #[arg(long)]
    address: SocketAddr,

    /// Speak HTTP/2, as gRPC does.
    #[arg(long)]
    http2: bool,

    /// The request's path.
    #[arg(long)]
    path: String,

    /// A header of the request, `name: value`.
    #[arg(long = "header")]
    headers: Vec<String>,

    /// A file with the request's body. With one it is a POST, without one a GET.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,

    /// The size of a good answer.
    #[arg(long)]
    bytes: usize,
}

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a server may take.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let body = args.body.as_ref().map(std::fs::read).transpose()?.map(Bytes::from);
    println!("waiting");
    let answered = async {
        while !answers(&args, body.as_ref()).await {
            sleep(PAUSE).await;
        }
    };
    timeout(STARTS_WITHIN, answered).await.context("the server gave no good answer")?;
    println!("answered");
    Ok(())
}

async fn answers(args: &Args, body: Option<&Bytes>) -> bool {
    let base = format!("http://{}", args.address);
    let connection = Connection::new(base, args.http2, args.headers.clone());
    let method = if body.is_some() { "POST" } else { "GET" };
    let call = connection.call(method, &args.path, body.cloned().unwrap_or_default());
    let answer = timeout(STARTS_WITHIN, call).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.body.len() == args.bytes))
}
