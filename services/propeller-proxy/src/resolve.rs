//! Keeps the addresses of a target's replicas up to date from DNS.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::lookup_host,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::balance::Balancer;

/// The interval between DNS lookups. Kubernetes' own answers may be five seconds old.
const INTERVAL: Duration = Duration::from_secs(5);
/// The minimum interval, used when a connection failed or ended.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The interval after a failed lookup.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// The timeout of a lookup. The resolver asks three nameservers twice, five seconds each: the answer of the
/// last one must not always be too late.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long DNS may fail before an unconnected replica is forgotten. Its address will eventually belong to
/// another pod, which must not receive the token.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Looks up the replicas periodically until `stop`. While lookups fail, connected replicas stay in use: a
/// DNS outage must not make plugins unavailable.
pub(crate) async fn keep_resolved(balancer: Arc<Balancer>, stop: CancellationToken) {
    let target = &balancer.target;
    let looking_up = follow(&balancer, || resolve(&target.host, target.port));
    stop.run_until_cancelled(looking_up).await;
}

async fn follow<L>(balancer: &Balancer, look_up: impl Fn() -> L)
where
    L: Future<Output = Result<Vec<SocketAddr>, String>>,
{
    let mut answered = Instant::now();
    let mut is_known = true;
    loop {
        match look_up().await {
            Ok(addresses) => {
                balancer.set_replicas(&addresses);
                (answered, is_known) = (Instant::now(), true);
                sleep(MIN_INTERVAL).await;
                let _ = timeout(INTERVAL - MIN_INTERVAL, balancer.outdated()).await;
            }
            Err(why) => {
                balancer.unresolved(&why);
                if std::mem::take(&mut is_known) {
                    tracing::warn!(service = %balancer.target, why, "cannot look up replicas in DNS");
                }
                if answered.elapsed() >= FORGET_AFTER {
                    balancer.forget_unconnected(FORGET_AFTER);
                }
                sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

/// The distinct addresses of `host`.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let looked_up = timeout(ANSWER_TIMEOUT, lookup_host(format!("{host}:{port}"))).await;
    let found = looked_up.map_err(|_| format!("the DNS lookup of {host} timed out"))?;
    let found = found.map_err(|_| {
        format!(
            "DNS has no address for {host} (is the plugin running, and are the Service's name and namespace correct?)"
        )
    })?;
    let mut addresses = found.collect::<Vec<_>>();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use server_core::{ServiceInfo, serving::Serving};
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::metrics::Metrics;

    const INFO: ServiceInfo = server_core::service_info!();

    fn balancer() -> Balancer {
        let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::ZERO);
        let target = "dns:///bigquery-headless.plugins:8000".parse().unwrap();
        Balancer::new(&target, None, &serving, &Metrics::new(INFO))
    }

    /// An address that refuses connections.
    fn refusing() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn unconnected_replicas_are_forgotten_after_a_minute_without_dns() {
        let (balancer, address, lookups) = (balancer(), refusing(), AtomicUsize::new(0));
        let look_up = || {
            let first = lookups.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Ok(vec![address]) } else { Err("DNS is down".to_owned()) } }
        };
        let known = || balancer.replicas.load().len();
        tokio::select! {
            () = follow(&balancer, look_up) => {}
            () = async {
                sleep(FORGET_AFTER - INTERVAL).await;
                assert_eq!(known(), 1, "only DNS may be down");
                sleep(INTERVAL * 2).await;
                assert_eq!(known(), 0);
            } => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_connection_triggers_a_lookup_at_most_once_a_second() {
        let (balancer, lookups) = (balancer(), AtomicUsize::new(0));
        let look_up = || {
            lookups.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(Vec::new()))
        };
        let lookups_within = async |time| {
            let before = lookups.load(Ordering::Relaxed);
            sleep(time).await;
            lookups.load(Ordering::Relaxed) - before
        };
        let failing = async {
            loop {
                balancer.changes.failed(&"connection refused");
                sleep(MIN_INTERVAL / 100).await;
            }
        };
        tokio::select! {
            biased;
            () = follow(&balancer, look_up) => {}
            () = async {
                assert_eq!(lookups_within(INTERVAL * 10).await, 10, "without failures");
                tokio::select! {
                    times = lookups_within(MIN_INTERVAL * 5) => assert_eq!(times, 5),
                    () = failing => {}
                }
            } => {}
        }
    }
}
