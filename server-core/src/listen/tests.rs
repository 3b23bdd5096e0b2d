use std::os::unix::fs::PermissionsExt as _;

mod limits;

use super::*;

fn connections() -> Connections {
    Connections {
        max: 1,
        when_full: WhenFull::Wait,
        age: None,
        grace: Duration::from_secs(30),
        http1_idle: HTTP1_IDLE,
        tls: None,
        accepted: Counter::default(),
        open: Gauge::default(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    }
}

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
    let connections = connections();
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

#[tokio::test]
async fn a_client_whose_machine_is_gone_is_noticed_by_tcp() {
    let (listener, address) = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let _client = TcpStream::connect(address).await.unwrap();
    let Stream::Tcp(accepted) = listener.accept().await else { panic!("a TCP port") };
    connection::keep_alive(&accepted).unwrap();
    let socket = socket2::SockRef::from(&accepted);
    assert!(socket.keepalive().unwrap());
    let silent = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
    assert_eq!(
        (socket.tcp_keepalive_time().unwrap(), silent),
        (KEEP_ALIVE, KEEP_ALIVE_TIMEOUT),
        "as HTTP/2's pings"
    );
}

/// gRPC's C core sends such a one for targets of several addresses, like `ipv4:127.0.0.1:1,127.0.0.1:2`.
/// Once `http` parses it, docs/operating.md needs no advice about it.
#[test]
fn an_authority_with_percent_encoding_is_refused_by_the_http_crate() {
    let parsed = "127.0.0.1%3A1%2C127.0.0.1%3A2".parse::<http::uri::Authority>();
    assert!(parsed.is_err(), "<https://github.com/hyperium/http/issues/836> is fixed");
}
