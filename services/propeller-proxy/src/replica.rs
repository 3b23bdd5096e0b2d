//! One replica of a plugin and the connection to it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    changes::Changes,
    dial::{Connection, Dialer, NoConnection, Sender},
};

/// After a connection that lasted longer than this, reconnecting does not pause.
const STABLE: Duration = Duration::from_secs(1);
/// How long after connecting a replica is greeted: our services give ten seconds for a first request.
const GREET_AFTER: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a connection that was established but ended soon.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One replica of a plugin.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    sender: ArcSwapOption<Sender>,
    /// When its last connection ended, or when it was discovered; `None` while connected.
    unconnected_since: Mutex<Option<Instant>>,
    /// The number of calls in flight.
    pending: AtomicUsize,
    /// Cancelled when the replica is removed or the proxy stops.
    pub(crate) gone: CancellationToken,
}

/// Counts a call as in flight until it is dropped.
pub(crate) struct Pending(Arc<Replica>);

impl Replica {
    pub(crate) fn new(address: SocketAddr, gone: CancellationToken) -> Self {
        Self {
            address,
            sender: ArcSwapOption::empty(),
            unconnected_since: Mutex::new(Some(Instant::now())),
            pending: AtomicUsize::new(0),
            gone,
        }
    }

    /// The sender, if the replica is connected.
    pub(crate) fn sender(&self) -> Option<Sender> {
        let sender = self.sender.load();
        sender.as_deref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// How long it has been unconnected; `None` while connected.
    pub(crate) fn unconnected(&self) -> Option<Duration> {
        let since = *self.unconnected_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending(Arc::clone(self))
    }

    /// Connects, and reconnects whenever the connection ends, until the replica is gone.
    pub(crate) async fn keep_connected(self: Arc<Self>, dialer: Dialer, changes: Changes) {
        let mut pause = FIRST_PAUSE;
        while !self.gone.is_cancelled() {
            match self.connect(&dialer, &changes).await {
                Ok(lived) if lived > STABLE => {
                    pause = FIRST_PAUSE;
                    continue;
                }
                Ok(_) => pause = pause.min(SHORT_PAUSE),
                Err(error) => {
                    tracing::debug!(replica = %self.address, %error, "no connection");
                    changes.failed(&error);
                }
            }
            // Jitter, so that proxies do not reconnect at the same time.
            let jittered = pause.mul_f64(rand::random_range(0.5..1.0));
            self.gone.run_until_cancelled(sleep(jittered)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Connects and runs the connection to its end; returns how long it lasted.
    async fn connect(&self, dialer: &Dialer, changes: &Changes) -> Result<Duration, NoConnection> {
        let dialed = self.gone.run_until_cancelled(dialer.dial(self.address)).await;
        let Some((sender, connection)) = dialed.transpose()? else {
            return Ok(Duration::ZERO);
        };
        let began = Instant::now();
        self.set_sender(Some(sender.clone()));
        changes.connected();
        tracing::info!(replica = %self.address, "connected");
        let greeting = async {
            sleep(GREET_AFTER).await;
            dialer.greet(sender).await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = self.run(connection) => ended,
            never = greeting => never,
        };
        self.set_sender(None);
        changes.disconnected();
        ended.map(|()| began.elapsed())
    }

    /// Runs the connection to its end. An unresponsive replica is an error, so that it is not reconnected
    /// immediately.
    async fn run(&self, connection: Connection) -> Result<(), NoConnection> {
        const SILENT: &str = "the replica does not answer pings";
        let why = match self.gone.run_until_cancelled(connection).await {
            Some(Ok(())) => "the replica closed it".to_owned(),
            Some(Err(error)) if error.is_timeout() => SILENT.to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "the replica was removed, or the proxy is stopping".to_owned(),
        };
        tracing::info!(replica = %self.address, why, "connection ended");
        if why == SILENT { Err(NoConnection(why)) } else { Ok(()) }
    }

    pub(crate) fn set_sender(&self, sender: Option<Sender>) {
        let since = sender.is_none().then(Instant::now);
        self.sender.store(sender.map(Arc::new));
        *self.unconnected_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}
