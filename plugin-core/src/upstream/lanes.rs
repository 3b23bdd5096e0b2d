//! What is kept apart, so that one tenant's trouble is no other's: a pace for each unit that the vendor's
//! quota counts, a retry budget and a breaker for each identity.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::digest::{Fingerprint, KeyedHash};
use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::{breaker::Breaker, pace::Pace};

/// How many units and identities are remembered, and how long without a call.
const MOST: u64 = 10_000;
const IDLE: Duration = Duration::from_secs(900);
/// For how long the lane that was asked for last is not looked up again: well below [`IDLE`], which a lane in use must not
/// reach.
const RECENT: Duration = Duration::from_secs(10);

/// Retries that are always allowed, for services with few calls.
const RETRIES_PER_SECOND: u32 = 1;
/// Retries beyond that, as a share of the calls.
const RETRIES_PER_CALL: f32 = 0.1;
/// For how long calls that were not repeated allow others to be.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// What calls are for. An endpoint that issues tokens is no part of the API for which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Api,
    Token,
}

/// What an attempt shares with others of its quota and identity.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) pace: Arc<Pace>,
    /// The pace of submits, for those: a vendor whose queue is full still answers other calls.
    pub(super) submits: Option<Arc<Pace>>,
    guard: Arc<Guard>,
}

struct Guard {
    retries: TpsBudget,
    breaker: Breaker,
    purpose: Purpose,
}

pub(super) struct Lanes {
    hash: KeyedHash,
    /// The lane that was asked for last: most services have one identity and one quota.
    recent: ArcSwapOption<Recent>,
    paces: Cache<u128, Arc<Pace>>,
    guards: Cache<u128, Arc<Guard>>,
}

/// A lane, and whose it is.
struct Recent {
    purpose: Purpose,
    quota: Box<str>,
    identity: Option<Fingerprint>,
    lane: Lane,
    until: Instant,
}

impl Lanes {
    pub(super) fn new() -> Self {
        let recent = ArcSwapOption::empty();
        Self { hash: KeyedHash::default(), recent, paces: cache(), guards: cache() }
    }

    /// The lane of a call that counts against `quota` and is made as `identity`, which is `None` for the
    /// service's own.
    pub(super) fn of(&self, purpose: Purpose, quota: &str, identity: Option<Fingerprint>) -> Lane {
        let now = Instant::now();
        if let Some(recent) = &*self.recent.load()
            && (recent.purpose, &*recent.quota, recent.identity) == (purpose, quota, identity)
            && now < recent.until
        {
            return recent.lane.clone();
        }
        let lane = self.look_up(purpose, quota, identity);
        let (quota, until) = (quota.into(), now + RECENT);
        let recent = Recent { purpose, quota, identity, lane: lane.clone(), until };
        self.recent.store(Some(Arc::new(recent)));
        lane
    }

    fn look_up(&self, purpose: Purpose, quota: &str, identity: Option<Fingerprint>) -> Lane {
        let guard = self.hash.of(&(purpose, identity));
        let pace = self.hash.of(&(guard, quota));
        Lane {
            pace: self.paces.get_with(pace, Arc::default),
            submits: None,
            guard: self.guards.get_with(guard, || Arc::new(Guard::new(purpose))),
        }
    }

    /// `lane` for a call that submits a job to `queue`.
    pub(super) fn with_queue(
        &self,
        lane: Lane,
        queue: &str,
        quota: &str,
        identity: Option<Fingerprint>,
    ) -> Lane {
        let submits = self.hash.of(&("submits", queue, quota, identity));
        Lane { submits: Some(self.paces.get_with(submits, Arc::default)), ..lane }
    }
}

fn cache<T: Clone + Send + Sync + 'static>() -> Cache<u128, T> {
    let cache = Cache::builder().max_capacity(MOST).time_to_idle(IDLE);
    cache.eviction_policy(EvictionPolicy::lru()).build()
}

impl Guard {
    fn new(purpose: Purpose) -> Self {
        let retries = TpsBudget::new(BUDGET_WINDOW, RETRIES_PER_SECOND, RETRIES_PER_CALL);
        Self { retries, breaker: Breaker::default(), purpose }
    }
}

impl Lane {
    /// Counts a call, which allows a share of a retry.
    pub(super) fn count_call(&self) {
        self.guard.retries.deposit();
    }

    /// Whether another attempt is within the budget; it is then taken from it.
    pub(super) fn allows_retry(&self) -> bool {
        self.guard.retries.withdraw()
    }

    /// The breaker. Token requests have none: there is one at a time as it is.
    pub(super) fn breaker(&self) -> Option<&Breaker> {
        (self.guard.purpose == Purpose::Api).then_some(&self.guard.breaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repeats_are_a_small_share_of_many_calls() {
        let lane = Lanes::new().of(Purpose::Api, "", None);
        let (mut calls, mut retries) = (0, 0);
        for _ in 0..20 * 60 {
            lane.count_call();
            calls += 1;
            retries += (0..4).filter(|_| lane.allows_retry()).count();
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert!(retries * 5 <= calls, "{retries} retries of {calls} calls");
        assert!(retries * 8 >= calls, "{retries} retries of {calls} calls");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_of_one_identity_share_a_breaker_and_token_requests_have_none() {
        let lanes = Lanes::new();
        let lane = |quota, identity| lanes.of(Purpose::Api, quota, identity);
        for _ in 0..10 {
            lane("a", None).breaker().unwrap().pass().unwrap().failed();
        }
        assert!(lane("b", None).breaker().unwrap().pass().is_err());
        assert!(lane("a", Some(Fingerprint::of(&["x"]))).breaker().unwrap().pass().is_ok());
        assert!(lanes.of(Purpose::Token, "a", None).breaker().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_calls_may_be_repeated_in_full() {
        let lane = Lanes::new().of(Purpose::Api, "", None);
        for _ in 0..10 {
            lane.count_call();
            assert_eq!((0..4).filter(|_| lane.allows_retry()).count(), 4);
            tokio::time::advance(Duration::from_secs(30)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn identities_share_no_budget() {
        let lanes = Lanes::new();
        let own = lanes.of(Purpose::Api, "a", None);
        while own.allows_retry() {}
        assert!(!lanes.of(Purpose::Api, "b", None).allows_retry(), "of the same identity");
        assert!(lanes.of(Purpose::Api, "a", Some(Fingerprint::of(&["x"]))).allows_retry());
        assert!(lanes.of(Purpose::Token, "a", None).allows_retry());
    }
}
