//! The bridge, with a server of plugins that speaks the proposal's REST.

use std::time::Duration;

use bridge::Bridge;
use http::Method;
use plugin_core::testing::{Dialect, TestService, logs, spawn_raw};
use serde_json::{Value as Json, json};
use tests::fakes::plugin_server::PluginServer;

async fn bridge(server: &PluginServer, args: &[&str]) -> TestService {
    let upstream = format!("--upstream=unix:{}", server.socket().display());
    let line = [&upstream, "--task-types=shout", "--sync-task-types=ask"];
    let service = spawn_raw::<Bridge>(&[&line[..], args].concat()).await;
    while service.admin_text("/readyz").await != "ok\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service
}

fn task(name: &str) -> Json {
    json!({
        "template": {
            "type": name,
            "custom": {"workers": 3},
            "interface": {"outputs": {"variables": {"o0": {"type": {"simple": "FLOAT"}}}}},
        },
        "inputs": {"literals": {"text": {"scalar": {"primitive": {"string_value": "hi"}}}}},
        "output_prefix": "s3://b/1",
    })
}

fn done() -> Json {
    json!({
        "phase": "SUCCEEDED",
        "message": "done",
        "outputs": {"o0": 3},
        "log_links": [{"name": "Log", "uri": "https://a"}],
        "custom_info": {"rows": 7},
    })
}

#[tokio::test]
async fn a_job_of_a_plugin_reads_alike_over_every_protocol() {
    for dialect in Dialect::ALL {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(dialect, "propeller").await;
        let handle = client.create(&task("shout")).await.unwrap();
        let created = &server.received(&Method::PUT)[0];
        assert_eq!(created.target, "/plugins/v1/shout/0");
        assert_eq!(created.body["inputs"], json!({"text": "hi"}), "{dialect:?}");
        assert_eq!(created.body["template"]["custom"].to_string(), r#"{"workers":3}"#);
        assert_eq!(created.headers["idempotency-key"].len(), 64);
        let time = created.headers["outrigger-deadline-ms"].to_str().unwrap();
        assert!((1..=300_000).contains(&time.parse::<u64>().unwrap()), "{time}");
        assert_eq!(client.get(&task("shout"), &handle).await.unwrap().phase, "RUNNING");
        let polled = &server.received(&Method::GET).pop().unwrap().target;
        assert_eq!(polled, "/plugins/v1/shout/0?job_id=%7B%22id%22%3A1%7D");

        server.answer(Method::GET, "/plugins/v1/shout", 200, done());
        let seen = client.get(&task("shout"), &handle).await.unwrap();
        assert_eq!((&*seen.phase, &*seen.message), ("SUCCEEDED", "done"), "{dialect:?}");
        let output = &seen.outputs["literals"]["o0"]["scalar"]["primitive"];
        assert_eq!(output["float_value"], 3.0, "{dialect:?}: the task declares a float: {output}");
        assert_eq!(seen.links, [("Log".to_owned(), "https://a".to_owned())]);
        assert_eq!(seen.custom_info, json!({"rows": 7}));
    }
}

#[tokio::test]
async fn phase_that_is_none_of_flytes_is_running_and_said() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task("shout")).await.unwrap();
    for (answer, said) in [
        (
            json!({"phase": "DONE"}),
            "the plugin answered with the phase \"DONE\"; there are QUEUED, ",
        ),
        (json!({"phase": ""}), "the plugin answered without a phase; there are QUEUED, "),
    ] {
        server.answer(Method::GET, "/plugins/v1/shout", 200, answer);
        let seen = client.get(&task("shout"), &handle).await.unwrap();
        assert_eq!(seen.phase, "RUNNING");
        assert!(seen.message.starts_with(said), "{}", seen.message);
    }
}

#[tokio::test]
async fn plugin_is_asked_again_for_a_repeated_create() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    client.create(&task("shout")).await.unwrap();
    client.create(&task("shout")).await.unwrap();
    let keys = server.received(&Method::PUT);
    let keys = keys.iter().map(|create| &create.headers["idempotency-key"]).collect::<Vec<_>>();
    assert!(keys.len() == 2 && keys[0] == keys[1], "it looks for the job that has the key");
}

