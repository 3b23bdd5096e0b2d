//! A program that listens, from its first connection to its last.

use std::time::Duration;

use axum::Router;
use prometheus_client::metrics::counter::Counter;
use tokio::signal::unix::{self, SignalKind};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Result,
    listen::{Connections, Listener, serve},
};

/// How long what the admin port is answering may take once all else has ended.
const ADMIN_GRACE: Duration = Duration::from_secs(1);
const ADMIN_CONNECTIONS: usize = 100;
/// How long one of them lives: those that nobody ends would take them all.
const ADMIN_AGE: Duration = Duration::from_secs(60);

/// A program that listens, and what it takes to stop it without failing a call.
#[derive(Debug)]
pub struct Serving {
    /// Cancelled once the program should be sent no more calls.
    pub draining: CancellationToken,
    /// Cancelled once it takes no more connections.
    pub stop: CancellationToken,
    /// Connections, and what outlives calls: what a stop waits for.
    pub tasks: TaskTracker,
    /// What goes on until all else has ended.
    pub background: TaskTracker,
    /// Cancelled when that is to end.
    pub stop_background: CancellationToken,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Serving {
    /// A program whose calls run on `tasks`. When told to stop it goes on accepting connections for
    /// `drain_delay`; then what runs has `drain_timeout` to finish.
    #[must_use]
    pub fn new(tasks: TaskTracker, drain_delay: Duration, drain_timeout: Duration) -> Self {
        Self {
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            tasks,
            background: TaskTracker::new(),
            stop_background: CancellationToken::new(),
            drain_delay,
            drain_timeout,
        }
    }

    /// Serves `admin`, until everything else has ended.
    pub fn serve_admin(&self, listener: Listener, admin: Router) {
        let connections = Connections {
            max: ADMIN_CONNECTIONS,
            age: Some(ADMIN_AGE),
            grace: ADMIN_GRACE,
            tls: None,
            accepted: Counter::default(),
            stop: self.stop_background.clone(),
            tasks: self.background.clone(),
        };
        self.background.spawn(serve(listener, admin, connections));
    }

    /// Waits for a signal, and stops: SIGTERM lets load balancers notice, SIGINT comes from somebody
    /// at a terminal, a second signal is at once.
    pub async fn until_stopped(self, signals: &mut Signals) {
        let at_once = match signals.next().await {
            Signal::Terminate => false,
            Signal::Interrupt => true,
        };
        tokio::select! {
            () = self.shut_down(at_once) => {}
            _ = signals.next() => tracing::warn!("a second signal: stopped at once"),
        }
    }

    /// Stops without failing a call: not ready, a while to be noticed, no more connections, GOAWAY,
    /// what runs may finish, the rest is dropped. `at_once` leaves out the while.
    pub async fn shut_down(self, at_once: bool) {
        self.draining.cancel();
        let delay = if at_once { Duration::ZERO } else { self.drain_delay };
        tracing::info!(?delay, "not ready any more");
        tokio::time::sleep(delay).await;
        self.stop.cancel();
        self.tasks.close();
        tracing::info!(calls_and_connections = self.tasks.len(), "draining");
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some calls did not finish in time");
        }
        self.stop_background.cancel();
        self.background.close();
        let _ = tokio::time::timeout(ADMIN_GRACE, self.background.wait()).await;
    }
}

/// What asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: Kubernetes.
    Terminate,
    /// SIGINT: somebody at a terminal.
    Interrupt,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

/// The signals that ask this process to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process. Do this first: one that
    /// comes during start-up is then not lost.
    ///
    /// # Errors
    /// `Internal` if the system does not let it.
    pub fn new() -> Result<Self> {
        let of = |kind| unix::signal(kind).map_err(Error::internal);
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    /// The next one, and those that came before anybody asked.
    pub async fn next(&mut self) -> Signal {
        let signal = tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        };
        tracing::info!(signal = signal.name(), "asked to stop");
        signal
    }
}

#[cfg(test)]
mod tests;
