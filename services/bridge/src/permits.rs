//! How many calls the process gets at once.

use plugin_core::{
    Context, Error, Kind, Result,
    upstream::{Calls, Operation},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Of how many calls one is reserved for polls and deletes.
const RESERVED: usize = 4;

/// The permits of calls to the process.
pub(crate) struct Permits {
    /// One for each call that may be under way.
    all: Semaphore,
    /// Creates and sync tasks need one of these as well: fewer, so that they leave some to polls and deletes.
    of_tasks: Semaphore,
    calls: Calls,
}

/// The permission to make a call, until it is dropped.
pub(crate) struct Permitted<'a> {
    _all: SemaphorePermit<'a>,
    _of_tasks: Option<SemaphorePermit<'a>>,
}

impl Permits {
    /// Permits for `most` calls at once.
    pub(crate) fn new(most: usize, calls: Calls) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let of_tasks = (most - most.div_ceil(RESERVED)).max(1);
        Self { all: Semaphore::new(most), of_tasks: Semaphore::new(of_tasks), calls }
    }

    /// The permit of a poll or delete.
    pub(crate) async fn of_job(&self, operation: Operation) -> Result<Permitted<'_>> {
        let _waiting = self.calls.waiting(operation);
        Ok(Permitted { _all: acquire(&self.all).await?, _of_tasks: None })
    }

    /// The permit of a create or a sync task.
    ///
    /// # Errors
    /// `DeadlineExceeded` when every caller has left meanwhile. Each has an error that says that no job is known to
    /// exist, and may have asked another replica, which could not find this one's.
    pub(crate) async fn of_task(
        &self,
        cx: &Context,
        operation: Operation,
    ) -> Result<Permitted<'_>> {
        let _waiting = self.calls.waiting(operation);
        let of_tasks = Some(acquire(&self.of_tasks).await?);
        let permitted = Permitted { _all: acquire(&self.all).await?, _of_tasks: of_tasks };
        if !cx.is_wanted() {
            let message = "every caller left before the task was passed on";
            return Err(Error::new(Kind::DeadlineExceeded, message));
        }
        Ok(permitted)
    }
}

async fn acquire(permits: &Semaphore) -> Result<SemaphorePermit<'_>> {
    permits.acquire().await.map_err(Error::internal)
}
