//! Limits the number of concurrent calls. No call waits here for longer than its caller has time for, and
//! those that wait are limited, too: each holds some 20 KiB.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use server_core::{Error, Result};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{metrics::Metrics, route::Route};
use crate::{
    context::{Caller, Deadline, Role, Verb},
    verbs::{Kept, Permit},
};

/// The share of the permits that only Flyte's own calls may take: one in so many.
pub(super) const RESERVED: usize = 4;
/// How many calls wait for a permit: as many as one in so many permits.
const WAITING: usize = 2;
/// How many probes and documents are answered at once. They need no token, so that anyone may ask for them.
const PROBES: usize = 200;
/// How long a poll waits for a permit before it is answered from memory, which needs none.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How long a delete waits for a permit. Propeller counts failed ones against the task, but gives up after
/// ten seconds.
const DELETE_WAIT: Duration = Duration::from_secs(4);

/// The limit on concurrent calls.
pub(super) struct ConcurrencyLimit {
    permits: Shares,
    /// Calls that may wait for a permit hold one of these meanwhile.
    places: Shares,
    probes: Semaphore,
    metrics: Arc<Metrics>,
}

/// How a call is served.
enum Admission {
    With(Permit),
    FromMemory,
}

/// What a request may do, until this is dropped.
pub(super) enum Entry<'a> {
    /// Be answered as a probe.
    Probe { _permit: SemaphorePermit<'a> },
    /// Be served.
    Call(Permit),
    /// Be answered from memory, as a poll.
    FromMemory,
    /// Stay open; its stream has a limit of its own.
    Stream,
}

impl Entry<'_> {
    /// The permit of a call, together with what it holds of memory, and whether memory answers it.
    pub(super) fn with(&self, kept: Option<Kept>) -> (Option<Permit>, bool) {
        match self {
            Self::Call(permit) => (Some(permit.clone().with(kept)), false),
            Self::FromMemory => (None, true),
            Self::Probe { .. } | Self::Stream => (None, false),
        }
    }
}

impl ConcurrencyLimit {
    pub(super) fn new(max_requests: usize, metrics: Arc<Metrics>) -> Self {
        let all = max_requests.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Shares::of(all),
            places: Shares::of((all / WAITING).max(1)),
            probes: Semaphore::new(PROBES),
            metrics,
        }
    }

    /// Lets a request in. Its permit is held until the call and the work it started have ended.
    ///
    /// # Errors
    /// `Unavailable` when too many others are in progress.
    pub(super) async fn enter(
        &self,
        route: &Route,
        caller: Option<&Caller>,
        deadline: Deadline,
    ) -> Result<Entry<'_>> {
        match (route.verb, caller) {
            (Some(verb), Some(caller)) => match self.admit(verb, caller.role(), deadline).await? {
                Admission::With(permit) => Ok(Entry::Call(permit)),
                Admission::FromMemory => Ok(Entry::FromMemory),
            },
            _ if route.is_endless() => Ok(Entry::Stream),
            // They need no permit: a service that is busy with calls is still healthy.
            _ => match self.probes.try_acquire() {
                Ok(permit) => Ok(Entry::Probe { _permit: permit }),
                Err(_) => Err(self.shed()),
            },
        }
    }

    /// Admits a call. Beyond the limit polls are answered from memory and deletes wait for a moment, because
    /// propeller counts their failures against the task; others are refused at once, and are retried.
    async fn admit(&self, verb: Verb, role: Role, deadline: Deadline) -> Result<Admission> {
        let longest = match verb {
            Verb::Get => POLL_WAIT.min(deadline.remaining() / 4),
            Verb::Delete => DELETE_WAIT.min(deadline.remaining() / 2),
            Verb::Create | Verb::Execute | Verb::List => Duration::ZERO,
        };
        let place = if longest.is_zero() { None } else { self.places.take(role).now_or_never() };
        let time = if place.is_some() { longest } else { Duration::ZERO };
        match timeout(time, self.permits.take(role)).await {
            Ok(permit) => Ok(Admission::With(permit?)),
            Err(_) if verb == Verb::Get => Ok(Admission::FromMemory),
            Err(_) => Err(self.shed()),
        }
    }

    fn shed(&self) -> Error {
        self.metrics.shed.inc();
        overloaded()
    }
}

/// Permits for everyone.
struct Shares {
    all: Arc<Semaphore>,
    /// Users' calls need one of these as well: fewer, so that they leave some of `all` to Flyte.
    users: Arc<Semaphore>,
}

impl Shares {
    fn of(all: usize) -> Self {
        let users = Semaphore::new(all - all / RESERVED);
        Self { all: Arc::new(Semaphore::new(all)), users: Arc::new(users) }
    }

    async fn take(&self, role: Role) -> Result<Permit> {
        let of_users = match role {
            Role::User | Role::Admin => Some(acquire(&self.users).await?),
            Role::Propeller | Role::Anonymous => None,
        };
        Ok(Permit::new(acquire(&self.all).await?, of_users))
    }
}

async fn acquire(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    Arc::clone(permits).acquire_owned().await.map_err(Error::internal)
}

