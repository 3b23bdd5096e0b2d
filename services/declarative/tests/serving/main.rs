//! Files as they are served: several at once, each way to sign requests, and what answers become.

#![expect(clippy::unwrap_used, reason = "functions that tests share")]

mod limits;
mod many;
mod trouble;

use std::path::Path;

use declarative::Declarative;
use plugin_core::{
    serde_json::{Value as Json, json},
    testing::{Answer, Client, Dialect, TestService, Upstream, spawn},
};
use tempfile::TempDir;

/// A plugin whose parts tests replace.
const ACME: &str = include_str!("../acme.yaml");

struct Stage {
    service: TestService,
    vendor: Upstream,
    client: Client,
    _files: TempDir,
}

/// Serves `files`, with the plugin `acme` at a vendor that is scripted.
async fn serve(files: &[&str]) -> Stage {
    let vendor = Upstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    for secret in ["acme_token", "acme_user", "acme_client"] {
        write(secret, &format!("{secret}-canary"));
    }
    let mut args = vec![format!("--set=acme.address={}", vendor.url())];
    args.push(format!("--secrets-dir={}", directory.path().display()));
    for (index, text) in files.iter().enumerate() {
        let name = format!("{index}.yaml");
        write(&name, text);
        args.push(format!("--files={}", directory.path().join(name).display()));
    }
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    let service = spawn::<Declarative>(&args).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    Stage { service, vendor, client, _files: directory }
}

fn task(outputs: &Json) -> Json {
    let custom = json!({"script": "report.py", "size": null});
    json!({
        "template": {
            "type": "acme_job",
            "custom": custom,
            "interface": {"outputs": {"variables": outputs}},
        },
        "output_prefix": "s3://bucket/1",
    })
}

impl Stage {
    fn answer(&self, status: u16, body: Json) {
        self.vendor.answer_with([Answer::new(status, body)]);
    }

    /// A job of the task `task`.
    async fn created(&self, task: &Json) -> Vec<u8> {
        self.answer(200, json!({"id": "a/b ?"}));
        self.client.create(task).await.unwrap()
    }

    /// The status after `body`, and its outputs.
    async fn polled(&self, task: &Json, handle: &[u8], body: Json) -> (String, String, Json) {
        self.answer(200, body);
        let seen = self.client.get(task, handle).await.unwrap();
        (seen.phase, seen.message, seen.outputs)
    }

    async fn rest(&self, path: &str) -> Json {
        let url = format!("http://{}{path}", self.service.api());
        #[expect(clippy::disallowed_methods, reason = "a test's")]
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let token = self.service.token("propeller");
        let answer = http.get(url).bearer_auth(token).send().await.unwrap();
        plugin_core::serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn requests_are_what_the_file_says() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({}));
    let handle = stage.created(&task).await;
    let sent = stage.vendor.take_received().remove(0);
    assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", "/v1/jobs"));
    assert_eq!(sent.headers["authorization"], "Bearer acme_token-canary");
    assert_eq!(sent.headers["x-client"], "flyte");
    let mut body = sent.json();
    let key = body.as_object_mut().unwrap().remove("requestId").unwrap();
    assert_eq!(key.as_str().unwrap().len(), 64);
    let expected = json!({
        "script": "report.py", "retries": 2, "parameters": {}, "size": "small", "literal": "478",
    });
    assert_eq!(body, expected);

    // What an id contains stays one part of the path.
    let (phase, ..) = stage.polled(&task, &handle, json!({"state": "waiting"})).await;
    assert_eq!(phase, "QUEUED");
    let target = stage.vendor.take_received().remove(0).target;
    assert_eq!(target, "/v1/jobs/a%2Fb%20%3F/?full=true");
}

#[tokio::test]
async fn states_become_phases() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({}));
    let handle = stage.created(&task).await;
    for (body, phase, message) in [
        (json!({"state": "odd", "phase": "initializing"}), "INITIALIZING", ""),
        (json!({"state": "odd", "phase": "melting"}), "RUNNING", "in the unknown state odd"),
        (json!({"state": "paused"}), "RUNNING", "in the unknown state paused"),
        // An answer that does not fit the file leaves the last known status.
        (json!({"no": "state"}), "RUNNING", "does not fit the plugin's file"),
        (json!([1]), "RUNNING", "does not fit the plugin's file"),
        (json!({"state": "error", "again": true, "why": "lost"}), "RETRYABLE_FAILED", "lost"),
    ] {
        let (seen, told, _) = stage.polled(&task, &handle, body.clone()).await;
        assert_eq!(seen, phase, "{body}");
        assert!(told.contains(message), "{body}: {told}");
    }
}

