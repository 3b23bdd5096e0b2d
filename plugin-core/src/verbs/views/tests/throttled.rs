//! Lists that the vendor throttles, and lists that fail.

use server_core::telemetry::captured;

use super::*;

/// Polls all jobs each second for `seconds`; how many lists and polls alone that took.
async fn poll_for(
    seconds: usize,
    vendor: &Vague,
    verbs: &Arc<Verbs>,
    handles: &[Vec<u8>],
) -> (usize, usize) {
    let (lists, gets) = (vendor.lists(), vendor.gets());
    for _ in 0..seconds {
        poll_all(verbs, handles).await;
        sleep(Duration::from_secs(1)).await;
    }
    (vendor.lists() - lists, vendor.gets() - gets)
}

#[tokio::test(start_paused = true)]
async fn polls_do_not_wait_while_the_vendor_asks_for_a_pause() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 10);
    poll_all(&verbs, &handles).await;
    tokio::time::advance(FRESHNESS * 2).await;
    vendor.limited.store(true, Ordering::Relaxed);
    vendor.wants_quiet.store(20, Ordering::Relaxed);
    poll_all(&verbs, &handles).await;
    vendor.limited.store(false, Ordering::Relaxed);
    let (lists, gets) = (vendor.lists(), vendor.gets());
    for _ in 0..19 {
        assert_eq!(poll_all(&verbs, &handles).await, Duration::ZERO);
        assert_eq!(poll(&verbs, &handles[0]).await, Phase::Running, "the last known one");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!((vendor.lists(), vendor.gets()), (lists, gets));
    tokio::time::advance(Duration::from_secs(2)).await;
    poll_all(&verbs, &handles).await;
    assert_eq!((vendor.lists(), vendor.gets()), (lists + 1, gets), "polls of the pause count");
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_ours_that_is_full_is_no_throttle() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.queued.store(true, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let (lists, gets) = poll_for(60, vendor, &verbs, &handles).await;
    assert!((12..=20).contains(&lists), "{lists} lists, three seconds apart");
    assert!(gets <= MIN_BATCH, "{gets} polls alone");
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_hide_what_was_just_found() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.limited.store(true, Ordering::Relaxed);
    vendor.wants_quiet.store(20, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2 / 3).await;
    poll_all(&verbs, &handles).await;
    poll_all(&verbs, &handles).await;
    sleep(CALL * 2).await;
    assert_eq!(status(&verbs, &handles[0]).await.message, "", "the view is still fresh");
    tokio::time::advance(FRESHNESS).await;
    let later = status(&verbs, &handles[0]).await;
    assert!(later.message.starts_with("last known state"), "{}", later.message);
}

#[tokio::test(start_paused = true)]
async fn a_pause_also_holds_for_jobs_that_lists_do_not_have() {
    let vendor = Vague::made();
    vendor.finds_nothing.store(true, Ordering::Relaxed);
    let (verbs, handles) = viewed(vendor).await;
    vendor.limited.store(true, Ordering::Relaxed);
    vendor.wants_quiet.store(20, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2 / 3).await;
    poll_all(&verbs, &handles).await;
    sleep(CALL).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    assert_eq!(poll_all(&verbs, &handles).await, Duration::ZERO);
    let later = status(&verbs, &handles[0]).await;
    assert!(later.message.starts_with("last known state"), "{}", later.message);
    assert_eq!((vendor.lists(), vendor.gets()), (lists, gets));
}

#[tokio::test(start_paused = true)]
async fn throttled_lists_are_repeated_less_and_less_often() {
    for wants_quiet in [0, 1] {
        let vendor = Vague::made();
        let (verbs, handles) = viewed(vendor).await;
        vendor.limited.store(true, Ordering::Relaxed);
        vendor.wants_quiet.store(wants_quiet, Ordering::Relaxed);
        tokio::time::advance(FRESHNESS * 2).await;
        let (lists, gets) = poll_for(60, vendor, &verbs, &handles).await;
        assert!((4..=7).contains(&lists), "{lists} lists");
        assert!(
            gets < lists * MIN_BATCH,
            "{gets} polls alone, before there were enough for a list"
        );
        assert_eq!(poll(&verbs, &handles[0]).await, Phase::Running);
        vendor.limited.store(false, Ordering::Relaxed);
        let (lists, gets) = poll_for(120, vendor, &verbs, &handles).await;
        assert!(lists > 10 && gets < MIN_BATCH, "{lists} lists, {gets} polls alone");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_is_found_although_every_list_is_throttled() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 100);
    poll_all(&verbs, &handles).await;
    vendor.limited.store(true, Ordering::Relaxed);
    vendor.ended.store(true, Ordering::Relaxed);
    let (lists, gets) = poll_for(600, vendor, &verbs, &handles).await;
    assert_eq!((lists, gets), (10, handles.len()));
    for handle in &handles {
        assert_eq!(poll(&verbs, handle).await, Phase::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_says_when_and_why_joint_polls_stop() {
    captured::start("info");
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    for (trouble, line) in
        [(&vendor.queued, "polls are paused"), (&vendor.too_large, "joint polls are off")]
    {
        trouble.store(true, Ordering::Relaxed);
        tokio::time::advance(FRESHNESS * 2).await;
        poll_for(8, vendor, &verbs, &handles).await;
        trouble.store(false, Ordering::Relaxed);
        assert!(captured::text().contains(line), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_are_polled_alone_after_two_failed_lists() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.fails.store(true, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let (lists, _) = poll_for(4, vendor, &verbs, &handles).await;
    assert_eq!(lists, 2);
    let (lists, gets) = poll_for(50, vendor, &verbs, &handles).await;
    assert_eq!((lists, gets), (0, 50 * handles.len()));
}
