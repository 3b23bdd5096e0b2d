//! How much propeller-proxy adds to a call: the same poll with and without it, by turns.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use clap::Parser;
use plugin_core::testing::{Client, Dialect};
use serde_json::json;
use tokio::time::Instant;

/// Measures what propeller-proxy adds to a call.
///
/// Both ways end at one service, which is asked for a job that it does not know: all of a poll but the
/// vendor.
#[derive(Parser)]
struct Args {
    /// The service's API port.
    #[arg(long)]
    direct: SocketAddr,

    /// Where the proxy listens for it.
    #[arg(long)]
    proxied: SocketAddr,

    /// The token of direct calls.
    #[arg(long, env = "LATENCY_TOKEN", hide_env_values = true)]
    token: String,

    /// How many calls each way, one after the other.
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

/// The median, and what one call in a hundred exceeds.
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
