//! Measures the latency that propeller-proxy adds: the same poll with and without it, alternating.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use clap::Parser;
use plugin_core::testing::{Client, Dialect};
use serde_json::json;
use tokio::time::Instant;

/// Benchmark of the latency that propeller-proxy adds to a call.
///
/// Polls one service directly and through the proxy for a job that it does not know, so that the vendor is
/// not called.
#[derive(Parser)]
struct Args {
    /// Address of the service's API.
    #[arg(long)]
    direct: SocketAddr,

    /// Address of the proxy's listener for the service.
    #[arg(long)]
    proxied: SocketAddr,

    /// Token for direct calls.
    #[arg(long, env = "LATENCY_TOKEN", hide_env_values = true)]
    token: String,

    /// Number of sequential calls, each directly and through the proxy.
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let direct = Client::connect(Dialect::Flyte1, args.direct, Some(args.token)).await;
    let proxied = Client::connect(Dialect::Flyte1, args.proxied, None).await;
    let mut times = [Vec::with_capacity(args.calls), Vec::with_capacity(args.calls)];
    for _ in 0..args.calls {
        for (client, times) in [&direct, &proxied].into_iter().zip(&mut times) {
            times.push(poll(client).await?);
        }
    }
    let [direct, proxied] = times.map(percentiles);
    println!("         direct    proxied   added");
    for (name, direct, proxied) in [("p50", direct.0, proxied.0), ("p99", direct.1, proxied.1)] {
        println!(
            "{name}  {direct:>9.1?}  {proxied:>9.1?}  {:>9.1?}",
            proxied.saturating_sub(direct)
        );
    }
    Ok(())
}

async fn poll(client: &Client) -> Result<Duration> {
    let task = json!({"template": {"type": "bigquery_query_job_task"}});
    let started = Instant::now();
    let answer = client.get(&task, b"nobody's").await;
    let took = started.elapsed();
    answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    Ok(took)
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or_default()
    };
    (at(0.5), at(0.99))
}