#[tokio::test]
async fn long_job_ids_travel_in_bodies() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let id = json!({"id": "x".repeat(3000)});
    server.answer(Method::PUT, "", 200, json!({ "job_id": id }));
    server.answer(Method::POST, "/plugins/v1/shout/0/poll", 200, json!({"phase": "QUEUED"}));
    server.answer(Method::POST, "/plugins/v1/shout/0/delete", 204, Json::Null);
    let handle = client.create(&task("shout")).await.unwrap();
    assert_eq!(client.get(&task("shout"), &handle).await.unwrap().phase, "QUEUED");
    client.delete(&task("shout"), &handle).await.unwrap();
    for request in server.received(&Method::POST) {
        assert_eq!(request.body, json!({ "job_id": id }), "{}", request.target);
    }
}

#[tokio::test]
async fn a_job_whose_id_fits_into_no_handle_is_stopped() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    server.answer(Method::PUT, "", 200, json!({"job_id": "x".repeat(9000)}));
    server.answer(Method::POST, "/plugins/v1/shout/0/delete", 200, json!({}));
    let handle = client.create(&task("shout")).await.unwrap();
    let seen = client.get(&task("shout"), &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("the job was stopped: its job_id has 9002 bytes"), "{seen:?}");
    assert_eq!(server.received(&Method::POST)[0].target, "/plugins/v1/shout/0/delete");
}

#[tokio::test]
async fn refusals_and_exceptions_are_told_apart() {
    for dialect in Dialect::ALL {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(dialect, "propeller").await;
        let exception = json!({"message": "Traceback\n  canary-of-locals\nKeyError: 'x'"});
        server.answer(Method::PUT, "", 500, exception.clone());
        let error = client.create(&task("shout")).await.unwrap_err();
        assert_eq!(error.code, if dialect == Dialect::Rest { 503 } else { 14 });
        assert!(error.message.ends_with("KeyError: 'x'"), "{}", error.message);

        let refusal = json!({"error_code": 404, "message": "no such model"});
        server.answer(Method::PUT, "", 422, refusal);
        let message = match client.create(&task("shout")).await {
            Ok(handle) => client.get(&task("shout"), &handle).await.unwrap().message,
            Err(refused) => {
                assert_eq!(refused.code, 422);
                format!("404: {}", refused.message)
            }
        };
        assert_eq!(message, "404: no such model", "{dialect:?}");

        server.answer(Method::PUT, "", 200, json!({"job_id": 1}));
        let handle = client.create(&task("shout")).await.unwrap();
        for something_else in [json!([1]), json!({}), json!({"phase": 1})] {
            server.answer(Method::GET, "/plugins/v1/shout", 200, something_else);
            let seen = client.get(&task("shout"), &handle).await.unwrap();
            assert!(seen.message.contains("answered with something else"), "{}", seen.message);
        }
        server.answer(Method::GET, "/plugins/v1/shout", 500, exception);
        let seen = client.get(&task("shout"), &handle).await.unwrap();
        assert_eq!(seen.phase, "RUNNING");
        assert!(seen.message.ends_with("KeyError: 'x'"), "{}", seen.message);
    }
    assert!(!logs().contains("canary-of-locals"));
}

#[tokio::test]
async fn a_poll_that_the_plugin_refuses_fails_the_task() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task("shout")).await.unwrap();
    let refusal = json!({"error_code": "NO_ROWS", "message": "no rows"});
    server.answer(Method::GET, "/plugins/v1/shout", 422, refusal);
    let seen = client.get(&task("shout"), &handle).await.unwrap();
    assert_eq!((&*seen.phase, &*seen.message), ("FAILED", "NO_ROWS: no rows"));
}

#[tokio::test]
async fn wrong_outputs_fail_the_task_with_their_path() {
    for (outputs, message) in [
        (
            json!({}),
            "WRONG_OUTPUTS: outputs.o0: missing, but the task declares it; the plugin returned no outputs",
        ),
        (
            json!({"O0": 3}),
            "WRONG_OUTPUTS: outputs.o0: missing, but the task declares it; the plugin returned O0",
        ),
        (
            json!({"o0": "three"}),
            "WRONG_OUTPUTS: outputs.o0: is a string, but the task declares a number",
        ),
        (
            json!({"o0": 3, "more": (0..60).fold(json!(1), |json, _| json!([json]))}),
            "WRONG_OUTPUTS: outputs.more: is nested too deeply for Flyte's messages; return it as a string",
        ),
    ] {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        let handle = client.create(&task("shout")).await.unwrap();
        let answer = json!({"job_state": "succeed", "outputs": outputs});
        server.answer(Method::GET, "/plugins/v1/shout", 200, answer);
        let seen = client.get(&task("shout"), &handle).await.unwrap();
        assert_eq!((&*seen.phase, &*seen.message), ("FAILED", message));
    }
}