#[tokio::test]
async fn a_failure_has_the_vendors_code_and_message() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({}));
    let handle = stage.created(&task).await;
    let body = json!({"state": "error", "code": "E1", "why": "no rows"});
    let (phase, told, _) = stage.polled(&task, &handle, body).await;
    assert_eq!((phase.as_str(), told.as_str()), ("FAILED", "E1: no rows"));
}

#[tokio::test]
async fn outputs_have_the_types_that_the_task_declares() {
    let stage = serve(&[ACME]).await;
    let strings = json!({"type": {"collection_type": {"simple": "STRING"}}});
    let declared = json!({
        "rows": {"type": {"simple": "INTEGER"}},
        "table": {"type": {"structured_dataset_type": {}}},
        "names": strings,
    });
    let task = task(&declared);
    let handle = stage.created(&task).await;
    let done = |rows: Json, table: Json| json!({"state": "done", "rows": rows, "table": table, "names": ["a"]});

    let (phase, told, _) = stage.polled(&task, &handle, done(json!("7"), json!("s3://b/t"))).await;
    assert_eq!(phase, "FAILED");
    assert!(told.contains("outputs.rows: is a string, but the task declares an integer"), "{told}");

    let mut task = task.clone();
    task["output_prefix"] = json!("s3://bucket/2");
    stage.answer(200, json!({"id": "2"}));
    let other = stage.client.create(&task).await.unwrap();
    let (phase, told, _) = stage.polled(&task, &other, json!({"state": "done"})).await;
    assert_eq!(phase, "FAILED");
    assert!(told.contains("outputs.names: is null, but the task declares a value"), "{told}");
}

#[tokio::test]
async fn a_table_may_have_a_format() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({"table": {"type": {"structured_dataset_type": {}}}}));
    let handle = stage.created(&task).await;
    let table = json!({"uri": "s3://b/t", "file_format": "csv"});
    let (phase, told, outputs) =
        stage.polled(&task, &handle, json!({"state": "done", "table": table})).await;
    assert_eq!(phase, "SUCCEEDED", "{told}");
    let text = outputs.to_string();
    assert!(text.contains("s3://b/t") && text.contains("csv"), "{text}");
}

#[tokio::test]
async fn a_directory_stays_one() {
    let stage = serve(&[ACME]).await;
    let directory = json!({"type": {"blob": {"format": "csv", "dimensionality": "MULTIPART"}}});
    let task = task(&json!({"rows": directory}));
    let handle = stage.created(&task).await;
    let (phase, told, outputs) =
        stage.polled(&task, &handle, json!({"state": "done", "rows": "s3://b/d/"})).await;
    assert_eq!(phase, "SUCCEEDED", "{told}");
    let blob = &outputs["literals"]["rows"]["scalar"]["blob"];
    assert_eq!(blob["uri"], "s3://b/d/");
    let expected = json!({"format": "csv", "dimensionality": "MULTIPART"});
    assert_eq!(blob["metadata"]["type"], expected, "{outputs}");
}

#[tokio::test]
async fn an_output_that_the_file_does_not_have_is_refused() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({"speed": {"type": {"simple": "INTEGER"}}}));
    stage.answer(200, json!({"id": "1"}));
    let handle = stage.client.create(&task).await.unwrap();
    let seen = stage.client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(
        seen.message.contains("no such output; it has [rows, table, names]"),
        "{}",
        seen.message
    );
    assert_eq!(stage.vendor.count(), 0);
}

#[tokio::test]
async fn a_job_that_has_ended_is_deleted() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({}));
    let handle = stage.created(&task).await;
    stage.answer(400, json!({"code": "ALREADY_ENDED", "why": "too late"}));
    stage.client.delete(&task, &handle).await.unwrap();
}

#[tokio::test]
async fn a_caller_is_held_to_its_targets() {
    let stage = serve(&[&ACME.replace("acme_job:0", "limited:0")]).await;
    let mut task = task(&json!({}));
    task["template"]["type"] = json!("limited");
    let limited = stage.service.client(Dialect::Rest, "limited").await;
    let error = limited.create(&task).await.unwrap_err();
    assert_eq!(error.code, 403, "{error}");
    assert_eq!(stage.vendor.count(), 0);
}