/// The error for a call that is not served because of others.
pub(super) fn overloaded() -> Error {
    let overloaded = Error::unavailable("the service is overloaded; retry later");
    overloaded.with_retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use prometheus_client::{metrics::counter::Counter, registry::Registry};
    use tokio::time::Instant;

    use super::*;

    fn limit_of(max_requests: usize) -> ConcurrencyLimit {
        let metrics = Metrics::register(&mut Registry::default(), false, Counter::default());
        ConcurrencyLimit::new(max_requests, Arc::new(metrics))
    }

    async fn admit(limit: &ConcurrencyLimit, verb: Verb, role: Role) -> Result<Admission> {
        limit.admit(verb, role, Deadline::after(Duration::from_secs(10))).await
    }

    async fn is_admitted(limit: &ConcurrencyLimit, verb: Verb, role: Role) -> Option<Permit> {
        match admit(limit, verb, role).await {
            Ok(Admission::With(permit)) => Some(permit),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_permits_are_flytes() {
        let limit = limit_of(8);
        let mut held = Vec::new();
        while let Some(permit) = is_admitted(&limit, Verb::Create, Role::User).await {
            held.push(permit);
        }
        assert_eq!(held.len(), 6);
        assert!(is_admitted(&limit, Verb::Create, Role::Admin).await.is_none());
        while let Some(permit) = is_admitted(&limit, Verb::Create, Role::Propeller).await {
            held.push(permit);
        }
        assert_eq!(held.len(), 8);
        drop(held);
        assert!(is_admitted(&limit, Verb::Create, Role::User).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_users_do_not_come_before_flyte() {
        let limit = limit_of(8);
        let mut held = Vec::new();
        while let Some(permit) = is_admitted(&limit, Verb::Create, Role::User).await {
            held.push(permit);
        }
        let user = is_admitted(&limit, Verb::Delete, Role::User);
        let flyte = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            is_admitted(&limit, Verb::Delete, Role::Propeller).await
        };
        let (user, flyte) = tokio::join!(user, flyte);
        assert!(user.is_none() && flyte.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_those_that_wait_are_answered_at_once() {
        let limit = limit_of(4);
        let mut held = Vec::new();
        while let Some(permit) = is_admitted(&limit, Verb::Create, Role::Propeller).await {
            held.push(permit);
        }
        let started = Instant::now();
        let waiting = async {
            let delete = is_admitted(&limit, Verb::Delete, Role::Propeller);
            tokio::join!(is_admitted(&limit, Verb::Get, Role::Propeller), delete)
        };
        let others = async {
            tokio::task::yield_now().await;
            let poll = admit(&limit, Verb::Get, Role::Propeller).await;
            assert!(matches!(poll, Ok(Admission::FromMemory)));
            assert!(admit(&limit, Verb::Delete, Role::Propeller).await.is_err());
            assert_eq!(started.elapsed(), Duration::ZERO);
            drop(held);
        };
        let ((poll, delete), ()) = tokio::join!(waiting, others);
        assert!(poll.is_some() && delete.is_some(), "they have a place to wait");
        assert!(
            is_admitted(&limit, Verb::Get, Role::User).await.is_some(),
            "places are given back"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn users_leave_places_to_wait_to_flyte() {
        let limit = limit_of(16);
        let mut held = Vec::new();
        while let Some(permit) = is_admitted(&limit, Verb::Create, Role::Propeller).await {
            held.push(permit);
        }
        let users = (0..8).map(|_| is_admitted(&limit, Verb::Delete, Role::User));
        let users = futures_util::future::join_all(users);
        let flyte = async {
            tokio::task::yield_now().await;
            let delete = is_admitted(&limit, Verb::Delete, Role::Propeller);
            let freed = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(held);
            };
            tokio::join!(delete, freed).0
        };
        let (users, flyte) = tokio::join!(users, flyte);
        assert!(flyte.is_some(), "it waits");
        assert_eq!(users.iter().flatten().count(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn polls_beyond_the_limit_are_answered_from_memory_and_others_refused() {
        let limit = limit_of(1);
        let held = is_admitted(&limit, Verb::Create, Role::Propeller).await.unwrap();
        let started = Instant::now();
        let poll = admit(&limit, Verb::Get, Role::Propeller).await;
        assert!(matches!(poll, Ok(Admission::FromMemory)));
        assert!(started.elapsed() <= POLL_WAIT + Duration::from_millis(10));
        for verb in [Verb::Create, Verb::Execute, Verb::List, Verb::Delete] {
            let started = Instant::now();
            let refused = admit(&limit, verb, Role::Propeller).await.map(drop).unwrap_err();
            assert_eq!(refused.kind(), server_core::Kind::Unavailable, "{verb:?}");
            let most = if verb == Verb::Delete { DELETE_WAIT } else { Duration::ZERO };
            assert!(started.elapsed() <= most + Duration::from_millis(10), "{verb:?}");
        }
        assert_eq!(limit.metrics.shed.get(), 4);
        let released = async {
            tokio::time::sleep(POLL_WAIT / 2).await;
            drop(held);
        };
        let polled = tokio::join!(is_admitted(&limit, Verb::Get, Role::Propeller), released).0;
        assert!(polled.is_some(), "it waits for a moment");
    }
}
