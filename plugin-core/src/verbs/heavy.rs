//! Keeps the work on large requests off the workers, where it would delay other calls.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::available_parallelism,
};

use server_core::{Error, Result};
use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
};
use tracing::Span;

/// Requests from this size are large: a smaller one takes a few milliseconds at most.
pub(super) const LARGE_BYTES: usize = 64 << 10;

/// Runs work on large requests on the blocking pool, as much at once as there are cores.
#[derive(Clone)]
pub(crate) struct Heavy {
    permits: Arc<Semaphore>,
}

impl Default for Heavy {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new(cores)) }
    }
}

impl Heavy {
    /// Runs `work` on a request of `bytes`. What it has begun ends, whether or not its caller stays: what
    /// must be held meanwhile is the work's own.
    ///
    /// # Errors
    /// `Internal` when the runtime is shutting down.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if bytes < LARGE_BYTES {
            return Ok(work());
        }
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(Error::internal)?;
        let span = Span::current();
        let work = move || {
            let _permit = permit;
            span.in_scope(work)
        };
        match spawn_blocking(work).await {
            Ok(result) => Ok(result),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(cancelled) => Err(Error::internal(cancelled)),
            },
        }
    }

    /// Runs `future`, which is about a request of `bytes`: what it does between its waits.
    ///
    /// # Errors
    /// Its own, and `Internal` when the runtime is shutting down.
    pub(super) async fn poll<T: Send + 'static>(
        &self,
        bytes: usize,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if bytes < LARGE_BYTES {
            return future.await;
        }
        let mut future: Pin<Box<dyn Future<Output = Result<T>> + Send>> = Box::pin(future);
        let woken = Arc::new(Woken::default());
        loop {
            let waker = Waker::from(Arc::clone(&woken));
            let step = move || {
                let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
                (poll, future)
            };
            match self.run(bytes, step).await? {
                (Poll::Ready(result), _) => return result,
                (Poll::Pending, pending) => future = pending,
            }
            woken.0.notified().await;
        }
    }
}

/// Remembers that a future was woken while nobody waited for it.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::AssertUnwindSafe, sync::mpsc, thread, time::Duration};

    use futures_util::FutureExt as _;
    use tokio::{
        sync::oneshot,
        time::{sleep, timeout},
    };

    use super::*;

    #[tokio::test]
    async fn large_work_runs_off_the_worker_and_small_work_on_it() {
        let worker = thread::current().id();
        let heavy = Heavy::default();
        let thread_of = |bytes| heavy.run(bytes, || thread::current().id());
        assert_eq!(thread_of(LARGE_BYTES - 1).await.unwrap(), worker);
        assert_ne!(thread_of(LARGE_BYTES).await.unwrap(), worker);
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_about_a_large_request_runs_off_the_worker_and_is_woken() {
        let worker = thread::current().id();
        let work = async move {
            assert_ne!(thread::current().id(), worker);
            sleep(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
            assert_ne!(thread::current().id(), worker);
            Ok(7)
        };
        assert_eq!(Heavy::default().poll(LARGE_BYTES, work).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_whose_caller_left_keeps_its_permit_until_it_ends() {
        let heavy = Heavy::default();
        let all = heavy.permits.available_permits();
        let (started, mut has_started) = oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let work = heavy.run(LARGE_BYTES, move || {
            started.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        tokio::select! {
            biased;
            _ = work => unreachable!("the work has not ended"),
            started = &mut has_started => started.unwrap(),
        }
        assert_eq!(heavy.permits.available_permits(), all - 1);
        drop(end);
        let all = heavy.permits.acquire_many(u32::try_from(all).unwrap());
        drop(timeout(Duration::from_secs(30), all).await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_panic_of_large_work_is_the_callers() {
        let heavy = Heavy::default();
        let work = heavy.run(LARGE_BYTES, || panic!("on purpose"));
        let outcome: Result<Result<()>, _> = AssertUnwindSafe(work).catch_unwind().await;
        assert!(outcome.is_err());
    }
}
