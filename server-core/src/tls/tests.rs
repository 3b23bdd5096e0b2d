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
async fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let pair = Pair::new();
    let certificate = Arc::new(pair.read().await.unwrap());
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(&certificate).keep_fresh(stop.clone()));
    let first = certificate.config();

    pair.renew();
    let renewed = another(&first, || certificate.config()).await;

    let key = std::fs::read(pair.path("tls.key")).unwrap();
    std::fs::write(pair.path("tls.key"), "half a k").unwrap();
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert!(Arc::ptr_eq(&certificate.config(), &renewed), "a broken key serves nobody");

    std::fs::write(pair.path("tls.key"), key).unwrap();
    pair.renew();
    another(&renewed, || certificate.config()).await;

    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_renewed_authority_is_trusted_and_a_broken_one_is_not() {
    let pair = Pair::new();
    let authorities = Authorities::read(Some(&pair.path("tls.crt"))).await.unwrap();
    let authorities = Arc::new(authorities);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(Arc::clone(&authorities).keep_fresh(stop.clone()));
    let first = authorities.config();

    pair.renew();
    let renewed = another(&first, || authorities.config()).await;

    std::fs::write(pair.path("tls.crt"), "half a c").unwrap();
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert!(Arc::ptr_eq(&authorities.config(), &renewed), "the former ones are trusted on");

    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Waits until `current` is another than `former`.
async fn another<T>(former: &Arc<T>, current: impl Fn() -> Arc<T>) -> Arc<T> {
    let waiting = async {
        while Arc::ptr_eq(&current(), former) {
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
async fn files_that_are_wrong_are_named() {
    let (pair, other) = (Pair::new(), Pair::new());
    for (name, contents, words) in [
        ("tls.crt", "", "tls.crt holds no certificate in PEM"),
        ("tls.key", "no key", "tls.key holds no private key in PEM"),
        (
            "tls.key",
            &std::fs::read_to_string(other.path("tls.key")).unwrap(),
            "do not belong together",
        ),
    ] {
        pair.renew();
        std::fs::write(pair.path(name), contents).unwrap();
        let error = pair.read().await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    std::fs::remove_file(pair.path("tls.crt")).unwrap();
    let error = pair.read().await.unwrap_err().to_string();
    assert!(error.ends_with("tls.crt cannot be read"), "{error}");
}

#[tokio::test]
async fn a_private_key_is_in_no_debug_text() {
    let pair = Pair::new();
    let certificate = pair.read().await.unwrap();
    let key = std::fs::read_to_string(pair.path("tls.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(!format!("{certificate:?}").contains(line));
}
