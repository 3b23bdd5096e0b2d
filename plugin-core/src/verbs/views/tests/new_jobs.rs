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
    assert_eq!(vendor.lists(), 2, "of the jobs that came first, and of all");
    assert!(vendor.gets() <= 12, "{}", vendor.gets());
}
