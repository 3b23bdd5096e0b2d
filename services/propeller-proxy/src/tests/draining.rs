//! Shutdown with connections and calls that go on.

use super::*;

/// Shuts down, which must not take the whole drain timeout of five seconds.
async fn shut_down(stage: &Stage) {
    stage.serving.stop.cancel();
    stage.serving.tasks.close();
    let ended = tokio::time::timeout(Duration::from_secs(3), stage.serving.tasks.wait()).await;
    ended.expect("every connection ends");
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let (_unused, mut used) = (stage.connect().await, stage.connect().await);
    call_with(&mut used, grpc()).await.unwrap();
    shut_down(&stage).await;
}

#[tokio::test]
async fn health_watches_end_with_a_status() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let request = Request::post("http://127.0.0.1:8081/grpc.health.v1.Health/Watch")
        .header("content-type", "application/grpc")
        .header("x-endless", "1");
    let mut sender = stage.connect().await;
    let request = request.body(Empty::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    shut_down(&stage).await;
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Unavailable, "propeller-proxy is stopping")
    );
}
