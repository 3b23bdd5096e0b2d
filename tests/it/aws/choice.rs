//! A task runs where, and as whom, the operator allows it. Whatever else it asks for is refused before anybody is called.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use plugin_core::testing::{Dialect, TestService, spawn};
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        athena::{FakeAthena, Options},
        aws::{ACCESS_KEY_ID, FakeSts, Identity, SECRET_ACCESS_KEY},
    },
    golden::{Flyte, Golden},
};
use tokio::net::TcpListener;

use super::stage;

/// An address that counts its connections.
struct Listener {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { url, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Expects that tasks with these keys of `custom` are refused over every protocol, with the field's name.
async fn expect_refusals(service: &TestService, task: fn(Json) -> Json, asked: &[(Json, &str)]) {
    for (custom, message) in asked {
        for dialect in Dialect::ALL {
            let client = service.client(dialect, "propeller").await;
            let task = task(custom.clone());
            let told = match client.create(&task).await {
                Ok(handle) => {
                    let seen = client.get(&task, &handle).await.unwrap();
                    assert_eq!(seen.phase, "FAILED", "{custom} {dialect}: {}", seen.message);
                    seen.message
                }
                Err(refused) => {
                    assert!([400, 422].contains(&refused.code), "{custom} {dialect}: {refused:?}");
                    refused.message
                }
            };
            assert!(told.contains(message), "{custom} {dialect}: {told}");
        }
    }
}

fn athena_task(custom: Json) -> Json {
    let mut task = Golden::read(Flyte::V1, "ath_typed").unwrap().json;
    task["template"]["custom"] = custom;
    task["template"]["sql"]["statement"] = "SELECT 1".into();
    task["output_prefix"] = super::task()["output_prefix"].clone();
    task
}

fn redshift_task(mut custom: Json) -> Json {
    custom["workgroup"] = json!("sales");
    json!({
        "template": {
            "type": "redshift",
            "custom": custom,
            "interface": {},
            "sql": {"statement": "DELETE FROM events"},
        },
        "output_prefix": super::task()["output_prefix"],
    })
}

/// What a task may ask for in both services, and what is said about it.
fn asked(listener: &str) -> Vec<(Json, &'static str)> {
    vec![
        (json!({"region": "us-east-1"}), "custom.region: unknown region \"us-east-1\""),
        (json!({"region": "eu-central-1.evil.example"}), "custom.region: "),
        (json!({"region": "evil.example/#"}), "custom.region: "),
        (json!({"region": listener}), "custom.region: "),
        (json!({"region": 5}), "custom.region: "),
        (
            json!({"role": "arn:aws:iam::111122223333:role/admin"}),
            "custom.role: the role arn:aws:iam::111122223333:role/admin is not allowed",
        ),
        (json!({"role": "arn:aws:iam::444455556666:role/flyte-a/../admin"}), "custom.role: "),
        (
            json!({"role": "arn:aws-us-gov:iam::444455556666:role/a"}),
            "custom.role: arn:aws-us-gov:iam::444455556666:role/a is in the partition aws-us-gov, and the region \
             eu-central-1 is in aws",
        ),
        (json!({"role": "admin"}), "custom.role: \"admin\" is not the ARN of a role"),
        (json!({"role": listener}), "custom.role: "),
        (json!({"endpoint": listener}), "endpoint"),
        (json!({"endpoint_url": listener}), "endpoint_url"),
        (json!({"host": "evil.example"}), "host"),
        (json!({"token": "canary"}), "token"),
        (json!({"aws_secret_access_key": "canary"}), "aws_secret_access_key"),
        (json!({"aws_session_token": "canary"}), "aws_session_token"),
    ]
}

#[tokio::test]
async fn what_is_not_configured_is_refused_and_nobody_is_called() {
    let (service, sts) = (Listener::start().await, Listener::start().await);
    let (endpoint, secrets) = (format!("--endpoint={}", service.url), stage::secrets());
    let own = [
        "--region=eu-central-1",
        "--regions=us-gov-west-1",
        "--allowed-roles=arn:aws:iam::444455556666:role/flyte-?,arn:aws-us-gov:iam::444455556666:role/*",
        &format!("--sts-endpoint-url={}", sts.url),
        &endpoint,
        &secrets,
    ];
    let athena = spawn::<athena::Athena>(&own).await;
    let mut both = asked(&service.url);
    expect_refusals(&athena, athena_task, &both).await;
    let location = format!("{}/results/", service.url);
    let only = [
        (json!({"output_location": location}), "custom.output_location: "),
        (json!({"parameters": [3]}), "custom.parameters[0]: must be the name of an input, or"),
    ];
    expect_refusals(&athena, athena_task, &only).await;

    let redshift = [&own[..], &["--workgroups=sales", "--databases=dev"]].concat();
    let redshift = spawn::<redshift::Redshift>(&redshift).await;
    both.push((json!({"cluster": "dwh"}), "custom.workgroup: "));
    both.push((json!({"database": "hr"}), "custom.database: \"hr\" is not allowed"));
    let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:root";
    both.push((json!({"secret": arn}), "custom.secret: "));
    expect_refusals(&redshift, redshift_task, &both).await;
    assert_eq!((service.connections(), sts.connections()), (0, 0));

    // The listener would have seen a call.
    let client = athena.client(Dialect::Flyte1, "propeller").await;
    let (task, within) = (athena_task(json!({})), std::time::Duration::from_secs(1));
    let _ = tokio::time::timeout(within, client.create(&task)).await;
    assert!(service.connections() > 0);
}

/// A handle of a replica that is configured differently: an operator has taken back a region, or a role.
#[tokio::test]
async fn a_job_in_a_region_or_of_a_role_that_is_no_longer_allowed_is_not_asked_about() {
    let (fake, sts) = (
        FakeAthena::start(Options::default()).await.unwrap(),
        FakeSts::start("eu-central-1").await.unwrap(),
    );
    let nobody = Listener::start().await;
    let role = "arn:aws:iam::444455556666:role/flyte-a";
    fake.checker().know(Identity::temporary(1));
    sts.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let allowed = [
        "--regions=us-gov-west-1".to_owned(),
        format!("--allowed-roles={role}"),
        format!("--endpoint={}", fake.url()),
        format!("--sts-endpoint-url={}", sts.url()),
    ];
    let others =
        [format!("--endpoint={}", nobody.url), format!("--sts-endpoint-url={}", nobody.url)];
    let start = async |args: &[String]| {
        let secrets = stage::secrets();
        let args = args.iter().map(String::as_str).chain(["--region=eu-central-1", &secrets]);
        spawn::<athena::Athena>(&args.collect::<Vec<_>>()).await
    };
    let (before, after) = (start(&allowed).await, start(&others).await);
    for custom in [json!({"region": "us-gov-west-1"}), json!({ "role": role })] {
        for dialect in Dialect::ALL {
            let task = athena_task(custom.clone());
            let client = before.client(dialect, "propeller").await;
            let handle = client.create(&task).await.unwrap();
            let client = after.client(dialect, "propeller").await;
            let seen = client.get(&task, &handle).await.unwrap();
            assert!(!["SUCCEEDED", "FAILED"].contains(&seen.phase.as_str()), "{seen}");
            assert!(seen.message.contains("no longer"), "{dialect}: {seen}");
            // Flyte would repeat an error for ever.
            client.delete(&task, &handle).await.unwrap();
        }
    }
    assert_eq!(nobody.connections(), 0);
}
