//! Lists that take long, or never end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_is_not_waited_for_twice() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.hangs.store(true, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    poll_all(&verbs, &handles).await;
    sleep(POLL_TIME).await;
    for _ in 0..5 {
        tokio::time::advance(FRESHNESS * 2).await;
        assert_eq!(poll_all(&verbs, &handles).await, CALL, "each is polled alone");
    }
}

#[tokio::test(start_paused = true)]
async fn few_polls_look_alone_because_a_list_is_slow() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    // Six seconds: more than a poll can wait if it is to look alone.
    vendor.pages.store(59, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let polls = handles.iter().cycle().take(1000).collect::<Vec<_>>();
    let (lists, gets) = (vendor.lists(), vendor.gets());
    let phases = join_all(polls.iter().map(|handle| poll(&verbs, handle))).await;
    assert_eq!(phases, [Phase::Running; 1000]);
    let (lists, gets) = (vendor.lists() - lists, vendor.gets() - gets);
    assert!(lists == 1 && gets <= 2 + 4, "{lists} lists, {gets} polls alone");
}

#[tokio::test(start_paused = true)]
async fn few_polls_look_alone_because_a_list_hangs() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.hangs.store(true, Ordering::Relaxed);
    vendor.ended.store(true, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let polls = handles.iter().cycle().take(1000).collect::<Vec<_>>();
    let gets = vendor.gets();
    let phases = join_all(polls.iter().map(|handle| poll(&verbs, handle))).await;
    assert!(vendor.gets() - gets <= 2 + 4, "{} polls alone", vendor.gets() - gets);
    // The others were answered with what was known, and are polled alone from now on.
    assert!(phases.contains(&Phase::Running) && phases.contains(&Phase::Succeeded));
    let phases = join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
    assert_eq!(phases, [Phase::Succeeded; 10]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_was_long_is_tried_again_some_minutes_later() {
    let vendor = Vague::made();
    vendor.pages.store(40, Ordering::Relaxed);
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 60);
    poll_all(&verbs, &handles).await;
    poll_all(&verbs, &handles).await;
    vendor.pages.store(0, Ordering::Relaxed);
    let lists = vendor.lists();
    for _ in 0..300 {
        tokio::time::advance(Duration::from_secs(1)).await;
        poll_all(&verbs, &handles[..4]).await;
    }
    let lists = vendor.lists() - lists;
    assert!(lists > 20, "{lists} lists for 1200 polls of 4 jobs");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_late_blames_nobodys_list() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.hangs.store(true, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let busy = async {
        sleep(CALL).await;
        tokio::time::advance(POLL_TIME * 2).await;
    };
    futures_util::join!(poll_all(&verbs, &handles), busy);
    vendor.hangs.store(false, Ordering::Relaxed);
    tokio::time::advance(FRESHNESS * 2).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    poll_all(&verbs, &handles).await;
    let (lists, gets) = (vendor.lists() - lists, vendor.gets() - gets);
    assert!(lists == 1 && gets < MIN_BATCH, "{lists} lists, {gets} polls alone");
}
