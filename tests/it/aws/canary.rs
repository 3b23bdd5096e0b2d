//! No secret of AWS leaves the service but to AWS: each is a canary, and everything that the program writes is searched.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plugin_core::testing::{Client, Dialect};
use serde_json::{Value as Json, json};
use tests::fakes::{
    athena::{FakeAthena, Options},
    aws::{FakeContainer, FakeInstance, FakeSts, Identity, Outage},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

use super::{File, task};
use crate::program::{ANYWHERE, command};

const ROLE: &str = "arn:aws:iam::111122223333:role/flyte";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-token.c2ln";

/// The program, at the level of its log that writes most, and all that was seen of it.
struct Program {
    child: Child,
    api: String,
    admin: String,
    seen: Arc<Mutex<String>>,
}

impl Program {
    async fn start(athena: &FakeAthena, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let endpoint = format!("--endpoint={}", athena.url());
        let own = ["--insecure-no-auth", "--log-level=trace", "--drain-delay=0s", &endpoint];
        let args = [&ANYWHERE[..], &own, &["--poll-freshness=0s", "--upstream-timeout=2s"], args];
        let variables = [&[("AWS_REGION", "eu-central-1")], variables].concat();
        let mut child = command("athena", &args.concat(), &variables).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let (seen, (send, mut addresses)) = (Arc::default(), tokio::sync::mpsc::channel(1));
        let all: Arc<Mutex<String>> = Arc::clone(&seen);
        // A program whose log nobody reads drops lines.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                let json = serde_json::from_str::<Json>(&line).unwrap_or_default();
                if json["message"] == "serving athena" {
                    let address = |name: &str| json[name].as_str().unwrap().to_owned();
                    send.send((address("api"), address("admin"))).await.unwrap();
                }
                all.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let address = timeout(Duration::from_secs(20), addresses.recv()).await.unwrap();
        let (api, admin) = address.unwrap_or_else(|| panic!("{}", seen.lock().unwrap()));
        Self { child, api, admin, seen }
    }

    fn note(&self, what: &str) {
        self.seen.lock().unwrap().push_str(what);
    }

    async fn client(&self, dialect: Dialect) -> Client {
        Client::connect(dialect, self.api.parse().unwrap(), None).await
    }

    /// Creates `task` over every protocol, and polls; notes all that is answered.
    async fn call(&self, task: &Json) {
        for dialect in Dialect::ALL {
            let client = self.client(dialect).await;
            let mut task = task.clone();
            task["output_prefix"] = super::task()["output_prefix"].clone();
            match client.create(&task).await {
                Ok(handle) => {
                    let seen = client.get(&task, &handle).await;
                    let stopped = client.delete(&task, &handle).await;
                    self.note(&format!(
                        "{} {seen:?} {stopped:?}",
                        String::from_utf8_lossy(&handle)
                    ));
                }
                Err(error) => self.note(&format!("{error:?}")),
            }
        }
    }

    /// Ends the program, and searches all that was seen of it, with its metrics.
    async fn expect_no_canary(mut self) {
        let metrics = reqwest::get(format!("http://{}/metrics", self.admin)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("plugin_aws_credential_fetches"), "{metrics}");
        self.note(&metrics);
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.child.kill().await.unwrap();
        let seen = self.seen.lock().unwrap();
        assert!(seen.contains("\"level\":\"TRACE\""), "the log has every level");
        let line = seen.lines().find(|line| line.to_lowercase().contains("canary"));
        assert_eq!(line, None);
    }
}

/// Athena, which echoes what it was sent: its key, session and a token.
async fn echoing() -> FakeAthena {
    let athena = FakeAthena::start(Options::default()).await.unwrap();
    (1..10).for_each(|number| athena.checker().know(Identity::temporary(number)));
    athena
}

fn echo(keys: &Identity) -> Outage {
    let Identity { secret, session_token, .. } = keys;
    let message =
        format!("Secret {secret} of session {} is no table", session_token.as_ref().unwrap());
    Outage::new(400, "InvalidRequestException", &message)
}

/// Calls that succeed, that Athena refuses with an echo, and whose keys it refuses.
async fn exercise(program: &Program, athena: &FakeAthena) {
    program.call(&task()).await;
    athena.fail_with((0..6).map(|_| echo(&Identity::temporary(1))));
    program.call(&task()).await;
    assert!(program.seen.lock().unwrap().contains("Secret *** of session *** is no table"));
    athena.fail_with([]);
    (1..10).for_each(|number| athena.checker().expire(&super::key(number)));
    program.call(&task()).await;
}

#[tokio::test]
async fn of_a_web_identity() {
    let (athena, sts) = (echoing().await, FakeSts::start("eu-central-1").await.unwrap());
    sts.trust(TOKEN);
    let file = File::new("token", TOKEN);
    // What EKS's webhook sets.
    let variables = [
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().display().to_string()),
        ("AWS_ENDPOINT_URL_STS", sts.url()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = Program::start(&athena, &[], &variables).await;
    exercise(&program, &athena).await;
    sts.refuse(400, "InvalidIdentityToken", &format!("The token {TOKEN} is canary"));
    program.call(&task()).await;
    assert!(sts.requests() > 1);
    program.expect_no_canary().await;
}

#[tokio::test]
async fn of_a_container() {
    let (athena, agent) = (echoing().await, FakeContainer::start(TOKEN).await.unwrap());
    let file = File::new("token", TOKEN);
    // What EKS's Pod Identity webhook sets.
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path().display().to_string()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = Program::start(&athena, &[], &variables).await;
    exercise(&program, &athena).await;
    for (status, body) in [(403, TOKEN), (500, TOKEN), (200, "{\"SecretAccessKey\": \"canary\"}")] {
        agent.answer(status, body);
        program.call(&task()).await;
    }
    program.expect_no_canary().await;
    // ECS's older way: the token itself.
    let agent = FakeContainer::start(TOKEN).await.unwrap();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN.to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let athena = echoing().await;
    let program = Program::start(&athena, &[], &variables).await;
    exercise(&program, &athena).await;
    program.expect_no_canary().await;
}

#[tokio::test]
async fn of_an_instance() {
    let athena = echoing().await;
    let instance = FakeInstance::start(Some("nodes")).await.unwrap();
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = Program::start(&athena, &[], &variables).await;
    exercise(&program, &athena).await;
    program.expect_no_canary().await;
}

#[tokio::test]
async fn of_files_and_commands() {
    let Identity { access_key, secret, session_token, .. } = Identity::temporary(1);
    let token = session_token.unwrap();
    let keys = format!(
        "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n\
         aws_session_token = {token}\n"
    );
    let printed = json!({
        "Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret, "SessionToken": token,
    });
    let (profile, output) = (File::new("credentials", ""), File::new("output", ""));
    let path = |file: &File| file.path().display().to_string();
    let command = format!("/bin/cat '{}'", path(&output));
    for variables in [
        [("AWS_PROFILE", "default".to_owned()), ("AWS_SHARED_CREDENTIALS_FILE", path(&profile))],
        [("AWS_CREDENTIAL_PROCESS", command), ("AWS_CONFIG_FILE", "/nowhere".to_owned())],
    ] {
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        profile.write(&keys);
        output.write(&printed.to_string());
        let athena = echoing().await;
        let program = Program::start(&athena, &[], &variables).await;
        exercise(&program, &athena).await;
        profile.write("[default]\naws_access_key_id = [canary\n[canary");
        output.write("{\"Version\": 1, \"SecretAccessKey\": \"canary\", canary");
        program.call(&task()).await;
        program.expect_no_canary().await;
    }
}

#[tokio::test]
async fn of_secrets_and_the_roles_that_they_assume() {
    let (athena, sts) = (echoing().await, FakeSts::start("eu-central-1").await.unwrap());
    let (operators, authors) = (Identity::temporary(8), Identity::temporary(9));
    for identity in [&operators, &authors] {
        sts.know(identity.clone());
    }
    let id = File::new("aws_access_key_id", &operators.access_key);
    let beside = |name: &str| id.path().with_file_name(name);
    std::fs::write(beside("aws_secret_access_key"), &operators.secret).unwrap();
    std::fs::write(beside("aws_session_token"), operators.session_token.as_ref().unwrap()).unwrap();
    let secrets = format!("--secrets-dir={}", id.path().parent().unwrap().display());
    let url = sts.url();
    let variables = [("AWS_ENDPOINT_URL_STS", url.as_str()), ("AWS_ASSUME_ROLE", ROLE)];
    let program = Program::start(&athena, &[&secrets], &variables).await;
    exercise(&program, &athena).await;

    let mut task = task();
    task["connection"] = json!({"secrets": {
        "aws_access_key_id": authors.access_key,
        "aws_secret_access_key": authors.secret,
        "aws_session_token": authors.session_token,
    }});
    program.call(&task).await;
    let mut others = authors;
    others.secret = "canary/another".to_owned();
    task["connection"]["secrets"]["aws_secret_access_key"] = others.secret.as_str().into();
    sts.refuse(403, "AccessDenied", &echo(&others).message);
    program.call(&task).await;
    sts.refuse(403, "AccessDenied", &echo(&operators).message);
    program.call(&super::task()).await;
    program.expect_no_canary().await;
}
