//! Which replica gets a call, and how often a call is sent again.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use super::*;

#[tokio::test]
async fn calls_on_one_connection_are_balanced_over_replicas() {
    let replicas = [Replica::start().await, Replica::start().await, Replica::start().await];
    let stage = Stage::set(&replicas.each_ref().map(|replica| replica.address)).await;
    stage.reaches(3).await;
    let mut connection = stage.connect().await;
    let mut answers = BTreeMap::<_, u32>::new();
    for _ in 0..150 {
        let answer = call_with(&mut connection, grpc()).await.unwrap();
        *answers.entry(answer.replica()).or_default() += 1;
    }
    assert!(answers.len() == 3 && answers.values().all(|calls| *calls > 20), "{answers:?}");
}

#[tokio::test]
async fn busy_replica_gets_no_call_while_another_is_idle() {
    let (busy, idle) = (Replica::start().await, Replica::start().await);
    let stage = Stage::set(&[busy.address]).await;
    busy.hold();
    let (held, ()) = tokio::join!(stage.call(), async {
        busy.is_held().await;
        stage.balancer.set_replicas(&[busy.address, idle.address]);
        stage.reaches(2).await;
        let mut connection = stage.connect().await;
        for call in 0..30 {
            let answer = call_with(&mut connection, grpc());
            let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
            let answer = answer.unwrap_or_else(|_| panic!("call {call} went to the busy replica"));
            assert_eq!(answer.unwrap().replica(), idle.address.to_string());
        }
        busy.release();
    });
    assert_eq!(held.unwrap().replica(), busy.address.to_string());
}

#[tokio::test]
async fn calls_in_flight_are_counted_until_they_end() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    stage.reaches(1).await;
    let pending = || stage.balancer.replicas.load()[0].pending();
    for _ in 0..5 {
        stage.call().await.unwrap();
    }
    stage.counted("OK", 5).await;
    assert_eq!(pending(), 0);
    replica.hold();
    let (first, second, ()) = tokio::join!(stage.call(), stage.call(), async {
        while pending() < 2 {
            tokio::task::yield_now().await;
        }
        replica.release();
    });
    assert!(first.is_ok() && second.is_ok());
    stage.counted("OK", 7).await;
    assert_eq!(pending(), 0);
}

/// Connections that end before anything is sent on them.
#[tokio::test]
async fn unsent_call_is_sent_again_nine_times() {
    let stage = Stage::set(&["127.0.0.1:1".parse().unwrap()]).await;
    let replica = Arc::clone(&stage.balancer.replicas.load()[0]);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let (answer, ()) = tokio::join!(
        async {
            let answer = stage.call().await.unwrap();
            ended.store(true, Ordering::Relaxed);
            answer
        },
        async {
            while !ended.load(Ordering::Relaxed) {
                let (stream, _peer) = tokio::io::duplex(1 << 16);
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .handshake(TokioIo::new(stream))
                    .await
                    .unwrap();
                replica.set_sender(Some(sender));
                stage.balancer.changes.notify_waiters();
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(connection);
            }
        }
    );
    assert_eq!(answer.grpc_status(), "14");
    let message = answer.headers["grpc-message"].to_str().unwrap();
    assert!(message.contains("connections%20end%20immediately"), "{message}");
    let target = r#"target="bigquery-headless.plugins:8000""#;
    stage.wait_for_metric(&format!("propeller_proxy_retries_total{{{target}}} 9")).await;
}
