//! The parts that all fakes share: a server that stops with the fake, and a gate to hold back responses.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// A server that stops when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `router` at `listen`.
    #[expect(clippy::disallowed_methods, reason = "it ends with the fake")]
    pub(super) async fn start(listen: SocketAddr, router: Router) -> Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// `http://127.0.0.1:port`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until the process ends.
    pub(super) async fn serve(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const OPEN: usize = 1 << 20;

/// Holds back responses while it is shut.
pub(super) struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(OPEN))
    }
}

impl Gate {
    pub(super) fn shut(&self) {
        self.0.forget_permits(OPEN);
    }

    pub(super) fn open(&self) {
        self.0.add_permits(OPEN);
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        drop(self.0.acquire().await);
    }
}
