//! Responses that their callers do not read.

use hyper::body::Incoming;

use super::*;

/// Begins `calls` calls, each on a connection of its own and with a response of 6 MB that is not read.
async fn unread(stage: &Stage, calls: usize) -> Vec<(http2::SendRequest<Empty<Bytes>>, Incoming)> {
    let mut responses = Vec::new();
    for _ in 0..calls {
        let mut sender = stage.connect().await;
        let request = grpc().header("x-bytes", "6000000").body(Empty::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        responses.push((sender, response.into_body()));
    }
    responses
}

/// A stage on which responses may be unread for half a second.
async fn impatient(replica: &Replica) -> Stage {
    let (longest, check_every) = (Duration::from_millis(500), Duration::from_millis(50));
    let limits = Limits { longest, check_every, ..Limits::default() };
    Stage::limited("dns:///bigquery-headless.plugins:8000", None, &[replica.address], limits).await
}

async fn assert_others_are_served(stage: &Stage) {
    let mut connection = stage.connect().await;
    for call in 0..20 {
        let answer = call_with(&mut connection, grpc().header("x-bytes", "100000"));
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("call {call} waits for others"));
        assert_eq!(answer.unwrap().body.len(), 100_000);
    }
}

#[tokio::test]
async fn unread_responses_hold_up_no_other_call() {
    for calls in [8, 100] {
        let replica = Replica::start().await;
        let stage = Stage::set(&[replica.address]).await;
        let responses = unread(&stage, calls).await;
        assert_others_are_served(&stage).await;
        drop(responses);
    }
}

#[tokio::test]
async fn unread_responses_take_bounded_memory() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let responses = unread(&stage, 100).await;
    assert_others_are_served(&stage).await;
    // A window or less in each of: the caller's connection, the proxy's two, and the replica's.
    let each = (replica.sent() - 20 * 100_000) / responses.len();
    assert!(each < 6 * (64 << 10), "{each} bytes of 6,000,000");
}

#[tokio::test]
async fn response_that_is_not_read_for_long_is_ended() {
    let replica = Replica::start().await;
    let stage = impatient(&replica).await;
    let (_sender, body) = unread(&stage, 1).await.pop().unwrap();
    stage.wait_for_metric("propeller_proxy_unread_responses_total 1").await;
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    let status = tonic::Status::from_header_map(trailers).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("was not read for too long"), "{status}");
    assert!(collected.to_bytes().len() < 6_000_000);
    stage.counted("UNAVAILABLE", 1).await;
}

#[tokio::test]
async fn response_that_is_read_slowly_is_complete() {
    let replica = Replica::start().await;
    let stage = impatient(&replica).await;
    let (_sender, mut body) = unread(&stage, 1).await.pop().unwrap();
    let (mut bytes, mut pauses) = (0, 0);
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().into_data().map_or(0, |data| data.len());
        if bytes > pauses * 1_000_000 {
            pauses += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    assert_eq!((bytes, pauses), (6_000_000, 6));
}

/// More than the streams of the connection to the replica.
#[tokio::test]
async fn many_unread_responses_end_the_oldest() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let responses = tokio::time::timeout(Duration::from_secs(20), unread(&stage, 300)).await;
    let responses = responses.expect("each begins within the timeout");
    assert_others_are_served(&stage).await;
    drop(responses);
}

#[tokio::test]
async fn response_that_its_replica_does_not_continue_is_not_ended() {
    let replica = Replica::start().await;
    let stage = impatient(&replica).await;
    let mut sender = stage.connect().await;
    let request = grpc().header("x-endless", "1").body(Empty::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    let next = tokio::time::timeout(Duration::from_secs(1), body.frame()).await;
    assert!(next.is_err(), "{next:?}");
    stage.wait_for_metric("propeller_proxy_unread_responses_total 0").await;
}
