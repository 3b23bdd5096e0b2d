use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::{
    verbs::tests::{Vendor, incoming, poll},
    wire::from_proto_json,
};

async fn create(verbs: &Arc<Verbs>, statement: &str) -> Vec<u8> {
    let template = json!({"type": "sql", "sql": {"statement": statement}});
    let request = json!({"template": template, "output_prefix": "s3://b/1"});
    let request = from_proto_json(&request).unwrap();
    verbs.create(&incoming(Duration::from_secs(10)), request, None).await.unwrap().handle
}

#[tokio::test(start_paused = true)]
async fn different_requests_with_the_same_key_are_not_joined() {
    let (vendor, verbs) = Vendor::served();
    let statements = ["SELECT 1", "SELECT 2", "SELECT 1"];
    let handles = join_all(statements.map(|statement| create(&verbs, statement))).await;
    assert_eq!(vendor.creates(), 2, "the repeat joined");
    for (handle, statement) in handles.iter().zip(statements) {
        assert_eq!(poll(&verbs, handle).await, statement);
    }
}