#[tokio::test]
async fn a_delete_is_forwarded_once_the_job_is_known_not_to_have_succeeded() {
    for (answer, status, deletes) in [
        (json!({"phase": "RUNNING"}), 204, 1),
        (done(), 200, 0),
        (json!({"phase": "FAILED"}), 404, 1),
    ] {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(Dialect::Flyte2, "propeller").await;
        let handle = client.create(&task("shout")).await.unwrap();
        server.answer(Method::GET, "/plugins/v1/shout", 200, answer.clone());
        server.answer(Method::DELETE, "", status, Json::Null);
        let handle = service.aged(&handle, Duration::from_secs(3600));
        client.delete(&task("shout"), &handle).await.unwrap();
        assert_eq!(server.received(&Method::DELETE).len(), deletes, "{answer}");
    }
}

/// What finds a job may be a small number, the same for another task.
#[tokio::test]
async fn a_success_is_that_of_one_job() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Rest, "propeller").await;
    server.answer(Method::PUT, "", 200, json!({"job_id": 1}));
    let mut other = task("shout");
    other["output_prefix"] = json!("s3://b/2");
    let ended = client.create(&task("shout")).await.unwrap();
    let running = client.create(&other).await.unwrap();
    server.answer(Method::GET, "/plugins/v1/shout", 200, done());
    assert_eq!(client.get(&task("shout"), &ended).await.unwrap().phase, "SUCCEEDED");
    server.answer(Method::GET, "/plugins/v1/shout", 200, json!({"phase": "RUNNING"}));
    client.delete(&other, &running).await.unwrap();
    assert_eq!(server.received(&Method::DELETE).len(), 1, "it had not succeeded");
}

