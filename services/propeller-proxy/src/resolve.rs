//! Where a target's replicas are.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::lookup_host,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::balance::Balancer;

/// How often DNS is asked. Kubernetes' own answers may be five seconds old.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often it is asked at most, when a connection failed or ended.
const ASK_AT_MOST: Duration = Duration::from_secs(1);
/// How often it is asked while it has no answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Three nameservers, asked twice, have five seconds each: an answer of the last one must not come too
/// late for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long DNS may have no answer before a replica without a connection is forgotten. Its address goes
/// to another pod sooner or later, which would be sent the token.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Asks DNS again and again, until `stop`. While it has no answer, the replicas stay that are
/// connected: DNS being down must not take plugins along.
pub(crate) async fn keep_resolved(balancer: Arc<Balancer>, stop: CancellationToken) {
    let target = &balancer.target;
    let asking = follow(&balancer, || resolve(&target.host, target.port));
    stop.run_until_cancelled(asking).await;
}

async fn follow<A>(balancer: &Balancer, ask: impl Fn() -> A)
where
    A: Future<Output = Result<Vec<SocketAddr>, String>>,
{
    let mut answered = Instant::now();
    let mut is_known = true;
    loop {
        match ask().await {
            Ok(addresses) => {
                balancer.set_replicas(&addresses);
                (answered, is_known) = (Instant::now(), true);
                sleep(ASK_AT_MOST).await;
                let _ = timeout(ASK_EVERY - ASK_AT_MOST, balancer.doubted()).await;
            }
            Err(why) => {
                balancer.unresolved(&why);
                if std::mem::take(&mut is_known) {
                    tracing::warn!(service = %balancer.target, why, "no replicas are known from DNS");
                }
                if answered.elapsed() >= FORGET_AFTER {
                    balancer.forget_unconnected(FORGET_AFTER);
                }
                sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// Every address of `host`, each once.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let asked = timeout(ANSWER_TIMEOUT, lookup_host(format!("{host}:{port}"))).await;
    let found = asked.map_err(|_| format!("DNS did not say in time where {host} is"))?;
    let found = found.map_err(|_| {
        format!(
            "DNS knows no address of {host} (is it running, and is this its name and namespace?)"
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
    fn nobody() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_without_a_connection_are_forgotten_once_dns_has_been_silent_for_a_minute() {
        let (balancer, address, asked) = (balancer(), nobody(), AtomicUsize::new(0));
        let ask = || {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Ok(vec![address]) } else { Err("DNS is down".to_owned()) } }
        };
        let known = || balancer.replicas.load().len();
        tokio::select! {
            () = follow(&balancer, ask) => {}
            () = async {
                sleep(FORGET_AFTER - ASK_EVERY).await;
                assert_eq!(known(), 1, "it may be DNS alone that is down");
                sleep(ASK_EVERY * 2).await;
                assert_eq!(known(), 0);
            } => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dns_is_asked_at_once_when_a_connection_fails_but_not_more_often_than_every_second() {
        let (balancer, asked) = (balancer(), AtomicUsize::new(0));
        let ask = || {
            asked.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(Vec::new()))
        };
        let asked_within = async |time| {
            let before = asked.load(Ordering::Relaxed);
            sleep(time).await;
            asked.load(Ordering::Relaxed) - before
        };
        let failing = async {
            loop {
                balancer.changes.failed(&"connection refused");
                sleep(ASK_AT_MOST / 100).await;
            }
        };
        tokio::select! {
            biased;
            () = follow(&balancer, ask) => {}
            () = async {
                assert_eq!(asked_within(ASK_EVERY * 10).await, 10, "while nothing happens");
                tokio::select! {
                    times = asked_within(ASK_AT_MOST * 5) => assert_eq!(times, 5),
                    () = failing => {}
                }
            } => {}
        }
    }
}
