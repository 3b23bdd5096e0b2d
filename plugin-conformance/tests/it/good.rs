//! Services of the core's: every rule holds.

use std::sync::atomic::{AtomicU32, Ordering};

use plugin_conformance::{Outcome, run};
use plugin_core::{
    Context, Error, HttpBuilder, Kind, Phase, Plugin, Result, Status, SyncPlugin, Task, TaskType,
    Value, clap, schemars,
    testing::{TestService, spawn, spawn_sync},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{args, faults::task, file, ids};

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Custom {
    text: String,
}

/// A job that has succeeded when it was polled.
struct Jobs;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    id: String,
}

fn refused(text: &str) -> Result<()> {
    match text {
        "refuse" => Err(Error::new(Kind::FailedPrecondition, "the vendor says no").upstream()),
        _ => Ok(()),
    }
}

fn succeeded(text: &str) -> Status {
    Status::new(Phase::Succeeded)
        .link("Console", "https://vendor.example.com/job")
        .output("text", Some(Value::String(text.to_owned())))
        .output("count", Some(Value::Integer(1)))
}

impl Plugin for Jobs {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("jobs", 0)];
    type Settings = Settings;
    type Custom = Custom;
    type Meta = Meta;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self)
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Meta> {
        refused(&task.custom.text)?;
        Ok(Meta { id: cx.idempotency_key().hex() })
    }

    async fn get(&self, _: &Context, meta: Meta) -> Result<Status> {
        Ok(succeeded(&meta.id))
    }

    async fn delete(&self, _: &Context, _: Meta) -> Result<()> {
        Ok(())
    }
}

/// A task that is answered within the call, and says of each call which it was.
struct Echo {
    calls: AtomicU32,
}

impl SyncPlugin for Echo {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("echo", 0)];
    type Settings = Settings;
    type Custom = Custom;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self { calls: AtomicU32::new(0) })
    }

    async fn execute(&self, _: &Context, task: Task<Custom>) -> Result<Status> {
        refused(&task.custom.text)?;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Status::new(Phase::Succeeded)
            .message(format!("call {call}"))
            .link("Call", format!("https://vendor.example.com/calls/{call}"))
            .info("call", Some(call))
            .output("text", Some(Value::String(format!("{} {call}", task.custom.text))))
            .output("count", Some(Value::Integer(call.into()))))
    }
}

/// Checks a service and expects nothing but rules of the other mode to be skipped.
async fn check(service: &TestService, name: &str, other: &[&str]) {
    let url = format!("--url=http://{}", service.api());
    check_at(&url, &[], service, name, other).await;
}

async fn check_at(url: &str, more: &[&str], service: &TestService, name: &str, other: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let line = [
        url.to_owned(),
        format!("--admin-url=http://{}", service.admin()),
        file(&dir, "--token-file", &service.token("propeller")),
        file(&dir, "--canary-file", "a secret of tests, longer than 32 bytes"),
        file(&dir, "--task", &task(name, "hi").to_string()),
        file(&dir, "--bad-task", &task(name, "refuse").to_string()),
    ];
    let line = line.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>();
    let report = run(&args(&line)).await.unwrap();
    let broken = ids(&report, &[Outcome::Fail, Outcome::Warn]);
    assert_eq!(broken, [""; 0], "{}", report.text());
    let skipped = ids(&report, &[Outcome::Skip]);
    let is_other = |id: &&String| other.iter().any(|group| id.starts_with(group));
    assert_eq!(skipped.iter().filter(|id| !is_other(id)).collect::<Vec<_>>(), [&""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_core_passes_every_rule() {
    let service = spawn::<Jobs>(&[]).await;
    check(&service, "jobs", &["execute/"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_plugin_of_the_core_passes_every_rule() {
    let service = spawn_sync::<Echo>(&[]).await;
    check(&service, "echo", &["create/", "get/", "delete/"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_a_certificate_passes_every_rule() {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("tls.crt"), cert.pem()).unwrap();
    std::fs::write(path("tls.key"), signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let settings = [format!("--tls-certificate={certificate}"), format!("--tls-key={key}")];
    let service = spawn_sync::<Echo>(&settings.each_ref().map(String::as_str)).await;
    let url = format!("--url=https://localhost:{}", service.api().port());
    let trusted = format!("--ca-file={certificate}");
    check_at(&url, &[&trusted], &service, "echo", &["create/", "get/", "delete/"]).await;
    let error = run(&args(&[&url])).await.unwrap_err().to_string();
    assert!(error.contains("TLS: invalid peer certificate"), "{error}");
    service.stop().await;
}
