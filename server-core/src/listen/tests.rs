use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test]
async fn every_user_may_connect_to_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bigquery.sock");
    let _listener = Listener::unix(&path).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
}

#[tokio::test]
async fn a_file_that_is_not_a_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flyte.yaml");
    std::fs::write(&path, "contents").unwrap();
    let refused = Listener::unix(&path).await.unwrap_err().to_string();
    assert!(refused.contains("flyte.yaml: Address already in use"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "contents");
}

#[tokio::test]
async fn requests_carry_the_address_of_their_peer() {
    let (listener, address) = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let connections = Connections {
        max: 1,
        age: None,
        grace: Duration::ZERO,
        tls: None,
        accepted: Counter::default(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let (stop, tasks) = (connections.stop.clone(), connections.tasks.clone());
    let echo =
        axum::Router::new().fallback(async |axum::Extension(peer): axum::Extension<Peer>| {
            peer.address.map(|address| address.to_string()).unwrap_or_default()
        });
    tasks.spawn(serve(listener, echo, connections));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut response = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut response).await.unwrap();
    assert!(response.ends_with(&stream.local_addr().unwrap().to_string()), "{response}");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
