//! Files that change while they are served, mounted as Kubernetes mounts a ConfigMap.

#![expect(clippy::unwrap_used, reason = "functions that tests share")]

use std::{os::unix::fs::symlink, path::PathBuf, time::Duration};

use declarative::Declarative;
use plugin_core::{
    serde_json::{Value as Json, json},
    testing::{Answer, Client, Dialect, TestService, Upstream, spawn},
};
use tempfile::TempDir;

const ACME: &str = "
version: 1
plugin: {name: acme, description: Jobs of Acme, task_types: [acme_job:0], example: {custom: {script: a.py}}}
settings: {address: {description: The URL of Acme's API}}
upstream: {base: =settings.address, auth: none}
custom:
  script: {type: string, required: true}
create:
  request: {post: /jobs, json: {script: =custom.script, edition: first}}
  idempotency: {field: requestId}
  job: {id: =body.id}
get:
  request: {get: '/jobs/${job.id}'}
  state: =body.state
  states: {running: running, done: succeeded, error: failed}
delete:
  request: {delete: '/jobs/${job.id}'}
";

/// A mounted ConfigMap: files are links into `..data`, itself a link, which the kubelet replaces.
struct ConfigMap {
    directory: TempDir,
    version: u32,
}

impl ConfigMap {
    fn with(files: &[(&str, &str)]) -> Self {
        let mut mounted = Self { directory: tempfile::tempdir().unwrap(), version: 0 };
        mounted.update(files);
        mounted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn update(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let version = format!("..2026_{}", self.version);
        std::fs::create_dir(self.path(&version)).unwrap();
        for (name, text) in files {
            std::fs::write(self.path(&version).join(name), text).unwrap();
        }
        symlink(&version, self.path("..data_tmp")).unwrap();
        std::fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        for (name, _) in files {
            // There already, unless the file is new.
            let _ = symlink(format!("..data/{name}"), self.path(name));
        }
    }
}

struct Stage {
    mounted: ConfigMap,
    service: TestService,
    vendor: Upstream,
    client: Client,
}

impl Stage {
    async fn serving(text: &str) -> Self {
        Self::serving_with(text, &[]).await
    }

    async fn serving_with(text: &str, args: &[&str]) -> Self {
        let (mounted, vendor) = (ConfigMap::with(&[("acme.yaml", text)]), Upstream::start().await);
        let set = format!("--set=acme.address={}", vendor.url());
        let files = format!("--files={}", mounted.directory.path().display());
        let service = spawn::<Declarative>(&[&[set.as_str(), files.as_str()], args].concat()).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        Self { mounted, service, vendor, client }
    }

    /// Replaces the file, and waits until it was looked at.
    async fn update(&mut self, text: &str) {
        let before = self.reloads().await;
        self.mounted.update(&[("acme.yaml", text)]);
        while self.reloads().await == before {
            pass().await;
        }
    }

    async fn reloads(&self) -> f64 {
        self.service.metric("declarative_reloads_total").await
    }

    async fn outdated(&self) -> f64 {
        self.service.metric("declarative_outdated_files").await
    }

    /// Submits a job; returns its handle, and the body that the vendor got.
    async fn create(&self, attempt: &str) -> (Vec<u8>, Json) {
        self.vendor.answer_with([Answer::new(200, json!({"id": "1"}))]);
        let handle = self.client.create(&task(attempt)).await.unwrap();
        (handle, self.vendor.take_received().pop().unwrap().json())
    }

    async fn poll(&self, handle: &[u8], state: &str) -> String {
        self.vendor.answer_with([Answer::new(200, json!({"state": state}))]);
        self.client.get(&task("1"), handle).await.unwrap().phase
    }

    async fn openapi(&self) -> Json {
        let url = format!("http://{}/openapi.json", self.service.api());
        #[expect(clippy::disallowed_methods, reason = "a test's")]
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).send().await.unwrap().bytes().await.unwrap();
        plugin_core::serde_json::from_slice(&answer).unwrap()
    }
}

fn task(attempt: &str) -> Json {
    json!({
        "template": {"type": "acme_job", "custom": {"script": "a.py"}},
        "output_prefix": format!("s3://bucket/{attempt}"),
    })
}

/// Ten seconds, in which files are looked at.
async fn pass() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn creates_in_progress_count_after_a_reload() {
    let limits = |creates: &str| {
        let limits = "limits: {creates: 1, upstream_timeout: 10m, task_types: {acme_job: ";
        format!("{limits}{{creates: {creates}}}}}}}{ACME}")
    };
    let mut stage = Stage::serving_with(&limits("1"), &["--request-timeout=10m"]).await;
    stage.vendor.answer_with([Answer::new(200, json!({"id": "1"}))]);
    stage.vendor.hold();
    let client = stage.service.client(Dialect::Flyte1, "propeller").await;
    let first = task("1");
    let mut first = Box::pin(client.create(&first));
    tokio::select! {
        created = &mut first => panic!("{created:?}"),
        () = stage.vendor.wait_for(1) => {}
    }
    stage.update(&limits("1").replace("edition: first", "edition: second")).await;
    let refused = stage.client.create(&task("2")).await.unwrap_err().to_string();
    assert!(refused.contains("the task type acme_job is overloaded"), "{refused}");
    // A larger limit lets in as many more.
    stage.update(&limits("2")).await;
    let third = task("3");
    let mut third = Box::pin(stage.client.create(&third));
    tokio::select! {
        created = &mut third => panic!("{created:?}"),
        () = stage.vendor.wait_for(2) => {}
    }
    let refused = client.create(&task("4")).await.unwrap_err().to_string();
    assert!(refused.contains("the task type acme_job is overloaded"), "{refused}");
    stage.vendor.release();
    first.await.unwrap();
    third.await.unwrap();
    client.create(&task("5")).await.unwrap();
}

/// An overflow in minijinja's arithmetic, which `check` does not let it reach.
#[tokio::test]
async fn a_slice_whose_step_overflows_changes_nothing() {
    let mut stage = Stage::serving(ACME).await;
    let panics = "edition: \"='abc'[::-9223372036854775808]\"";
    stage.update(&ACME.replace("edition: first", panics)).await;
    assert_eq!(stage.create("1").await.1["edition"], "first");
    stage.update(&ACME.replace("edition: first", "edition: second")).await;
    assert_eq!(stage.create("2").await.1["edition"], "second");
}

#[tokio::test]
async fn a_changed_file_is_served_and_jobs_in_flight_go_on() {
    let mut stage = Stage::serving(ACME).await;
    let (handle, sent) = stage.create("1").await;
    assert_eq!(sent["edition"], "first");
    assert!(!stage.openapi().await.to_string().contains("urgency"));

    let second = ACME
        .replace("edition: first", "edition: second")
        .replace("  script: {type", "  urgency: {type: integer}\n  script: {type")
        .replace("states: {running", "states: {waiting: queued, running");
    stage.update(&second).await;
    assert_eq!(stage.poll(&handle, "waiting").await, "QUEUED");
    assert_eq!(stage.poll(&handle, "done").await, "SUCCEEDED");
    assert_eq!(stage.create("2").await.1["edition"], "second");
    assert!(stage.openapi().await.to_string().contains("urgency"));
    assert_eq!(stage.outdated().await, 0.0);
}

#[tokio::test]
async fn a_wrong_file_changes_nothing() {
    let mut stage = Stage::serving(ACME).await;
    let (handle, _) = stage.create("1").await;
    let wrong = ACME.replace("=custom.script", "=custom.scirpt").replace("first", "second");
    stage.update(&wrong).await;
    assert_eq!(stage.outdated().await, 1.0);
    assert_eq!(stage.service.admin_text("/readyz").await.trim(), "ok");
    assert_eq!(stage.poll(&handle, "done").await, "SUCCEEDED");
    assert_eq!(stage.create("2").await.1["edition"], "first");
    let metrics = stage.service.admin_text("/metrics").await;
    let refused = r#"declarative_reloads_total{plugin="acme",outcome="refused"} 1"#;
    assert!(metrics.contains(refused), "{metrics}");

    // Looked at again, it is the same file.
    for _ in 0..3 {
        pass().await;
    }
    assert_eq!(stage.reloads().await, 1.0);
    stage.update(&wrong.replace("scirpt", "script")).await;
    assert_eq!(stage.outdated().await, 0.0);
    assert_eq!(stage.create("3").await.1["edition"], "second");
}

#[tokio::test]
async fn what_needs_a_restart_waits_for_one() {
    let mut stage = Stage::serving(ACME).await;
    for (from, to) in [
        ("name: acme,", "name: acme-2,"),
        ("[acme_job:0]", "[acme_job:0, acme_script:0]"),
        ("job: {id: =body.id}", "job: {id: =body.id, cluster: =body.cluster}"),
        ("settings: {", "settings: {region: {description: A region}, "),
    ] {
        assert!(ACME.contains(from), "{from}");
        stage.update(&ACME.replace(from, to).replace("first", "second")).await;
        assert_eq!(stage.outdated().await, 1.0, "{to}");
        assert_eq!(stage.create(to).await.1["edition"], "first", "{to}");
    }
    stage.update(&ACME.replace("first", "second")).await;
    stage.mounted.update(&[("acme.yaml", &ACME.replace("first", "second")), ("other.yaml", ACME)]);
    while stage.outdated().await == 0.0 {
        pass().await;
    }
    assert_eq!(stage.create("last").await.1["edition"], "second");
}

#[tokio::test]
async fn a_file_that_is_gone_is_served_on() {
    let mut stage = Stage::serving(ACME).await;
    stage.mounted.update(&[]);
    while stage.outdated().await == 0.0 {
        pass().await;
    }
    assert_eq!(stage.create("1").await.1["edition"], "first");
    stage.update(&ACME.replace("first", "second")).await;
    assert_eq!(stage.create("2").await.1["edition"], "second");
}

#[tokio::test]
async fn a_file_that_is_being_written_is_not_served() {
    let stage = Stage::serving(ACME).await;
    // Not by a link that is replaced, but in place: the first part is a whole file, too.
    let path = stage.mounted.path("..data/acme.yaml");
    let (half, rest) = (ACME.replace("first", "half"), "links: {Acme: 'https://acme.example'}\n");
    std::fs::write(&path, &half).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(10_100)).await;
    tokio::time::resume();
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::fs::write(&path, format!("{}{rest}", half.replace("half", "whole"))).unwrap();
    while stage.reloads().await == 0.0 {
        pass().await;
    }
    assert_eq!(stage.reloads().await, 1.0, "the first part was served");
    assert_eq!(stage.create("1").await.1["edition"], "whole");
}
