//! The credentials that calls use, and the workspaces that they may reach.

use super::*;

/// `task` in a workflow of `namespace`.
fn task_in(namespace: &str) -> Json {
    let mut task = task();
    task["task_execution_metadata"]["namespace"] = namespace.into();
    task["output_prefix"] = format!("s3://bucket/{namespace}").into();
    task
}

#[tokio::test]
async fn namespaces_use_their_own_tokens() {
    let secrets = [
        ("team-a/databricks_token", "dapi-of-team-a-0123456789"),
        ("team-b/databricks_token", "dapi-of-team-b-0123456789"),
        ("databricks_token", TOKEN),
    ];
    for dialect in [Dialect::Flyte1, Dialect::Flyte2, Dialect::Rest] {
        let stage = Stage::set_with(Options::default(), &secrets, &[]).await;
        let client = stage.client(dialect).await;
        for namespace in ["team-a", "team-b", "team-c"] {
            let task = task_in(namespace);
            let handle = client.create(&task).await.unwrap();
            client.get(&task, &handle).await.unwrap();
        }
        let tokens = [secrets[0].1, secrets[1].1, TOKEN];
        assert_eq!(stage.fake.submitters(), tokens, "{dialect:?}");
    }
}

#[tokio::test]
async fn admin_reaches_jobs_of_namespaces_with_their_own_tokens() {
    let secrets = [("team-a/databricks_token", "dapi-of-team-a-0123456789")];
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(Options::default(), &secrets, &[]).await;
        let task = task_in("team-a");
        let handle = stage.client(dialect).await.create(&task).await.unwrap();
        let admin = stage.service.client(dialect, "admin").await;
        admin.get(&task, &handle).await.unwrap();
        admin.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.requests_to("runs/cancel"), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn missing_named_secret_does_not_fall_back_to_the_services_token() {
    let stage = Stage::set().await;
    let golden = Golden::read(Flyte::V1, "dbx_token_secret").unwrap();
    let handle = stage.send(&golden).await.unwrap();
    let (phase, resource) = stage.poll_to_the_end(&golden, &handle).await;
    assert_eq!(phase, "FAILED");
    assert!(
        resource.message.contains("secret team-a-databricks not found"),
        "{}",
        resource.message
    );
    assert_eq!(stage.fake.requests(), 0);
}

/// Flyte 2's executor sends the value under the key's name, which without it would be the service's own.
#[tokio::test]
async fn secret_not_sent_by_flyte_does_not_fall_back_to_the_services_token() {
    let stage = Stage::set().await;
    let mut task = Golden::read(Flyte::V2, "dbx_existing_cluster").unwrap().json;
    task["connection"] = json!({});
    for dialect in Dialect::ALL {
        let client = stage.client(dialect).await;
        let message = match client.create(&task).await {
            Ok(handle) => client.get(&task, &handle).await.unwrap().message,
            Err(refused) => refused.message,
        };
        assert!(message.contains("secret databricks_token_secret not found"), "{message}");
    }
    assert_eq!(stage.fake.requests(), 0);
}

/// Without `databricksAuthType` the named secret determines the auth type.
#[tokio::test]
async fn named_secret_determines_the_auth_type() {
    let options = Options {
        clients: vec![("of-the-service".to_owned(), "s".to_owned())],
        ..Options::default()
    };
    let secrets =
        [("databricks-oauth", r#"{"client_id": "of-the-service", "client_secret": "s"}"#)];
    let stage = Stage::set_with(options, &secrets, &["--auth-type=oauth_m2m"]).await;
    let golden = Golden::read(Flyte::V2, "dbx_existing_cluster").unwrap();
    let handle = stage.send(&golden).await.unwrap();
    let (phase, _) = stage.poll_to_the_end(&golden, &handle).await;
    assert_eq!(phase, "SUCCEEDED");
    assert_eq!(stage.fake.submitters(), ["dapi0123456789abcdef"]);
    let asked = stage.fake.requests();
    let mut task = golden.json;
    task["connection"] = json!({});
    task["output_prefix"] = "s3://bucket/without-its-secret".into();
    let client = stage.client(Dialect::Flyte2).await;
    let handle = client.create(&task).await.unwrap();
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "FAILED");
    assert_eq!((stage.fake.requests(), stage.fake.requests_to("token")), (asked, 0));
}

#[tokio::test]
async fn named_oauth_secret_takes_precedence_over_the_services_token() {
    let options = Options {
        clients: vec![("of-the-service".to_owned(), "s".to_owned())],
        ..Options::default()
    };
    let secrets = [("databricks_token", TOKEN), ("team-a-oauth", "s")];
    let stage = Stage::set_with(options, &secrets, &["--client-id=of-the-service"]).await;
    for dialect in Dialect::ALL {
        let mut task = task();
        task["template"]["custom"]["databricksOauthSecret"] = "team-a-oauth".into();
        task["output_prefix"] = format!("s3://bucket/{dialect:?}").into();
        stage.client(dialect).await.create(&task).await.unwrap();
    }
    assert_eq!(stage.fake.submitters(), ["token-1-of-of-the-service"; 3]);
}

/// Otherwise a null would hide the settings that Flyte adds to a cluster.
#[tokio::test]
async fn nulls_in_tasks_count_as_absent() {
    let stage = Stage::set().await;
    let mut task = Golden::read(Flyte::V1, "dbx_new_cluster").unwrap().json;
    let conf = &mut task["template"]["custom"]["databricksConf"];
    let cluster = conf["new_cluster"].take();
    *conf = json!({"tasks": [{"existing_cluster_id": null, "timeout_seconds": null, "new_cluster": cluster}]});
    stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    let sent = &stage.fake.submitted()[0]["tasks"][0];
    assert_eq!(sent["new_cluster"]["spark_env_vars"]["FLYTE_FAIL_ON_ERROR"], "true");
    assert!(sent["new_cluster"]["docker_image"]["url"].is_string(), "{sent}");
}

#[tokio::test]
async fn secret_names_of_the_official_connector_are_supported() {
    for name in ["databricks-token", "flyte_databricks_access_token"] {
        let secrets = [(name, "dapi-of-the-connector-0123")];
        let stage = Stage::set_with(Options::default(), &secrets, &[]).await;
        stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
        assert_eq!(stage.fake.submitters(), [secrets[0].1]);
    }
}

#[tokio::test]
async fn access_token_of_a_service_principal_is_cached() {
    let secret = r#"{"client_id": "principal-a", "client_secret": "an-oauth-secret"}"#;
    let options = Options {
        tokens: vec!["none".to_owned()],
        clients: vec![("principal-a".to_owned(), "an-oauth-secret".to_owned())],
        ..Options::default()
    };
    let secrets = [("databricks-oauth", secret)];
    let stage = Stage::set_with(options, &secrets, &["--auth-type=oauth_m2m"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    for _ in 0..3 {
        assert_ne!(client.get(&task(), &handle).await.unwrap().phase, "FAILED");
    }
    client.delete(&task(), &handle).await.unwrap();
    assert_eq!(stage.fake.requests_to("token"), 1);
    assert_eq!(stage.fake.submitters(), ["token-1-of-principal-a"]);
}

#[tokio::test]
async fn unknown_service_principal_is_an_outage() {
    let secrets = [("databricks_client_secret", "wrong-oauth-secret")];
    let args = ["--auth-type=oauth_m2m", "--client-id=principal-a"];
    let stage = Stage::set_with(Options::default(), &secrets, &args).await;
    let client = stage.client(Dialect::Rest).await;
    let refusal = client.create(&task()).await.unwrap_err();
    assert_eq!(refusal.code, 503, "its author cannot mend it");
    let message = "no access token was issued: Client authentication failed";
    assert!(refusal.message.contains(message), "{refusal:?}");
    assert_eq!(stage.fake.runs(), 0);
}

#[tokio::test]
async fn oidc_token_with_the_right_audience_is_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, token: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, token).unwrap();
        format!("--oidc-token-file={}", path.display())
    };
    // {"aud":"databricks"} and {"aud":"somebody"}
    let ours = "e30.eyJhdWQiOiJkYXRhYnJpY2tzIn0.signature";
    let others = "e30.eyJhdWQiOiJzb21lYm9keSJ9.signature";
    let args = ["--auth-type=oidc_federation", "--client-id=p", "--oidc-audience=databricks"];
    for (name, token, exchanged) in [("ours", ours, 1), ("others", others, 0)] {
        let options = Options { trusted: vec![ours.to_owned()], ..Options::default() };
        let file = file(name, token);
        let all = args.into_iter().chain([file.as_str()]).collect::<Vec<_>>();
        let stage = Stage::set_with(options, &[], &all).await;
        let hasty = stage.client(Dialect::Flyte1).await.with_timeout(Duration::from_secs(1));
        assert_eq!(hasty.create(&task()).await.is_ok(), exchanged == 1, "{name}");
        assert_eq!(stage.fake.requests_to("token"), exchanged, "{name}");
        assert_eq!(stage.fake.runs(), exchanged, "{name}");
    }
}

#[tokio::test]
async fn author_cannot_choose_the_services_identity() {
    let options = Options::default();
    let args = ["--oidc-token-file=/nowhere", "--client-id=p"];
    let stage = Stage::set_with(options, &[("databricks_token", TOKEN)], &args).await;
    let mut task = task();
    task["template"]["custom"]["databricksAuthType"] = "oidc_federation".into();
    task["template"]["custom"]["databricksClientId"] = "somebody-else".into();
    let refusal = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
    assert!(refusal.message.starts_with("custom.databricksClientId:"), "{refusal:?}");
    task["template"]["custom"]["databricksAuthType"] = "a_password".into();
    let refusal = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
    assert!(refusal.message.starts_with("custom.databricksAuthType:"), "{refusal:?}");
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn unconfigured_host_is_never_contacted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let secrets = [("databricks_token", TOKEN), ("databricks-oauth", "an-oauth-secret")];
    let stage = Stage::set_with(Options::default(), &secrets, &["--client-id=p"]).await;
    for auth_type in ["pat", "oauth_m2m"] {
        for spelling in [host.to_string(), format!("https://{host}/"), format!("http://{host}")] {
            for dialect in Dialect::ALL {
                let client = stage.client(dialect).await;
                let mut task = task();
                task["template"]["custom"]["databricksInstance"] = spelling.as_str().into();
                task["template"]["custom"]["databricksAuthType"] = auth_type.into();
                let message = match client.create(&task).await {
                    Ok(handle) => {
                        let seen = client.get(&task, &handle).await.unwrap();
                        assert_eq!(seen.phase, "FAILED");
                        client.delete(&task, &handle).await.unwrap();
                        seen.message
                    }
                    Err(refusal) => refusal.message,
                };
                assert!(message.contains("custom.databricksInstance: "), "{message}");
            }
        }
    }
    assert_eq!(stage.fake.requests(), 0, "nor is any other host");
    let connection = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(connection.is_err(), "the host was called");
}

#[tokio::test]
async fn removed_workspace_is_not_called() {
    let stage = Stage::set().await;
    let handle = stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let asked = stage.fake.requests();
    let endpoint = format!("--endpoint={}", stage.fake.url());
    let secrets = format!("--secrets-dir={}", stage.dir.path().display());
    let other = ["--instances=myorg.cloud.databricks.com", &endpoint, &secrets];
    let later = spawn::<Databricks>(&other).await;
    let client = later.client(Dialect::Flyte1, "propeller").await;
    let seen = client.get(&task(), &handle).await.unwrap();
    assert_eq!(seen.phase, "RUNNING", "until the end of the grace period");
    client.delete(&task(), &handle).await.expect("an error would be retried forever");
    assert_eq!(stage.fake.requests(), asked);
}

/// Flyte retries after an error; after a success the run would continue.
#[tokio::test]
async fn delete_without_credentials_is_an_error() {
    let token = "e30.e30.signature";
    let options = Options { trusted: vec![token.to_owned()], ..Options::default() };
    let federation = "--auth-type=oidc_federation";
    let stage = Stage::set_with(options, &[("oidc", token)], &[]).await;
    let endpoint = format!("--endpoint={}", stage.fake.url());
    let file = format!("--oidc-token-file={}", stage.dir.path().join("oidc").display());
    let open = spawn::<Databricks>(&[HOSTS, &endpoint, federation, &file]).await;
    let bound = [HOSTS, &endpoint, federation, &file, "--client-id=b"];
    let bound = spawn::<Databricks>(&bound).await;
    for dialect in Dialect::ALL {
        let mut task = task();
        task["template"]["custom"]["databricksClientId"] = "a".into();
        let handle = open.client(dialect, "propeller").await.create(&task).await.unwrap();
        let later = bound.client(dialect, "propeller").await;
        let refusal = later.delete(&task, &handle).await.unwrap_err();
        assert!(refusal.message.contains("custom.databricksClientId:"), "{refusal:?}");
    }
    assert_eq!(stage.fake.requests_to("runs/cancel"), 0);
}

#[tokio::test]
async fn rules_limit_workspaces() {
    let dir = tempfile::tempdir().unwrap();
    let (rules, secret) = (dir.path().join("auth.yaml"), dir.path().join("issuer.secret"));
    // The secret with which `spawn` signs its tokens.
    std::fs::write(&secret, "a secret of tests, longer than 32 bytes").unwrap();
    let auth = format!(
        "issuers:
  - {{name: tests, issuer: 'https://tests.example.com', audiences: [connectors], key: {{hs256_secret_file: {}}}}}
rules:
  - {{issuer: tests, sub: ann, role: user, targets: [acme-prod.cloud.databricks.com]}}
",
        secret.display()
    );
    std::fs::write(&rules, auth).unwrap();
    let auth = format!("--auth={}", rules.display());
    let stage = Stage::set_with(Options::default(), &[("databricks_token", TOKEN)], &[&auth]).await;
    let client = stage.service.client(Dialect::Rest, "ann").await;
    client.create(&task()).await.unwrap();
    let mut elsewhere = task();
    elsewhere["template"]["custom"]["databricksInstance"] =
        "https://MYORG.cloud.databricks.com".into();
    let refusal = client.create(&elsewhere).await.unwrap_err();
    assert_eq!(refusal.code, 403, "{refusal:?}");
    assert!(refusal.message.ends_with("the target myorg.cloud.databricks.com"), "{refusal:?}");
    assert_eq!(stage.fake.runs(), 1);
}