#[tokio::test]
async fn owner_reads_the_plugins_own_job_id() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let (url, token) = (format!("http://{}", service.api()), service.token("propeller"));
    let path = format!("{url}/plugins/v1/shout/0");
    let http = reqwest::Client::new();
    let ids = [r#"{"id":1}"#, r#""batch-7""#, "12345678901234567890123", "7"];
    for (number, id) in ids.into_iter().enumerate() {
        let answer = format!("{{\"job_id\": {id}}}");
        server.answer_text(Method::PUT, "", 200, answer);
        let create = http.put(&path).bearer_auth(&token).header("idempotency-key", number);
        let created = create.body(r#"{"inputs": {}}"#).send().await.unwrap().text().await.unwrap();
        let job = format!("\"job\":{{\"job_id\":{id}}}");
        assert!(created.contains(&job), "{created}");
        let created: Json = serde_json::from_str(&created).unwrap();
        let handle = [("job_id", created["job_id"].as_str().unwrap())];
        let get = http.get(&path).bearer_auth(&token).query(&handle);
        let seen = get.send().await.unwrap().text().await.unwrap();
        assert!(seen.contains(&job), "{seen}");
    }
}

#[tokio::test]
async fn job_ids_are_returned_as_they_came() {
    let server = PluginServer::start().await;
    let service = bridge(&server, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let id: Json = serde_json::from_str("12345678901234567890").unwrap();
    server.answer(Method::PUT, "", 200, json!({ "job_id": id }));
    let handle = client.create(&task("shout")).await.unwrap();
    client.get(&task("shout"), &handle).await.unwrap();
    let polled = server.received(&Method::GET).pop().unwrap().target;
    assert_eq!(polled, "/plugins/v1/shout/0?job_id=12345678901234567890");

    server.answer(Method::PUT, "", 200, json!({"job_id": null}));
    let mut other = task("shout");
    other["output_prefix"] = json!("s3://b/2");
    let error = client.create(&other).await.unwrap_err();
    assert!(error.message.ends_with("job_id is null"), "{}", error.message);
}

#[tokio::test]
async fn a_sync_task_of_a_plugin_is_executed_in_one_call() {
    for dialect in Dialect::SYNC {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(dialect, "propeller").await;
        server.answer(Method::POST, "/plugins/v1/ask/0", 200, done());
        let seen = client.execute(&task("ask")).await.unwrap();
        assert_eq!(seen.phase, "SUCCEEDED", "{dialect:?}: {}", seen.message);
        assert_eq!(server.received(&Method::POST)[0].body["inputs"], json!({"text": "hi"}));

        let exception = json!({"error_code": "MINE", "message": "KeyError: 'x'"});
        server.answer(Method::POST, "/plugins/v1/ask/0", 500, exception);
        let mut other = task("ask");
        other["output_prefix"] = json!("s3://b/2");
        let seen = client.execute(&other).await.unwrap();
        assert_eq!(seen.phase, "RETRYABLE_FAILED");
        assert_eq!(seen.message, "PLUGIN_ERROR: KeyError: 'x'", "{dialect:?}");
    }
}

/// What stands behind the bridge is named once it is known.
#[tokio::test]
async fn a_plugin_that_is_not_there_is_called_a_plugin() {
    let server = PluginServer::start().await;
    let upstream = format!("--upstream=unix:{}", server.socket().display());
    let absent = "--upstream=unix:/nowhere/s";
    let incomplete =
        "the plugin does not have every task type; the log names those that are missing";
    for (line, reason) in [
        (&[absent][..], "the process behind the bridge has not answered yet"),
        (&[absent, "--protocol=rest"], "the plugin has not answered yet"),
        (&[absent, "--protocol=flyte2"], "the connectors have not answered yet"),
        (&[&upstream], incomplete),
    ] {
        let service = spawn_raw::<Bridge>(&[line, &["--task-types=shout,absent"]].concat()).await;
        let ready = || service.admin_text("/readyz");
        while !ready().await.contains(reason) {
            assert!(!ready().await.contains("ok"), "{line:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if line[0] == absent {
            let client = service.client(Dialect::Flyte1, "propeller").await;
            let error = client.create(&task("shout")).await.unwrap_err();
            assert!(error.message.contains(reason), "{}", error.message);
        }
    }
}

/// Flyte's console would run a link of another scheme, and a terminal an escape sequence.
#[tokio::test]
async fn what_a_plugin_says_runs_nowhere() {
    let hostile = json!({
        "phase": "FAILED",
        "error_code": "NO_\u{1b}[5mMODEL",
        "message": "\u{1b}[31mno such model\u{1b}[0m\0",
        "log_links": [
            {"name": "Run", "uri": "javascript:alert(1)"},
            {"name": "Data", "uri": "data:text/html,x"},
            {"name": "Log\u{7}", "uri": "https://a"},
        ],
    });
    for dialect in Dialect::ALL {
        let server = PluginServer::start().await;
        let service = bridge(&server, &[]).await;
        let client = service.client(dialect, "propeller").await;
        let handle = client.create(&task("shout")).await.unwrap();
        server.answer(Method::GET, "/plugins/v1/shout", 200, hostile.clone());
        let seen = client.get(&task("shout"), &handle).await.unwrap();
        assert_eq!(seen.message, "NO_MODEL: no such model", "{dialect:?}");
        assert_eq!(seen.links, [("Log".to_owned(), "https://a".to_owned())]);
        assert_eq!(service.metric("plugin_refused_links_total").await, 2.0);

        let refusal = json!({"error_code": "NO", "message": "\u{1b}]0;title\u{7}no"});
        server.answer(Method::PUT, "", 429, refusal);
        let mut other = task("shout");
        other["output_prefix"] = json!("s3://b/2");
        let error = client.create(&other).await.unwrap_err();
        assert_eq!(error.message.trim_start_matches("NO: "), "no", "{dialect:?}");
    }
    while !logs().contains("links of a job are left out") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_link_in_place_of_the_socket_gets_no_request() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let server = PluginServer::start().await;
    let service = bridge(&server, &["--protocol=rest"]).await;
    let (socket, elsewhere) = (server.socket(), server.socket().with_file_name("elsewhere"));
    let everybodys = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(socket.parent().unwrap(), everybodys).unwrap();
    std::fs::rename(&socket, &elsewhere).unwrap();
    symlink(&elsewhere, &socket).unwrap();

    let client = service.client(Dialect::Flyte1, "propeller").await;
    let error = client.create(&task("shout")).await.unwrap_err();
    assert!(error.message.contains("the plugin does not answer"), "{}", error.message);
    assert!(server.received(&Method::PUT).is_empty());
}
