//! A service for AWS with the fake that it calls.

use std::{path::Path, sync::OnceLock, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream};
use plugin_core::{
    Plugin,
    testing::{Client, Dialect, Observation, TestService, spawn},
};
use serde_json::Value as Json;
use tempfile::TempDir;
use tests::{
    fakes::aws::{ACCESS_KEY_ID, Fake, SECRET_ACCESS_KEY, Service},
    golden::{Flyte, Golden},
};

/// A fake service of AWS whose plugin is tested.
pub(crate) trait Staged: Service {
    /// The plugin.
    type Plugin: Plugin;
    /// Its flags, besides those of every stage.
    const ARGS: &'static [&'static str];
}

pub(crate) struct Stage<S: Staged> {
    pub(crate) fake: Fake<S>,
    pub(crate) service: TestService,
}

impl<S: Staged> Stage<S> {
    pub(crate) async fn set() -> Self {
        Self::set_with(S::Options::default(), &[]).await
    }

    pub(crate) async fn set_with(options: S::Options, args: &[&str]) -> Self {
        let fake = Fake::start(options).await.unwrap();
        let service = replica::<S>(&fake.url(), args).await;
        Self { fake, service }
    }

    /// Another service that calls the same fake.
    pub(crate) async fn replica(&self, args: &[&str]) -> TestService {
        replica::<S>(&self.fake.url(), args).await
    }

    pub(crate) async fn client(&self, dialect: Dialect) -> Client {
        self.service.client(dialect, "propeller").await
    }
}

/// `--secrets-dir` with the keys that fakes know.
pub(crate) fn secrets() -> String {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        write_keys(dir.path());
        dir
    });
    format!("--secrets-dir={}", dir.path().display())
}

/// Writes the keys that fakes know into a directory of secrets.
pub(crate) fn write_keys(dir: &Path) {
    std::fs::write(dir.join("aws_access_key_id"), ACCESS_KEY_ID).unwrap();
    std::fs::write(dir.join("aws_secret_access_key"), SECRET_ACCESS_KEY).unwrap();
}

/// A service that calls `url`. A flag in `args` replaces the stage's own.
pub(crate) async fn replica<S: Staged>(url: &str, args: &[&str]) -> TestService {
    let (endpoint, secrets) = (format!("--endpoint={url}"), secrets());
    let mut all = vec!["--region=eu-central-1", "--poll-freshness=0s", &endpoint, &secrets];
    all.extend(S::ARGS);
    // A later flag of the same name would be an error.
    all.retain(|arg| !args.iter().any(|own| own.split('=').next() == arg.split('=').next()));
    all.extend(args);
    spawn::<S::Plugin>(&all).await
}

/// A golden request of Flyte 1.
pub(crate) fn golden(name: &str) -> Json {
    Golden::read(Flyte::V1, name).unwrap().json
}

/// `task` as that of another attempt.
pub(crate) fn attempt(mut task: Json, number: usize) -> Json {
    task["output_prefix"] = format!("s3://my-bucket/metadata/run-{number}/n0/data/0").into();
    task
}

/// Creates a job for each of `tasks`, a hundred at a time; returns their handles.
pub(crate) async fn create_all(client: &Client, tasks: impl Iterator<Item = Json>) -> Vec<Vec<u8>> {
    let creates = tasks.map(async |task| client.create(&task).await.unwrap());
    stream::iter(creates).buffered(100).collect().await
}

/// Polls the jobs of `handles` all at once; returns their phases.
pub(crate) async fn poll_all(client: &Client, task: &Json, handles: &[Vec<u8>]) -> Vec<String> {
    let poll = async |handle: &Vec<u8>| client.get(task, handle).await.unwrap().phase;
    join_all(handles.iter().map(poll)).await
}

/// Polls a job until it ends; returns the last that was seen.
pub(crate) async fn end(client: &Client, task: &Json, handle: &[u8]) -> Observation {
    for _ in 0..500 {
        let seen = client.get(task, handle).await.unwrap();
        if ["SUCCEEDED", "FAILED", "RETRYABLE_FAILED"].contains(&seen.phase.as_str()) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job did not end")
}

/// Creates a job and polls it until it ends; returns the last that was seen.
pub(crate) async fn run(client: &Client, task: &Json) -> Observation {
    let handle = client.create(task).await.unwrap();
    end(client, task, &handle).await
}

/// Expects that `task` is refused or fails at once; returns why.
pub(crate) async fn refusal(client: &Client, task: &Json) -> String {
    match client.create(task).await {
        Ok(handle) => {
            let seen = client.get(task, &handle).await.unwrap();
            assert_eq!(seen.phase, "FAILED", "{seen:?}");
            seen.message
        }
        Err(error) => error.message,
    }
}
