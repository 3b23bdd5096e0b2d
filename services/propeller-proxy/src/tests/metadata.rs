//! Calls and responses with much metadata.

use super::*;

#[tokio::test]
async fn metadata_is_forwarded_both_ways() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    for bytes in [15_900, 60_000] {
        let request = grpc().header("x-of-flyte", "x".repeat(bytes));
        let request = request.header("x-metadata", bytes.to_string());
        let answer = call_with(&mut sender, request).await.unwrap();
        assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "0"), "{bytes}");
        assert_eq!(answer.headers["x-filler"].len(), bytes);
        assert_eq!(replica.received().pop().unwrap().headers["x-of-flyte"].len(), bytes);
    }
}

#[tokio::test]
async fn metadata_that_a_replica_does_not_take_is_a_grpc_error() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    // The listener takes it; with the token it is too much for the replica.
    let request = grpc().header("x-of-flyte", "x".repeat((64 << 10) - 540));
    let answer = call_with(&mut stage.connect().await, request).await.unwrap();
    assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "8"));
    let status = tonic::Status::from_header_map(&answer.headers).unwrap();
    assert!(status.message().contains("does not accept this much metadata"), "{status}");
    assert!(replica.received().is_empty());
    stage.counted("RESOURCE_EXHAUSTED", 1).await;
}

#[tokio::test]
async fn too_much_metadata_of_a_response_is_a_grpc_error() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let request = grpc().header("x-metadata", (1 << 20).to_string());
    let mut sender = stage.connect().await;
    let answer = call_with(&mut sender, request).await.unwrap();
    assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "13"));
    let status = tonic::Status::from_header_map(&answer.headers).unwrap();
    assert!(status.message().contains("more than 1 MiB of metadata"), "{status}");
    let others = call_with(&mut sender, grpc()).await.unwrap();
    assert_eq!(others.grpc_status(), "0", "the connection goes on");
}
