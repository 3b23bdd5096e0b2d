use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::*;

/// A directory with a certificate and its key.
struct Pair(TempDir);

impl Pair {
    fn new() -> Self {
        let pair = Self(tempfile::tempdir().unwrap());
        pair.renew();
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("tls.crt"), cert.pem()).unwrap();
        std::fs::write(self.path("tls.key"), signing_key.serialize_pem()).unwrap();
    }

    async fn read(&self) -> Result<ServerCertificate> {
        ServerCertificate::read(self.path("tls.crt"), self.path("tls.key")).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_served_and_an_invalid_one_is_not() {
    let pair = Pair::new();
    let certificate = Arc::new(pair.read().await.unwrap());
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(&certificate).keep_fresh(stop.clone()));
    let first = certificate.config();

    pair.renew();
    let renewed = changed(&first, || certificate.config()).await;

    let key = std::fs::read(pair.path("tls.key")).unwrap();
    std::fs::write(pair.path("tls.key"), "half a k").unwrap();
    tokio::time::sleep(CHECK_INTERVAL * 3).await;
    assert!(Arc::ptr_eq(&certificate.config(), &renewed), "still serving the previous one");

    std::fs::write(pair.path("tls.key"), key).unwrap();
    pair.renew();
    changed(&renewed, || certificate.config()).await;

    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_authority_is_trusted_and_an_invalid_one_is_not() {
    let pair = Pair::new();
    let authorities = Authorities::read(Some(&pair.path("tls.crt"))).await.unwrap();
    let authorities = Arc::new(authorities);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(&authorities).keep_fresh(stop.clone()));
    let first = authorities.config();

    pair.renew();
    let renewed = changed(&first, || authorities.config()).await;

    std::fs::write(pair.path("tls.crt"), "half a c").unwrap();
    tokio::time::sleep(CHECK_INTERVAL * 3).await;
    assert!(Arc::ptr_eq(&authorities.config(), &renewed), "still trusting the previous ones");

    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Waits until `current` differs from `previous`.
async fn changed<T>(previous: &Arc<T>, current: impl Fn() -> Arc<T>) -> Arc<T> {
    let waiting = async {
        while Arc::ptr_eq(&current(), previous) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        current()
    };
    timeout(waiting).await
}

async fn timeout<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("within a minute")
}

#[tokio::test]
async fn errors_name_the_invalid_file() {
    let (pair, other) = (Pair::new(), Pair::new());
    for (name, contents, message) in [
        ("tls.crt", "", "tls.crt does not contain a certificate in PEM"),
        ("tls.key", "no key", "tls.key does not contain a private key in PEM"),
        (
            "tls.key",
            &std::fs::read_to_string(other.path("tls.key")).unwrap(),
            "tls.crt does not match the private key",
        ),
    ] {
        pair.renew();
        std::fs::write(pair.path(name), contents).unwrap();
        let error = pair.read().await.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    std::fs::remove_file(pair.path("tls.crt")).unwrap();
    let error = pair.read().await.unwrap_err().to_string();
    assert!(error.ends_with("tls.crt cannot be read"), "{error}");
}

#[tokio::test]
async fn debug_output_does_not_contain_the_private_key() {
    let pair = Pair::new();
    let certificate = pair.read().await.unwrap();
    let key = std::fs::read_to_string(pair.path("tls.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(!format!("{certificate:?}").contains(line));
}
