//! Many jobs that nobody has polled before.

use super::*;

#[tokio::test(start_paused = true)]
async fn many_new_jobs_at_once_take_few_calls() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let took = poll_all(&verbs, &handles(&verbs, 500)).await;
    assert!(took <= CALL * 3, "{took:?}");
    assert!(vendor.lists() + vendor.gets() <= 10, "{} and {}", vendor.lists(), vendor.gets());
}

#[tokio::test(start_paused = true)]
async fn new_jobs_are_found_without_asking_again_about_those_just_found() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    for jobs in [200, 400] {
        poll_all(&verbs, &handles(&verbs, 200)).await;
        assert!(vendor.asked() <= jobs, "{} of {jobs}", vendor.asked());
    }
    tokio::time::advance(FRESHNESS).await;
    let asked = vendor.asked();
    poll_all(&verbs, &handles(&verbs, 200)).await;
    assert!(vendor.asked() - asked >= 590, "{}: after a while all are", vendor.asked() - asked);
}

#[tokio::test(start_paused = true)]
async fn few_of_many_new_jobs_are_polled_alone_by_one_caller() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    for handle in handles(&verbs, 500) {
        poll(&verbs, &handle).await;
    }
    let took = CALL * (vendor.gets() + vendor.lists()) as u32;
    let windows = took.div_duration_f64(FRESHNESS).ceil() as usize;
    assert!(vendor.gets() <= windows * 10, "{} in {took:?}", vendor.gets());
}

#[tokio::test(start_paused = true)]
async fn few_new_jobs_are_polled_alone_while_a_list_has_many_pages() {
    let vendor = Vague::made();
    vendor.pages.store(19, Ordering::Relaxed);
    let verbs = verbs(vendor);
    poll_all(&verbs, &handles(&verbs, 500)).await;
    assert_eq!((vendor.lists(), vendor.gets()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn new_jobs_that_come_in_one_after_the_other_are_in_one_list() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 1000);
    let polls = handles.iter().enumerate().map(async |(number, handle)| {
        for _ in 0..number {
            tokio::task::yield_now().await;
        }
        poll(&verbs, handle).await
    });
    join_all(polls).await;
    assert_eq!((vendor.lists(), vendor.gets()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn new_jobs_that_come_in_while_many_are_listed_are_in_the_next_list() {
    let vendor = Vague::made();
    vendor.pages.store(11, Ordering::Relaxed);
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 1000);
    let polls = handles.iter().enumerate().map(async |(number, handle)| {
        sleep(CALL * (number as u32 / 100)).await;
        poll(&verbs, handle).await
    });
    join_all(polls).await;
    assert_eq!((vendor.lists(), vendor.gets()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_new_job_is_looked_at_alone_while_others_are_listed() {
    let vendor = Vague::made();
    vendor.pages.store(11, Ordering::Relaxed);
    let (verbs, handles) = viewed(vendor).await;
    tokio::time::advance(FRESHNESS * 2).await;
    let lists = vendor.lists();
    let new = async {
        sleep(CALL * 3).await;
        poll_all(&verbs, &self::handles(&verbs, 1)).await
    };
    let twice = handles.iter().chain(&handles).cloned().collect::<Vec<_>>();
    let (_, took) = futures_util::join!(poll_all(&verbs, &twice), new);
    assert_eq!(took, CALL);
    assert_eq!(vendor.lists() - lists, 1);
}
