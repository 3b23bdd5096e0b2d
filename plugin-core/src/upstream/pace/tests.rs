#![expect(clippy::unwrap_used, reason = "these are tests")]

use futures_util::future::join_all;
use tokio::time::{advance, sleep};

use super::*;
use crate::testing::context;

fn soon() -> Context {
    context(Duration::from_secs(10))
}

/// How long it takes to start `calls` calls in sequence.
async fn start(pace: &Pace, calls: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..calls {
        pace.turn(&soon()).await.unwrap();
    }
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn calls_are_not_limited_before_a_429() {
    let pace = Pace::default();
    assert_eq!(start(&pace, 40).await, Duration::ZERO);
    pace.throttled(None);
    pace.throttled(None);
    let took = start(&pace, 21).await;
    assert_eq!(took.as_millis(), 1000, "20 per second: half of 40, for both responses");
}

#[tokio::test(start_paused = true)]
async fn the_rate_recovers_and_the_limit_expires() {
    let pace = Pace::default();
    start(&pace, 10).await;
    pace.throttled(None);
    advance(SAMPLE).await;
    pace.throttled(None);
    assert!(start(&pace, 3).await >= Duration::from_millis(800), "2.5 per second");
    (0..200).for_each(|_| pace.accepted());
    assert!(start(&pace, 10).await < Duration::from_secs(1), "faster again");
    advance(RECOVERY).await;
    pace.accepted();
    assert_eq!(start(&pace, 1000).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_429_at_the_start_of_a_sample_is_about_the_previous_one() {
    let pace = Pace::default();
    start(&pace, 40).await;
    advance(SAMPLE).await;
    start(&pace, 1).await;
    pace.throttled(None);
    assert_eq!(start(&pace, 21).await.as_millis(), 1000, "20 per second: half of 40");
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_all_calls() {
    let pace = Pace::default();
    start(&pace, 100).await;
    pace.throttled(Some(Duration::from_secs(3)));
    assert_eq!(start(&pace, 1).await, Duration::from_secs(3));
    pace.throttled(Some(Duration::from_secs(30)));
    let error = pace.turn(&soon()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!(error.message(), "the upstream asked for a pause");
    assert!(error.retry_after().unwrap() > Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn turns_are_reserved_for_five_seconds_at_most() {
    let pace = Pace::default();
    start(&pace, 6).await;
    pace.throttled(None);
    let cx = context(Duration::from_secs(60));
    let turns = join_all((0..40).map(|_| pace.turn(&cx))).await;
    let taken = turns.iter().filter(|turn| turn.is_ok()).count();
    assert!((15..=16).contains(&taken), "3 per second: {taken}");
}

#[tokio::test(start_paused = true)]
async fn turns_that_were_reserved_before_a_retry_after_are_given_up() {
    let pace = Pace::default();
    start(&pace, 24).await;
    pace.throttled(None);
    let started = Instant::now();
    let calls = (0..60).map(|_| async {
        let cx = soon();
        pace.turn(&cx).await.map(|()| started.elapsed())
    });
    let quiet = async {
        sleep(Duration::from_millis(500)).await;
        pace.throttled(Some(Duration::from_secs(20)));
    };
    let (turns, ()) = tokio::join!(join_all(calls), quiet);
    let taken = turns.iter().filter_map(|turn| turn.as_ref().ok()).collect::<Vec<_>>();
    assert!(!taken.is_empty() && taken.len() < 10, "{}", taken.len());
    assert!(taken.iter().all(|at| **at <= Duration::from_millis(500)), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_delays_the_turns_that_were_reserved() {
    let pace = Pace::default();
    start(&pace, 24).await;
    pace.throttled(None);
    let started = Instant::now();
    let calls = (0..12).map(|_| async {
        pace.turn(&soon()).await.unwrap();
        started.elapsed()
    });
    let quiet = async {
        sleep(Duration::from_millis(200)).await;
        pace.throttled(Some(Duration::from_secs(2)));
    };
    let (turns, ()) = tokio::join!(join_all(calls), quiet);
    let asked = Duration::from_millis(200);
    let end = asked + Duration::from_secs(2);
    assert!(turns.iter().all(|at| *at <= asked || *at >= end), "{turns:?}");
    assert!(turns.iter().max().unwrap() > &(end + Duration::from_millis(500)), "they stay paced");
}

#[tokio::test(start_paused = true)]
async fn a_poll_does_not_wait_for_the_end_of_a_pause() {
    let pace = Pace::default();
    pace.throttled(Some(Duration::from_secs(1)));
    let error = pace.turn(&soon().for_poll()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!(start(&pace, 1).await, Duration::from_secs(1), "others do");
}

#[tokio::test(start_paused = true)]
async fn long_deadlines_do_not_starve_short_ones() {
    let pace = Pace::default();
    pace.throttled(None);
    let long_cx = context(Duration::from_secs(60));
    let long = join_all((0..50).map(|_| pace.turn(&long_cx)));
    let short = async {
        sleep(Duration::from_secs(1)).await;
        pace.turn(&soon()).await
    };
    let (long, short) = tokio::join!(long, short);
    short.unwrap();
    let waits = long.iter().filter_map(|call| call.as_ref().err()?.retry_after());
    assert!(waits.clone().count() > 40 && waits.max() < Some(2 * LONGEST_QUEUE));
}
