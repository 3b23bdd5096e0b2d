use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    context::{Caller, Grant, Identity, Role},
    verbs::tests::{Vendor, incoming, incoming_of, poll},
    wire::from_proto_json_object,
};

fn request(statement: &str) -> Submitted {
    let template = json!({"type": "sql", "sql": {"statement": statement}});
    let request = json!({"template": template, "output_prefix": "s3://b/1"});
    from_proto_json_object(&request).unwrap().into()
}

async fn create(verbs: &Arc<Verbs>, statement: &str) -> Vec<u8> {
    let incoming = incoming(Duration::from_secs(10));
    verbs.create(&incoming, request(statement), None).await.unwrap().handle
}

#[tokio::test(start_paused = true)]
async fn different_requests_with_the_same_key_are_not_joined() {
    let (vendor, verbs) = Vendor::served();
    let statements = ["SELECT 1", "SELECT 2", "SELECT 1"];
    let handles = join_all(statements.map(|statement| create(&verbs, statement))).await;
    assert_eq!(vendor.creates(), 2, "the repeat joined");
    assert_eq!(vendor.most_creates_at_once(), 1, "the vendor knows of the first before the second");
    for (handle, statement) in handles.iter().zip(statements) {
        assert_eq!(poll(&verbs, handle).await, statement);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_in_another_role_do_not_join() {
    let (vendor, verbs) = Vendor::served();
    let ann =
        |role| Caller::new("idp".into(), &Identity::Sub("ann".to_owned()), role, Arc::default());
    let created = [Role::Admin, Role::User, Role::User].map(|role| {
        let (verbs, caller) = (&verbs, ann(role));
        async move {
            let incoming = incoming_of(caller, Duration::from_secs(10));
            let created = verbs.create(&incoming, request("SELECT 1"), None).await.unwrap();
            verbs.open(&incoming, Verb::Get, &created.handle, None).map(drop).unwrap();
        }
    });
    join_all(created).await;
    assert_eq!(vendor.creates(), 2, "the user's repeat joined");
    assert_eq!(vendor.most_creates_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn different_requests_with_different_keys_do_not_wait_for_each_other() {
    let (vendor, verbs) = Vendor::served();
    let created = ["1", "2"].map(|header| {
        let verbs = &verbs;
        async move {
            let incoming = incoming(Duration::from_secs(10));
            verbs.create(&incoming, request("SELECT 1"), Some(header)).await.unwrap();
        }
    });
    join_all(created).await;
    assert_eq!((vendor.creates(), vendor.most_creates_at_once()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_another_with_its_key_until_its_deadline() {
    let (vendor, verbs) = Vendor::served();
    let statements = (0..100).map(|number| format!("SELECT {number}")).collect::<Vec<_>>();
    let created = statements.iter().map(|statement| async {
        let incoming = incoming(Duration::from_secs(100));
        verbs.create(&incoming, request(statement), None).await.map(drop)
    });
    let started = Instant::now();
    let failed = join_all(created).await.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(started.elapsed() <= Duration::from_secs(31), "{:?}", started.elapsed());
    assert_eq!(vendor.creates(), 100 - failed.len());
    assert!(failed.len() > 60, "{}", failed.len());
    let message = "another task with the same output_prefix or Idempotency-Key is still being \
                   submitted; repeat the request";
    assert!(failed.iter().all(|error| error.kind() == Kind::DeadlineExceeded), "{failed:?}");
    assert!(failed.iter().any(|error| error.to_string() == message), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_not_read_for_a_caller_who_may_not_use_its_type() {
    let (vendor, verbs) = Vendor::served();
    let grant = Grant { task_types: Some(["spark".to_owned()].into()), ..Grant::default() };
    let ann = Identity::Sub("ann".to_owned());
    let caller = Caller::new("idp".into(), &ann, Role::User, Arc::new(grant));
    let incoming = incoming_of(caller, Duration::from_secs(10));
    let refused = verbs.create(&incoming, request("SELECT 1"), None).await.err().unwrap();
    assert_eq!((refused.kind(), vendor.creates()), (Kind::PermissionDenied, 0));
    let fields = incoming.record.fields();
    assert_eq!((fields.task_type, fields.job.as_deref()), (Some("sql"), None));
}

#[tokio::test(start_paused = true)]
async fn a_job_without_a_handle_is_stopped_and_refused() {
    let (vendor, verbs) = Vendor::served();
    let incoming = incoming(Duration::from_secs(10));
    let created = verbs.create(&incoming, request(&"x".repeat(1000)), None).await.unwrap();
    let refused = created.refused.unwrap();
    assert_eq!(
        (refused.kind(), refused.code()),
        (Kind::FailedPrecondition, Some("HANDLE_TOO_LARGE"))
    );
    assert_eq!((vendor.creates(), vendor.deletes()), (1, 1));
    assert!(poll(&verbs, &created.handle).await.starts_with("the job was stopped"));
}
