//! CA certificates that are renewed while the proxy runs.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use server_core::tls::ServerCertificate;
use tempfile::TempDir;

use super::*;

/// Writes a new self-signed certificate.
fn renew(files: &TempDir) {
    let name = "bigquery-headless.plugins".to_owned();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name]).unwrap();
    std::fs::write(files.path().join("tls.crt"), cert.pem()).unwrap();
    std::fs::write(files.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
}

async fn replica(files: &TempDir) -> Replica {
    let (certificate, key) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    Replica::with_certificate(ServerCertificate::read(certificate, key).await.unwrap()).await
}

#[tokio::test]
async fn renewed_ca_certificate_is_used_for_new_connections() {
    let files = tempfile::tempdir().unwrap();
    renew(&files);
    let authorities = Authorities::read(Some(&files.path().join("tls.crt"))).await.unwrap();
    let (authorities, first) = (Arc::new(authorities), replica(&files).await);
    let target = "https://bigquery-headless.plugins:8000";
    let stage = Stage::to(target, Some(Arc::clone(&authorities)), &[first.address]).await;
    stage.reaches(1).await;

    renew(&files);
    let renewed = replica(&files).await;
    let (previous, stop) = (authorities.config(), stage.serving.stop_background.clone());
    stage.serving.background.spawn(Arc::clone(&authorities).keep_fresh(stop));
    while Arc::ptr_eq(&authorities.config(), &previous) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(10)).await;
        tokio::time::resume();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.balancer.set_replicas(&[renewed.address]);
    assert_eq!(stage.call().await.unwrap().replica(), renewed.address.to_string());
}
