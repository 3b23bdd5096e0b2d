use jiff::SignedDuration;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::time::advance;

use super::*;
use crate::testing::context;

const GRACE: Duration = Duration::from_secs(600);
const INTERVAL: Duration = Duration::from_secs(60);

fn with_room_for(most: usize) -> RefusedJobs {
    let metrics = Metrics::register(&mut Registry::default(), Counter::default());
    RefusedJobs::new(GRACE, most, Arc::new(metrics))
}

fn cx() -> Context {
    context(Duration::from_secs(10))
}

/// A job of yesterday.
fn job() -> RefusedJob {
    let created_at = Timestamp::now() - SignedDuration::from_hours(24);
    RefusedJob { job: Fingerprint::from_bytes(rand::random()), created_at }
}

#[tokio::test(start_paused = true)]
async fn refused_time_adds_up_until_the_grace_is_over() {
    let (refused, job) = (with_room_for(10), job());
    for _ in 0..GRACE.as_secs() / INTERVAL.as_secs() {
        assert!(!refused.refused(&job, &cx()));
        advance(INTERVAL).await;
    }
    assert!(refused.refused(&job, &cx()));
    assert!(refused.refused(&job, &cx()), "a later poll has the same answer");
}

#[tokio::test(start_paused = true)]
async fn an_outage_neither_counts_nor_resets() {
    for room in [10, 0] {
        expect_no_count_in_outages(&with_room_for(room)).await;
    }
}

async fn expect_no_count_in_outages(refused: &RefusedJobs) {
    let job = job();
    assert!(!refused.refused(&job, &cx()));
    advance(GRACE / 2).await;
    assert!(!refused.refused(&job, &cx()));
    for _ in 0..100 {
        advance(GRACE / 4).await;
        refused.interrupted(job.job, &cx());
    }
    assert!(!refused.refused(&job, &cx()), "the outage is not counted");
    advance(GRACE / 2).await;
    assert!(refused.refused(&job, &cx()), "what was before it is");
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_was_never_refused_ends_nothing() {
    let (refused, job) = (with_room_for(10), job());
    for _ in 0..100 {
        refused.interrupted(job.job, &cx());
        advance(GRACE).await;
    }
    assert!(!refused.refused(&job, &cx()));
}

#[tokio::test(start_paused = true)]
async fn a_successful_look_at_the_job_resets_it() {
    let (refused, job) = (with_room_for(10), job());
    assert!(!refused.refused(&job, &cx()));
    advance(GRACE - INTERVAL).await;
    assert!(!refused.refused(&job, &cx()));
    refused.answered(job.job, &cx());
    assert!(!refused.refused(&job, &cx()));
    advance(GRACE - INTERVAL).await;
    assert!(!refused.refused(&job, &cx()));
    advance(INTERVAL).await;
    assert!(refused.refused(&job, &cx()));
}

#[tokio::test(start_paused = true)]
async fn a_gap_between_polls_counts_for_an_hour_at_most() {
    let metrics = Metrics::register(&mut Registry::default(), Counter::default());
    let refused = RefusedJobs::new(LONGEST_STEP * 2, 10, Arc::new(metrics));
    let job = job();
    assert!(!refused.refused(&job, &cx()));
    advance(LONGEST_STEP * 10).await;
    assert!(!refused.refused(&job, &cx()));
    advance(LONGEST_STEP * 10).await;
    assert!(refused.refused(&job, &cx()));
}

/// Polls `jobs` one after the other, of which one poll in a hundred meets an outage, until the grace is over
/// and a little more. Returns how many have ended.
async fn poll_round_robin(refused: &RefusedJobs, jobs: &[RefusedJob]) -> usize {
    let cx = cx();
    let rounds = GRACE.as_secs() / INTERVAL.as_secs() * 11 / 10;
    let mut ended = 0;
    for round in 0..=rounds {
        ended = 0;
        for (number, job) in (0..).zip(jobs) {
            // Another one in each round.
            if (number + round).is_multiple_of(100) && round < rounds {
                refused.interrupted(job.job, &cx);
            } else {
                ended += usize::from(refused.refused(job, &cx));
            }
        }
        advance(INTERVAL).await;
    }
    ended
}

#[tokio::test(start_paused = true)]
async fn twenty_thousand_refused_jobs_all_end() {
    let jobs = (0..20_000).map(|_| job()).collect::<Vec<_>>();
    let refused = with_room_for(100_000);
    assert_eq!(poll_round_robin(&refused, &jobs).await, jobs.len());
    assert_eq!(refused.metrics.refused_jobs_overflow.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn jobs_without_an_entry_share_the_time_of_their_identity() {
    let jobs = (0..20_000).map(|_| job()).collect::<Vec<_>>();
    let refused = with_room_for(5000);
    assert_eq!(poll_round_robin(&refused, &jobs).await, jobs.len());
    assert!(refused.metrics.refused_jobs_overflow.get() > 0);
    assert!(refused.table().jobs.len() <= 5000);
}

#[tokio::test(start_paused = true)]
async fn a_job_without_an_entry_ends_no_sooner_than_it_was_refused() {
    let refused = with_room_for(0);
    let old = job();
    assert!(!refused.refused(&old, &cx()));
    advance(GRACE).await;
    let young = RefusedJob { created_at: Timestamp::now(), ..job() };
    assert!(!refused.refused(&young, &cx()), "it is younger than the grace");
    let theirs = cx();
    theirs.0.secrets.chosen.note();
    assert!(!refused.refused(&job(), &theirs), "of another identity");
    assert!(refused.refused(&old, &cx()));
    refused.answered(job().job, &cx());
    assert!(!refused.refused(&old, &cx()), "the identity's credentials work");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_are_no_longer_polled_give_their_entry_away() {
    let refused = with_room_for(1);
    assert!(!refused.refused(&job(), &cx()));
    advance(IDLE).await;
    assert!(!refused.refused(&job(), &cx()));
    assert_eq!(refused.metrics.refused_jobs_overflow.get(), 0);
}