#[tokio::test]
async fn each_task_type_has_the_schema_of_its_file() {
    let other = ACME.replace("name: acme\n", "name: other\n").replace("acme_job:0", "other_job:3");
    let other = other.replace("script:", "program:").replace("custom.script", "custom.program");
    let other = other.replace("The URL of Acme's API", "The URL, default: 'https://other.example'");
    let stage = serve(&[ACME, &other]).await;
    let schema = stage.rest("/plugins/v1/acme_job/0/schema").await;
    assert_eq!(schema["required"], json!(["script"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["size"]["enum"], json!(["small", "large"]));
    let schema = stage.rest("/plugins/v1/other_job/3/schema").await;
    assert_eq!(schema["required"], json!(["program"]));
    let document = stage.rest("/openapi.json").await.to_string();
    assert!(document.contains("report.py"), "the example is not in the document");
}

#[tokio::test]
async fn basic_and_header_credentials_are_sent() {
    let basic = "{basic: {username: acme_user, password: acme_token}}";
    let header = "{header: {name: X-Token, secret: acme_token, prefix: 'Token '}}";
    let cookie = "{header: {name: Cookie, secret: acme_token, prefix: 'session='}}";
    let user = "acme_token: A token, acme_user: A user";
    for (auth, secrets, name, value) in [
        (basic, user, "authorization", "Basic YWNtZV91c2VyLWNhbmFyeTphY21lX3Rva2VuLWNhbmFyeQ=="),
        (header, "acme_token: A token", "x-token", "Token acme_token-canary"),
        (cookie, "acme_token: A token", "cookie", "session=acme_token-canary"),
    ] {
        let file = ACME.replace("{bearer: {secret: acme_token}}", auth);
        let stage = serve(&[&file.replace("acme_token: A token", secrets)]).await;
        stage.created(&task(&json!({}))).await;
        assert_eq!(stage.vendor.received()[0].headers[name], value);
    }
}

#[tokio::test]
async fn a_token_is_got_with_client_credentials() {
    let auth = "{oauth2: {token_url: '${settings.address}/oauth/token', client_id: acme_client,
      client_secret: acme_token, scope: jobs.write, audience: acme}}";
    let file = ACME.replace("{bearer: {secret: acme_token}}", auth);
    let file = file.replace("acme_token: A token", "acme_token: A token, acme_client: A client");
    let stage = serve(&[&file]).await;
    // RFC 6749 has a number here, but not every endpoint does.
    let token =
        json!({"access_token": "issued-0123456789", "token_type": "Bearer", "expires_in": "60"});
    let created = Answer::new(200, json!({"id": "1"}));
    stage.vendor.answer_with([Answer::new(200, token), created]);
    stage.client.create(&task(&json!({}))).await.unwrap();
    let sent = stage.vendor.received();
    assert_eq!(sent[0].to_string(), "POST /oauth/token");
    let form = String::from_utf8_lossy(&sent[0].body).into_owned();
    let expected = "grant_type=client_credentials&client_id=acme_client-canary&client_secret=acme_token-canary&scope=jobs.write&audience=acme";
    assert_eq!(form, expected);
    assert_eq!(sent[1].headers["authorization"], "Bearer issued-0123456789");
    assert_eq!(sent.len(), 2);
}

/// Why the service does not start with `file` and `set`.
fn refusal(file: &str, set: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("acme.yaml");
    std::fs::write(&path, file).unwrap();
    start(&path, set)
}

fn start(path: &Path, set: &str) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_declarative"));
    program.args(["--insecure-no-auth", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    let output = program.arg("--files").arg(path).arg("--set").arg(set).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_file_or_setting_is_refused_at_the_start() {
    for (file, set, message) in [
        (ACME, "acme.retries=3", "acme.address is missing: The URL of Acme's API"),
        (
            ACME,
            "acme.adress=x",
            "acme.adress: unknown setting; the file declares [address, retries]",
        ),
        (ACME, "acme.address=x,acme.retries=many", "acme.retries: must be an integer"),
        (ACME, "acne.address=x", "acme.address is missing"),
        (ACME, "acme.address=nowhere", "is not a URL"),
        (ACME, "acme.address=http://api.example", "--insecure-upstream"),
        (ACME, "acme", "must be PLUGIN.NAME=VALUE"),
        ("version: 1", "acme.address=x", "acme.yaml is wrong"),
    ] {
        let error = refusal(file, set);
        assert!(error.contains(message), "{set}: {error}");
    }
    let error = start(Path::new("/nowhere/acme.yaml"), "acme.address=x");
    assert!(error.contains("--files (DECLARATIVE_FILES): /nowhere/acme.yaml"), "{error}");
}
