//! The REST API.

use http::Method;
use serde_json::{Value as Json, json};
use tests::{
    fakes::bigquery::{Ending, Options},
    golden::{Flyte, Golden},
};

use crate::stage::Stage;

const PATH: &str = "/plugins/v1/bigquery_query_job_task/0";

impl Stage {
    async fn rest(&self, method: Method, target: &str, body: Option<Json>) -> (u16, Json) {
        self.rest_with(method, target, body, &[]).await
    }

    async fn rest_with(
        &self,
        method: Method,
        target: &str,
        body: Option<Json>,
        headers: &[(&str, &str)],
    ) -> (u16, Json) {
        let url = format!("http://{}{target}", self.service.api());
        let mut request = reqwest::Client::new().request(method, url);
        request = request.bearer_auth(self.service.token("ann"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(match body {
                Json::String(text) => text,
                other => other.to_string(),
            });
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

fn short() -> Json {
    json!({
        "custom": {"ProjectID": "acme-analytics", "Location": "EU"},
        "sql": "SELECT @name, @n, @x, @ok, @ids",
        "inputs": {"name": "DE", "n": 7, "x": 0.5, "ok": true, "ids": [1, 2]},
    })
}

#[tokio::test]
async fn short_form_runs_to_success() {
    let stage = Stage::set().await;
    let key = [("idempotency-key", "nightly-2026-03-01")];
    let (status, created) = stage.rest_with(Method::PUT, PATH, Some(short()), &key).await;
    assert_eq!(status, 200, "{created}");
    assert_eq!((&created["error_code"], &created["message"]), (&Json::Null, &json!("")));
    let (vendors, link) = (&created["job_spec"]["job"], &created["log_links"][0]);
    assert_eq!(vendors["project"], "acme-analytics", "{created}");
    assert!(link["uri"].as_str().unwrap().contains(vendors["id"].as_str().unwrap()), "{created}");
    let sent = &stage.fake.inserted()[0]["configuration"]["query"]["queryParameters"];
    let types = sent.as_array().unwrap().iter().map(|p| {
        let name = p["name"].as_str().unwrap();
        (name, p["parameterType"]["type"].as_str().unwrap())
    });
    assert_eq!(
        types.collect::<Vec<_>>(),
        [("ids", "ARRAY"), ("n", "INT64"), ("name", "STRING"), ("ok", "BOOL"), ("x", "FLOAT64")]
    );

    let job = created["job_id"].as_str().unwrap();
    let mut seen = Json::Null;
    for (state, phase) in [("running", "QUEUED"), ("running", "RUNNING"), ("running", "RUNNING")] {
        let (status, now) = stage.rest(Method::GET, &format!("{PATH}?job_id={job}"), None).await;
        assert_eq!(status, 200);
        assert_eq!((now["job_state"].as_str(), now["phase"].as_str()), (Some(state), Some(phase)));
        seen = now;
    }
    let console = seen["log_links"][0]["uri"].as_str().unwrap();
    assert!(console.starts_with(
        "https://console.cloud.google.com/bigquery?project=acme-analytics&j=bq:EU:flyte-"
    ));
    assert_eq!(seen["custom_info"]["location"], "EU");

    let (_, done) = stage.rest(Method::GET, &format!("{PATH}?resource_id={job}"), None).await;
    assert_eq!(done["job_state"], "succeed");
    let results = &done["outputs"]["literals"]["results"]["scalar"]["structured_dataset"]["uri"];
    assert_eq!(&done["output_values"]["results"], results, "the same as plain JSON");
    assert!(results.as_str().unwrap().starts_with("bq://acme-analytics:_d0c0ffee.anon"));
    assert_eq!(done["custom_info"]["total_bytes_billed"], "10485760");
    assert_eq!(done["job_spec"]["task_type"], "bigquery_query_job_task");
    assert_eq!(done["job_spec"], created["job_spec"], "one place in every answer");
    assert_eq!(done["log_links"][0], created["log_links"][0]);

    let (status, deleted) = stage.rest(Method::DELETE, &format!("{PATH}?job_id={job}"), None).await;
    assert_eq!((status, deleted["job_id"].as_str()), (200, Some(job)));
}

#[tokio::test]
async fn idempotency_key_starts_one_job_and_its_absence_is_reported() {
    let stage = Stage::set().await;
    for key in ["a", "a", "b"] {
        let key = [("idempotency-key", key)];
        stage.rest_with(Method::PUT, PATH, Some(short()), &key).await;
    }
    assert_eq!(stage.fake.jobs(), 2);
    let (_, created) = stage.rest(Method::PUT, PATH, Some(short())).await;
    assert!(created["message"].as_str().unwrap().contains("starts another job"));
    stage.rest(Method::PUT, PATH, Some(short())).await;
    assert_eq!(stage.fake.jobs(), 4);
}

#[tokio::test]
async fn version_may_start_with_v_and_unknown_paths_list_served_types() {
    let stage = Stage::set().await;
    let (status, _) =
        stage.rest(Method::PUT, "/plugins/v1/bigquery_query_job_task/v0", Some(short())).await;
    assert_eq!(status, 200);
    for (path, expected) in [
        ("/plugins/v1/bigquery_query_job_task/1", "bigquery_query_job_task version 0"),
        ("/plugins/v1/snowflake/0", "bigquery_query_job_task version 0"),
        ("/plugins/v1/bigquery_query_job_task/latest", "is not a number"),
        ("/plugins/v1/bigquery_query_job_task/-0", "is not a number"),
    ] {
        let (status, problem) = stage.rest(Method::PUT, path, Some(short())).await;
        assert_eq!(status, 404, "{path}");
        assert!(problem["message"].as_str().unwrap().contains(expected), "{problem}");
    }
}

/// Plain ones need no router.
#[tokio::test]
async fn a_path_and_a_query_may_be_encoded() {
    let stage = Stage::set().await;
    let encoded = PATH.replace("job", "%6Aob");
    let (status, created) = stage.rest(Method::PUT, &encoded, Some(short())).await;
    assert_eq!(status, 200, "{created}");
    let job_id = created["job_id"].as_str().unwrap();
    let (first, rest) = job_id.split_at(1);
    let query = format!("job_id=%{:02X}{rest}", first.as_bytes()[0]);
    for target in [format!("{encoded}?job_id={job_id}"), format!("{PATH}?{query}")] {
        let (status, polled) = stage.rest(Method::GET, &target, None).await;
        assert_eq!((status, &polled["job_spec"]), (200, &created["job_spec"]), "{target}");
    }
    let (status, _) = stage.rest(Method::DELETE, &format!("{PATH}?{query}"), None).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn invalid_request_names_the_field_and_submits_nothing() {
    let stage = Stage::set().await;
    let golden = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    let with = |path: &str, value: Json| {
        let mut body = golden.clone();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    for (body, expected) in [
        (json!("{"), "EOF"),
        (json!("[]"), "invalid"),
        (json!("{} x"), "trailing"),
        (json!({"templat": {}}), "templat"),
        (json!({"template": {}, "sql": "SELECT 1"}), "give either template"),
        (json!({"template": {}, "inputs": {"x": 1}}), "inputs.x: with a template"),
        (json!({"custom": {"Location": "EU"}, "sql": "SELECT 1"}), "ProjectID"),
        (json!({"custom": {"ProjectID": 7}, "sql": "SELECT 1"}), "custom.ProjectID"),
        (json!({"custom": {"ProjectID": "p"}}), "template.sql: missing"),
        (json!({"custom": {"ProjectID": ".."}, "sql": "SELECT 1"}), "\"..\""),
        (json!({"custom": {"ProjectID": "p"}, "sql": "SELECT 1", "inputs": [1]}), "inputs"),
        (json!({"custom": {"ProjectID": "p"}, "sql": "{{ .inputs.x }}"}), "inputs.x"),
        (
            json!({"custom": {"ProjectID": "p"}, "sql": "{{ .rawOutputDataPrefix }}"}),
            "rawOutputDataPrefix",
        ),
        (
            json!({"custom": {"ProjectID": "p", "parameterMode": "POSITIONAL"}, "sql": "SELECT ?", "inputs": {"a": 1}}),
            "custom.parameterMode",
        ),
        (with("/template/type", json!("snowflake")), "template.type"),
        (with("/template/sql", json!({"statement": 7})), "template.sql.statement"),
        (with("/inputs", json!({"literals": {"x": {"scalar": 1}}})), "inputs.literals.x.scalar"),
        (json!({"template": {}, "connection": {"secrets": {"a": "b"}}}), "connection.secrets"),
    ] {
        let (status, problem) = stage.rest(Method::PUT, PATH, Some(body.clone())).await;
        assert_eq!(status, 400, "{body}: {problem}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(expected), "{body}: {message}");
    }
    for (query, expected) in [
        ("", "job_id: missing"),
        ("?job_id=a&resource_id=b", "give either job_id"),
        ("?job=1", "unknown field"),
    ] {
        let (status, problem) = stage.rest(Method::GET, &format!("{PATH}{query}"), None).await;
        assert_eq!(status, 400);
        assert!(problem["message"].as_str().unwrap().contains(expected), "{problem}");
    }
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn rejected_query_is_422_with_googles_message_and_code() {
    let stage = Stage::set().await;
    let body = json!({"custom": {"ProjectID": "p"}, "sql": "SELECT @missing"});
    let (status, problem) = stage.rest(Method::PUT, PATH, Some(body)).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["error_code"], "invalid");
    assert_eq!(problem["message"], "Query parameter 'missing' not found");
}

#[tokio::test]
async fn failed_job_has_separate_code_and_message() {
    let ending = Ending::Failure {
        reason: "invalidQuery".to_owned(),
        message: "Division by zero".to_owned(),
    };
    let stage = Stage::set_with(Options { ending, polls: 0, ..Options::default() }, &[]).await;
    let (_, created) = stage.rest(Method::PUT, PATH, Some(short())).await;
    let target = format!("{PATH}?job_id={}", created["job_id"].as_str().unwrap());
    stage.rest(Method::GET, &target, None).await;
    let (status, failed) = stage.rest(Method::GET, &target, None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (failed["job_state"].as_str(), failed["error_code"].as_str()),
        (Some("failed"), Some("invalidQuery"))
    );
    assert_eq!(failed["message"], "Division by zero");
}

#[tokio::test]
async fn job_that_lost_to_another_may_be_retried() {
    for (message, phase) in [
        ("Could not serialize access to table a:b.c due to concurrent update", "RETRYABLE_FAILED"),
        ("Query error: Transaction is aborted due to concurrent update", "RETRYABLE_FAILED"),
        ("Unrecognized name: foo at [1:8]", "FAILED"),
    ] {
        let reason = "invalidQuery".to_owned();
        let ending = Ending::Failure { reason, message: message.to_owned() };
        let stage = Stage::set_with(Options { ending, polls: 0, ..Options::default() }, &[]).await;
        let (_, created) = stage.rest(Method::PUT, PATH, Some(short())).await;
        let target = format!("{PATH}?job_id={}", created["job_id"].as_str().unwrap());
        stage.rest(Method::GET, &target, None).await;
        let (_, failed) = stage.rest(Method::GET, &target, None).await;
        assert_eq!((&failed["phase"], &failed["message"]), (&json!(phase), &json!(message)));
    }
}

#[tokio::test]
async fn submit_that_lost_to_another_job_is_a_transient_error() {
    let stage = Stage::set().await;
    for (message, expected) in [
        ("Transaction is aborted due to concurrent update against table a:b.c", 503),
        ("Syntax error: Unexpected keyword SELECT at [1:1]", 422),
    ] {
        stage.fake.refuse_inserts("invalidQuery", message);
        let (status, problem) = stage.rest(Method::PUT, PATH, Some(short())).await;
        assert_eq!(status, expected, "{problem}");
        assert_eq!(problem["error_code"], "invalidQuery");
        assert_eq!(problem["message"], message);
    }
}

#[tokio::test]
async fn listing_schema_and_openapi_are_served() {
    let stage = Stage::set().await;
    let (status, listing) = stage.rest(Method::GET, "/plugins/v1", None).await;
    assert_eq!(status, 200);
    let plugin = json!({
        "task_type": "bigquery_query_job_task", "version": 0, "mode": "async", "path": PATH,
        "repeated_create": "safe",
    });
    assert_eq!(listing["plugins"], json!([plugin]));
    let (status, schema) = stage.rest(Method::GET, &format!("{PATH}/schema"), None).await;
    assert_eq!(status, 200);
    assert_eq!(schema["required"], json!(["ProjectID"]));
    assert!(schema["properties"]["Location"]["description"].is_string());
}

/// Every `$ref` of a document.
fn references(document: &Json) -> Vec<String> {
    match document {
        Json::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Json::String(reference) if name == "$ref" => vec![reference.clone()],
                value => references(value),
            })
            .collect(),
        Json::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn documents_are_open_and_lead_to_calls_that_need_a_token() {
    let stage = Stage::set().await;
    let api = format!("http://{}", stage.service.api());
    let http = reqwest::Client::new();
    for path in ["/docs", "/docs/", "/docs/swagger-initializer.js", "/openapi.json"] {
        let answer = http.get(format!("{api}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let admin = format!("http://{}{path}", stage.service.admin());
        assert_eq!(
            http.get(admin).send().await.unwrap().status(),
            404,
            "{path}: calls go elsewhere"
        );
        let posted = http.post(format!("{api}{path}")).send().await.unwrap();
        assert_eq!(posted.status(), 401, "{path}");
    }
    let direct = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let direct = direct.build().unwrap();
    for path in ["/", "/docs"] {
        let answer = direct.get(format!("{api}{path}")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (307, &"docs/".parse().unwrap())
        );
        assert_eq!(
            direct.post(format!("{api}{path}")).send().await.unwrap().status(),
            401,
            "{path}"
        );
    }
    assert_eq!(http.get(format!("{api}/docs/other")).send().await.unwrap().status(), 404);
    let page = http.get(format!("{api}/docs/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("<title>plugin-under-test: Flyte tasks over REST</title>"), "{page}");
    let page = http.get(format!("{api}/docs/swagger-initializer.js")).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("\"../openapi.json\"")
            && page.contains("\"validatorUrl\": \"none\"")
            && !page.contains("\"persistAuthorization\": true"),
        "{page}"
    );

    let document = http.get(format!("{api}/openapi.json")).send().await.unwrap();
    let document: Json = document.json().await.unwrap();
    assert_eq!(document["info"]["title"], "plugin-under-test: Flyte tasks over REST");
    let job = &document["paths"][PATH];
    assert!(job["put"].is_object() && job["post"].is_null(), "there are no sync task types");
    let parameters = job["get"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().all(|parameter| parameter["name"] != "task_type"), "{parameters:?}");
    let body = &job["put"]["requestBody"]["content"]["application/json"];
    let at = |reference: &Json| {
        let pointer = reference["$ref"].as_str().unwrap().trim_start_matches('#').to_owned();
        document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}")).clone()
    };
    let custom = at(&at(&body["schema"])["properties"]["custom"]);
    assert_eq!(custom["required"], json!(["ProjectID"]));
    for reference in references(&document) {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let example = body["example"].clone();
    let (status, created) = stage.rest(Method::PUT, PATH, Some(example)).await;
    assert_eq!(status, 200, "the example runs: {created}");
    let path = PATH;
    assert_eq!(http.get(format!("{api}{path}")).send().await.unwrap().status(), 401);
    let token = stage.service.token("propeller");
    let answer = http.get(format!("{api}{path}/schema")).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}
