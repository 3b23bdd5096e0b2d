//! The life of a program that listens, up to a graceful shutdown.

use std::time::Duration;

use axum::Router;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    signal::unix::{self, SignalKind},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Result,
    listen::{Connections, HTTP1_IDLE, Listener, WhenFull, serve},
};

/// How long requests to the admin port may take once everything else has ended.
const ADMIN_GRACE: Duration = Duration::from_secs(1);
const ADMIN_CONNECTIONS: usize = 100;
/// The longest life of a connection to the admin port.
const ADMIN_AGE: Duration = Duration::from_secs(60);

/// How long calls are waited for before the log says so.
const QUIET: Duration = Duration::from_secs(1);

/// A program that listens, and its graceful shutdown.
#[derive(Debug)]
pub struct Serving {
    /// Cancelled once the program is no longer ready for calls.
    pub draining: CancellationToken,
    /// Cancelled once the program accepts no more connections.
    pub stop: CancellationToken,
    /// Connections, and work that outlives calls; shutdown waits for them.
    pub tasks: TaskTracker,
    /// Tasks that run until everything else has ended.
    pub background: TaskTracker,
    /// Cancelled when the background tasks should end.
    pub stop_background: CancellationToken,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Serving {
    /// A program whose calls run on `tasks`. After a signal it accepts connections for another
    /// `drain_delay`; then running calls have `drain_timeout` to finish.
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

    /// Serves `admin` until everything else has ended.
    pub fn serve_admin(&self, listener: Listener, admin: Router) {
        let connections = Connections {
            max: ADMIN_CONNECTIONS,
            when_full: WhenFull::CloseOldest,
            age: Some(ADMIN_AGE),
            grace: ADMIN_GRACE,
            http1_idle: HTTP1_IDLE,
            tls: None,
            accepted: Counter::default(),
            open: Gauge::default(),
            stop: self.stop_background.clone(),
            tasks: self.background.clone(),
        };
        self.background.spawn(serve(listener, admin, connections));
    }

    /// Waits for a signal and shuts down: after the drain delay for SIGTERM, so that load balancers
    /// notice; without it for SIGINT, which comes from a terminal. A second signal ends the program at
    /// once.
    pub async fn until_stopped(self, signals: &mut Signals) {
        let at_once = match signals.next().await {
            Signal::Terminate => false,
            Signal::Interrupt => true,
        };
        tokio::select! {
            () = self.shut_down(at_once) => {}
            _ = signals.next() => tracing::warn!("received a second signal: stopped at once"),
        }
    }

    /// Shuts down without failing a call: reports not ready, waits for the drain delay unless `at_once`,
    /// closes the listener, sends GOAWAY, waits for running calls and drops those that exceed the drain
    /// timeout.
    pub async fn shut_down(self, at_once: bool) {
        self.draining.cancel();
        if at_once || self.drain_delay.is_zero() {
            tracing::info!("no longer ready");
        } else {
            tracing::info!(drain_delay = ?self.drain_delay, "no longer ready");
            tokio::time::sleep(self.drain_delay).await;
        }
        self.stop.cancel();
        self.tasks.close();
        tracing::info!(calls_and_connections = self.tasks.len(), "draining");
        self.drain().await;
        self.stop_background.cancel();
        self.background.close();
        let _ = timeout(ADMIN_GRACE, self.background.wait()).await;
    }
}

impl Serving {
    /// Waits for calls and connections, and says so when that takes a while.
    async fn drain(&self) {
        let quiet = QUIET.min(self.drain_timeout);
        if timeout(quiet, self.tasks.wait()).await.is_ok() {
            return;
        }
        let left = self.drain_timeout - quiet;
        if !left.is_zero() {
            let (count, at_most) = (self.tasks.len(), left);
            tracing::info!(
                "calls and connections left: {count}; they have {at_most:?} at most, and a second signal, as by Ctrl-C, \
                 ends them at once"
            );
        }
        if timeout(left, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some calls did not finish in time");
        }
    }
}

/// A signal that asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, sent by Kubernetes.
    Terminate,
    /// SIGINT, sent from a terminal.
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
    /// Registers handlers for the signals, whose default action would end the process. Call it first, so
    /// that a signal during start-up is not lost.
    ///
    /// # Errors
    /// `Internal` if a handler cannot be registered.
    pub fn new() -> Result<Self> {
        let listen = |kind| unix::signal(kind).map_err(Error::internal);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal; one that came earlier is returned at once.
    pub async fn next(&mut self) -> Signal {
        let signal = tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        };
        tracing::info!(signal = signal.name(), "received a signal to stop");
        signal
    }
}

#[cfg(test)]
mod tests;
