//! Where a target's replicas are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::balance::Balancer;

/// How often DNS is asked. Kubernetes' own answers may be five seconds old.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often it is asked while it has no answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks DNS again and again, until `stop`. While it has no answer, the replicas stay that are known:
/// DNS being down must not take plugins along.
pub(crate) async fn keep_resolved(balancer: Arc<Balancer>, stop: CancellationToken) {
    let mut answered = true;
    let asking = async {
        loop {
            match resolve(&balancer.target.host, balancer.target.port).await {
                Ok(addresses) => {
                    balancer.set_replicas(&addresses);
                    answered = true;
                    sleep(ASK_EVERY).await;
                }
                Err(why) => {
                    balancer.unresolved(&why);
                    if std::mem::take(&mut answered) {
                        tracing::warn!(service = %balancer.target, why, "no replicas are known from DNS");
                    }
                    sleep(ASK_AGAIN).await;
                }
            }
        }
    };
    stop.run_until_cancelled(asking).await;
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
