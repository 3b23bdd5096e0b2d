//! A running BigQuery service with a fake BigQuery.

use std::{path::Path, sync::OnceLock, time::Duration};

use bigquery::BigQuery;
use plugin_core::testing::{Client, Dialect, TestService, spawn};
use tempfile::TempDir;
use tests::{
    discovery::Discovery,
    fakes::bigquery::{FakeBigQuery, Options, service_account_key},
};
use tokio::time::{sleep, timeout};

pub(crate) struct Stage {
    pub(crate) fake: FakeBigQuery,
    pub(crate) service: TestService,
}

/// The discovery document; required in CI.
pub(crate) fn discovery() -> Option<Discovery> {
    let installed = Discovery::installed().unwrap();
    let ci = option_env!("CI").is_some() || std::env::vars().any(|(name, _)| name == "CI");
    assert!(installed.is_some() || !ci, "{} is missing", Discovery::path().display());
    if installed.is_none() {
        eprintln!("{} is not installed: requests are not checked", Discovery::path().display());
    }
    installed
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(Options::default(), &[]).await
    }

    pub(crate) async fn set_with(options: Options, args: &[&str]) -> Self {
        let options = Options { discovery: discovery(), ..options };
        let fake = FakeBigQuery::start(options).await.unwrap();
        let service = replica(&fake, args).await;
        Self { fake, service }
    }

    pub(crate) async fn client(&self, dialect: Dialect) -> Client {
        self.service.client(dialect, "propeller").await
    }

    pub(crate) async fn metric_reaches(&self, name: &str, value: f64) {
        let reached = async {
            while self.service.metric(name).await < value {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), reached).await.expect(name);
    }
}

/// A directory with a service account key.
pub(crate) fn secrets_dir() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("google_application_credentials"), service_account_key())
            .unwrap();
        dir
    });
    dir.path()
}

/// A service for `fake`. All services share their handle keys.
pub(crate) async fn replica(fake: &FakeBigQuery, args: &[&str]) -> TestService {
    let endpoint = format!("--endpoint={}", fake.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let all = [endpoint.as_str(), secrets.as_str()].into_iter().chain(args.iter().copied());
    spawn::<BigQuery>(&all.collect::<Vec<_>>()).await
}
