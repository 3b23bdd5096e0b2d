//! Which replica a call goes to.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use server_core::{serving::Serving, tls::Authorities};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    args::Target,
    dial::{Dialer, Sender},
    metrics::{Metrics, TargetMetrics},
    replica::{Pending, Replica},
    resolve,
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

/// What happens to connections, told to those who wait for one.
#[derive(Clone)]
pub(crate) struct Changes {
    happened: watch::Sender<()>,
    /// Tells who asks DNS that its last answer may be out of date.
    doubted: Arc<Notify>,
    /// Why the last attempt to reach a replica failed.
    problem: Arc<Mutex<Option<String>>>,
    metrics: TargetMetrics,
}

/// A replica for one call.
pub(crate) struct Chosen {
    pub(crate) sender: Sender,
    pub(crate) pending: Pending,
}

impl Balancer {
    /// Looks for replicas, and connects to them, until the program ends.
    pub(crate) fn start(
        target: &Target,
        tls: Option<Arc<Authorities>>,
        serving: &Serving,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let balancer = Arc::new(Self::new(target, tls, serving, metrics));
        let looking = resolve::keep_resolved(Arc::clone(&balancer), balancer.stop.clone());
        serving.background.spawn(looking);
        balancer
    }

    /// One that knows of no replica.
    pub(crate) fn new(
        target: &Target,
        tls: Option<Arc<Authorities>>,
        serving: &Serving,
        metrics: &Metrics,
    ) -> Self {
        let metrics = metrics.of(target.to_string());
        let changes = Changes {
            happened: watch::Sender::new(()),
            doubted: Arc::default(),
            problem: Arc::default(),
            metrics: metrics.clone(),
        };
        Self {
            target: target.clone(),
            metrics,
            replicas: ArcSwap::default(),
            changes,
            dialer: Dialer::new(target, tls),
            tasks: serving.background.clone(),
            stop: serving.stop_background.clone(),
        }
    }

    /// A replica that is connected; waits for one, but no longer than `wait`.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) async fn choose(&self, wait: Duration) -> Result<Chosen, String> {
        let mut changed = self.changes.happened.subscribe();
        let waiting = async {
            loop {
                changed.borrow_and_update();
                if let Some(chosen) = self.choose_now() {
                    return chosen;
                }
                // Its sender is ours: it lives as long as we do.
                let _ = changed.changed().await;
            }
        };
        timeout(wait, waiting).await.map_err(|_| self.changes.why())
    }

    /// The less busy of two that chance names: as even as looking at all, without everyone going for
    /// the same one.
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

    /// Takes what DNS says: new replicas are connected to, others get no more calls.
    pub(crate) fn set_replicas(&self, addresses: &[SocketAddr]) {
        let former = self.replicas.load_full();
        let (kept, gone): (Vec<_>, Vec<_>) =
            former.iter().cloned().partition(|replica| addresses.contains(&replica.address));
        let is_new = |address: &&SocketAddr| kept.iter().all(|each| each.address != **address);
        let new = addresses.iter().filter(is_new).map(|address| self.connect(*address));
        let new = new.collect::<Vec<_>>();
        if new.is_empty() && gone.is_empty() {
            return;
        }
        self.publish(kept.into_iter().chain(new).collect(), &gone);
    }

    /// Forgets replicas that have had no connection for so `long`: nobody tells any more whose their
    /// addresses are.
    pub(crate) fn forget_unconnected(&self, long: Duration) {
        let former = self.replicas.load_full();
        let is_kept = |replica: &Arc<Replica>| replica.unconnected().is_none_or(|time| time < long);
        let (kept, gone): (Vec<_>, Vec<_>) = former.iter().cloned().partition(is_kept);
        if !gone.is_empty() {
            self.publish(kept, &gone);
        }
    }

    fn publish(&self, replicas: Vec<Arc<Replica>>, gone: &[Arc<Replica>]) {
        tracing::info!(service = %self.target, replicas = replicas.len(), "replicas changed");
        self.replicas.store(Arc::new(replicas));
        // One that connected before it was in the list told nobody who could find it.
        self.changes.happened.send_replace(());
        gone.iter().for_each(|replica| replica.gone.cancel());
    }

    fn connect(&self, address: SocketAddr) -> Arc<Replica> {
        let replica = Arc::new(Replica::new(address, self.stop.child_token()));
        let connecting =
            Arc::clone(&replica).keep_connected(self.dialer.clone(), self.changes.clone());
        self.tasks.spawn(connecting);
        replica
    }

    /// DNS could not be asked, or knows of no replica.
    pub(crate) fn unresolved(&self, why: &str) {
        self.changes.set_problem(Some(why.to_owned()));
    }

    /// Waits until DNS may know better: a connection failed or ended since the last time.
    pub(crate) async fn doubted(&self) {
        self.changes.doubted.notified().await;
    }
}

impl Changes {
    pub(crate) fn connected(&self) {
        self.metrics.replicas.inc();
        self.set_problem(None);
        self.happened.send_replace(());
    }

    pub(crate) fn disconnected(&self) {
        self.metrics.replicas.dec();
        self.happened.send_replace(());
        self.doubted.notify_one();
    }

    pub(crate) fn failed(&self, why: &dyn fmt::Display) {
        self.set_problem(Some(why.to_string()));
        self.doubted.notify_one();
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    fn why(&self) -> String {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone().unwrap_or_else(|| "its connections ended".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use server_core::ServiceInfo;

    use super::*;

    const INFO: ServiceInfo = server_core::service_info!();

    #[tokio::test]
    async fn who_waits_looks_again_once_a_replica_is_in_the_list() {
        let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::ZERO);
        let target = "dns:///bigquery-headless.plugins:8000".parse().unwrap();
        let balancer = Balancer::new(&target, None, &serving, &Metrics::new(INFO));
        let waiting = balancer.changes.happened.subscribe();
        balancer.set_replicas(&["127.0.0.1:1".parse().unwrap()]);
        assert!(waiting.has_changed().unwrap());
    }
}
