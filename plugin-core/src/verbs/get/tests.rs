use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    context::{Caller, IdempotencyKey},
    handle::{HANDLE_BYTES, Handle, Owner},
    verbs::tests::{Vendor, poll},
};

/// Handles of three jobs with the same key.
fn handles(verbs: &Verbs) -> Vec<(String, Vec<u8>)> {
    let key = IdempotencyKey::random();
    let handle = |statement: &str| Handle {
        task_type: "sql".to_owned(),
        owner: Owner::of(&Caller::anonymous()),
        created_at: Timestamp::now(),
        key,
        execution: Arc::default(),
        job: Job::Created(json!({ "statement": statement }).to_string().into_bytes()),
    };
    let sealed =
        |statement: &str| handle(statement).seal(&verbs.shared.keys, HANDLE_BYTES).unwrap();
    ["a", "b", "c"].map(|statement| (statement.to_owned(), sealed(statement))).into()
}

#[tokio::test(start_paused = true)]
async fn jobs_with_the_same_key_have_separate_statuses() {
    let (_, verbs) = Vendor::served();
    for (statement, handle) in handles(&verbs) {
        assert_eq!(poll(&verbs, &handle).await, statement);
    }
}

#[tokio::test(start_paused = true)]
async fn jointly_polled_jobs_with_the_same_key_have_separate_statuses() {
    let (_, verbs) = Vendor::served();
    let handles = handles(&verbs);
    join_all(handles.iter().map(|(_, handle)| poll(&verbs, handle))).await;
    for (statement, handle) in &handles {
        assert_eq!(&poll(&verbs, handle).await, statement, "from memory");
    }
}
