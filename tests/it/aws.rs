//! What services of AWS share: whose keys sign, and what a task may ask for.

mod canary;
mod choice;
mod container;
mod files;
mod instance;
mod role;
pub(crate) mod stage;
mod web_identity;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use plugin_core::testing::{CallError, Client, Dialect, TestService, spawn};
use serde_json::Value as Json;
use tempfile::TempDir;
use tests::{
    fakes::{
        athena::{FakeAthena, Options},
        aws::Identity,
    },
    golden::{Flyte, Golden},
};

/// Calls end soon: their keys are not obtained.
const HURRY: &str = "--upstream-timeout=1s";

/// A service for Athena whose keys come from elsewhere than secrets.
struct Stage {
    athena: FakeAthena,
    service: TestService,
}

impl Stage {
    /// A service with these settings of its identity. Athena knows the first temporary keys.
    async fn set(identity: &[&str]) -> Self {
        let athena = FakeAthena::start(Options::default()).await.unwrap();
        (1..1000).for_each(|number| athena.checker().know(Identity::temporary(number)));
        let endpoint = format!("--endpoint={}", athena.url());
        let args = ["--region=eu-central-1", "--poll-freshness=0s", &endpoint];
        let service = spawn::<athena::Athena>(&[&args[..], identity].concat()).await;
        Self { athena, service }
    }

    async fn client(&self) -> Client {
        self.service.client(Dialect::Flyte1, "propeller").await
    }

    async fn create(&self) -> Result<Vec<u8>, CallError> {
        self.client().await.create(&task()).await
    }

    /// The id of the key that signs a create.
    async fn signer(&self) -> String {
        self.create().await.unwrap();
        self.athena.received().last().unwrap().access_key.clone()
    }

    /// The value of a metric about fetches from `source`.
    async fn fetches(&self, source: &str, outcome: &str) -> u32 {
        let name = "plugin_aws_credential_fetches_total";
        let sample = format!("{name}{{source=\"{source}\",outcome=\"{outcome}\"}} ");
        let text = self.service.admin_text("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok());
        value.unwrap_or_default()
    }

    /// Expects that creates fail over every protocol as when Athena is down, because `source` gives no keys, and that the
    /// caller learns nothing else.
    async fn expect_outage(&self, source: &str) {
        let message = format!("the service could not obtain AWS keys from its identity ({source})");
        for dialect in Dialect::ALL {
            let client = self.service.client(dialect, "propeller").await;
            let error = client.create(&task()).await.unwrap_err();
            let code = if dialect.is_grpc() { 14 } else { 503 };
            assert_eq!(error.code, code, "{dialect}: {error:?}");
            let prefix = "the service has no usable credentials for the vendor: ";
            let told = error.message.strip_prefix(prefix).unwrap_or(&error.message);
            // What may pass is tried again for as long as the call may take.
            if told != "timed out obtaining upstream credentials" {
                assert_eq!(told, message, "{dialect}");
                assert!(self.fetches(source, "failure").await > 0);
            }
        }
        assert_eq!(self.athena.requests(), 0);
        assert_eq!(self.fetches(source, "success").await, 0);
    }
}

/// A task like no other.
fn task() -> Json {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let mut task = Golden::read(Flyte::V1, "ath_select").unwrap().json;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    task["output_prefix"] = format!("s3://my-bucket/keys/{number}").into();
    task
}

/// The id of the `number`th temporary key.
fn key(number: usize) -> String {
    Identity::temporary(number).access_key
}

/// A directory with one file.
struct File {
    dir: TempDir,
    name: &'static str,
}

impl File {
    fn new(name: &'static str, content: &str) -> Self {
        let this = Self { dir: tempfile::tempdir().unwrap(), name };
        this.write(content);
        this
    }

    fn write(&self, content: &str) {
        std::fs::write(self.path(), content).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// `--flag=path`.
    fn flag(&self, flag: &str) -> String {
        format!("--{flag}={}", self.path().display())
    }
}

/// A hundred creates at once.
async fn hundred(stage: &Stage) -> Vec<Result<Vec<u8>, CallError>> {
    let client = stage.client().await;
    let tasks = (0..100).map(|_| task()).collect::<Vec<_>>();
    join_all(tasks.iter().map(|task| client.create(task))).await
}
