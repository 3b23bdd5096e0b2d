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
