//! Selects the replica for each call.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use server_core::{serving::Serving, tls::Authorities};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    args::Target,
    changes::Changes,
    dial::{Dialer, Sender},
    metrics::{Metrics, TargetMetrics},
    replica::{Pending, Replica},
};

/// The replicas of one target.
pub(crate) struct Balancer {
    pub(crate) target: Target,
    pub(crate) metrics: TargetMetrics,
    pub(crate) replicas: ArcSwap<Vec<Arc<Replica>>>,
    pub(crate) changes: Changes,
    dialer: Dialer,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The replica selected for one call.
pub(crate) struct Chosen {
    pub(crate) sender: Sender,
    pub(crate) pending: Pending,
}

impl Balancer {
    /// A balancer without replicas.
    pub(crate) fn new(
        target: &Target,
        tls: Option<Arc<Authorities>>,
        serving: &Serving,
        metrics: &Metrics,
    ) -> Self {
        let metrics = metrics.of(target.to_string());
        Self {
            target: target.clone(),
            changes: Changes::new(metrics.clone()),
            metrics,
            replicas: ArcSwap::default(),
            dialer: Dialer::new(target, tls),
            tasks: serving.background.clone(),
            stop: serving.stop_background.clone(),
        }
    }

    /// Selects a connected replica; waits for one, but no longer than `wait`.
    ///
    /// # Errors
    /// The reason why none is connected.
    pub(crate) async fn choose(&self, wait: Duration) -> Result<Chosen, String> {
        let mut changed = self.changes.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if let Some(chosen) = self.choose_now() {
                    return chosen;
                }
                // Cannot fail: `self` owns the sender.
                let _ = changed.changed().await;
            }
        };
        timeout(wait, waiting).await.map_err(|_| self.changes.problem())
    }

    /// The less busy of two random replicas. This balances nearly as well as comparing all of them, and
    /// concurrent calls do not all select the same one.
    fn choose_now(&self) -> Option<Chosen> {
        let replicas = self.replicas.load();
        let mut connected =
            replicas.iter().filter_map(|each| Some((each, each.sender()?))).collect::<Vec<_>>();
        if connected.is_empty() {
            return None;
        }
        let first = connected.swap_remove(rand::random_range(0..connected.len()));
        let second = match connected.len() {
            0 => None,
            more => Some(connected.swap_remove(rand::random_range(0..more))),
        };
        let (replica, sender) = match second {
            Some(second) if second.0.pending() < first.0.pending() => second,
            _ => first,
        };
        Some(Chosen { sender, pending: replica.begin() })
    }

    /// Applies the addresses from DNS: connects to new replicas and stops using the missing ones.
    pub(crate) fn set_replicas(&self, addresses: &[SocketAddr]) {
        let previous = self.replicas.load_full();
        let (current, gone): (Vec<_>, Vec<_>) =
            previous.iter().cloned().partition(|replica| addresses.contains(&replica.address));
        let is_new = |address: &&SocketAddr| current.iter().all(|each| each.address != **address);
        let new = addresses.iter().filter(is_new).map(|address| self.connect(*address));
        let new = new.collect::<Vec<_>>();
        if new.is_empty() && gone.is_empty() {
            return;
        }
        self.publish(current.into_iter().chain(new).collect(), &gone);
    }

    /// Removes replicas that have been unconnected for at least `age`: without DNS their addresses may
    /// belong to other pods by now.
    pub(crate) fn forget_unconnected(&self, age: Duration) {
        let previous = self.replicas.load_full();
        let is_current = |replica: &Arc<Replica>| replica.unconnected().is_none_or(|it| it < age);
        let (current, gone): (Vec<_>, Vec<_>) = previous.iter().cloned().partition(is_current);
        if !gone.is_empty() {
            self.publish(current, &gone);
        }
    }

    fn publish(&self, replicas: Vec<Arc<Replica>>, gone: &[Arc<Replica>]) {
        tracing::info!(service = %self.target, replicas = replicas.len(), "replicas changed");
        self.replicas.store(Arc::new(replicas));
        // A replica may have connected before it was in the list, when waiters could not find it.
        self.changes.notify_waiters();
        gone.iter().for_each(|replica| replica.gone.cancel());
    }

    fn connect(&self, address: SocketAddr) -> Arc<Replica> {
        let replica = Arc::new(Replica::new(address, self.stop.child_token()));
        let connecting =
            Arc::clone(&replica).keep_connected(self.dialer.clone(), self.changes.clone());
        self.tasks.spawn(connecting);
        replica
    }

    /// Records that DNS gave no address.
    pub(crate) fn unresolved(&self, reason: &str) {
        self.changes.set_problem(Some(reason.to_owned()));
    }

    /// Waits until the addresses may be outdated: a connection failed or ended since the last call.
    pub(crate) async fn outdated(&self) {
        self.changes.outdated().await;
    }
}

#[cfg(test)]
mod tests {
    use server_core::ServiceInfo;

    use super::*;

    const INFO: ServiceInfo = server_core::service_info!();

    fn balancer() -> Balancer {
        let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::ZERO);
        let target = "dns:///bigquery-headless.plugins:8000".parse().unwrap();
        Balancer::new(&target, None, &serving, &Metrics::new(INFO))
    }

    #[tokio::test(start_paused = true)]
    async fn replica_is_forgotten_once_it_has_been_unconnected_for_that_long() {
        let (balancer, age) = (balancer(), Duration::from_secs(60));
        let count = || balancer.replicas.load().len();
        balancer.set_replicas(&["127.0.0.1:1".parse().unwrap()]);
        tokio::time::advance(age - Duration::from_millis(1)).await;
        balancer.forget_unconnected(age);
        assert_eq!(count(), 1, "a millisecond is left");
        tokio::time::advance(Duration::from_millis(1)).await;
        balancer.forget_unconnected(age);
        assert_eq!(count(), 0);
    }

    #[tokio::test]
    async fn a_call_without_replicas_learns_why_dns_gave_none() {
        let balancer = balancer();
        balancer.unresolved("no such name");
        let why = balancer.choose(Duration::ZERO).await.err();
        assert_eq!(why.as_deref(), Some("no such name"));
    }

    #[tokio::test]
    async fn waiters_are_notified_when_replicas_change() {
        let balancer = balancer();
        let waiting = balancer.changes.subscribe();
        balancer.set_replicas(&["127.0.0.1:1".parse().unwrap()]);
        assert!(waiting.has_changed().unwrap());
    }
}
