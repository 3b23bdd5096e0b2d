//! EKS Pod Identity and ECS: an agent on the machine gives keys to a container.

use tests::fakes::aws::FakeContainer;

use super::{File, HURRY, Stage, hundred, key};
use crate::program;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-pod-identity-1.c2ln";
const NEXT_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-pod-identity-2.c2ln";

struct Pod {
    stage: Stage,
    agent: FakeContainer,
    token: File,
}

impl Pod {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let agent = FakeContainer::start(TOKEN).await.unwrap();
        let token = File::new("eks-pod-identity-token", TOKEN);
        let url = format!("--container-credentials-full-uri={}", agent.url());
        let file = token.flag("container-authorization-token-file");
        let stage = Stage::set(&[&[url.as_str(), &file], more].concat()).await;
        Self { stage, agent, token }
    }
}

#[tokio::test]
async fn the_agent_gives_keys_for_the_token_in_the_file() {
    let pod = Pod::start().await;
    assert_eq!([pod.stage.signer().await, pod.stage.signer().await], [key(1), key(1)]);
    assert_eq!(pod.agent.requests(), ["GET /v1/credentials"]);
    assert_eq!(pod.stage.athena.breaches(), [""; 0]);
    assert_eq!(pod.stage.fetches("container", "success").await, 1);
}

#[tokio::test]
async fn the_agent_gives_keys_for_the_token_in_the_settings() {
    let agent = FakeContainer::start("Basic canary-authorization").await.unwrap();
    let url = format!("--container-credentials-full-uri={}", agent.url());
    let token = "--container-authorization-token=Basic canary-authorization";
    let stage = Stage::set(&[&url, token]).await;
    assert_eq!(stage.signer().await, key(1));
}

#[tokio::test]
async fn a_hundred_creates_at_once_ask_it_once() {
    let pod = Pod::start().await;
    let all = hundred(&pod.stage).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
    assert_eq!(pod.agent.requests().len(), 1);
}

#[tokio::test]
async fn the_file_is_read_again_for_new_keys() {
    let pod = Pod::start().await;
    assert_eq!(pod.stage.signer().await, key(1));
    pod.token.write(&format!("{NEXT_TOKEN}\n"));
    pod.agent.require(NEXT_TOKEN);
    pod.stage.athena.checker().expire(&key(1));
    assert_eq!(pod.stage.signer().await, key(2));
}

#[tokio::test]
async fn an_agent_without_keys_is_an_outage() {
    for (status, body) in [
        (401, TOKEN),
        (403, "canary"),
        (404, ""),
        (500, "canary"),
        (200, "canary"),
        (200, "{\"AccessKeyId\": \"canary\"}"),
        (302, ""),
    ] {
        let pod = Pod::start_with(&[HURRY]).await;
        pod.agent.answer(status, body);
        pod.stage.expect_outage("container").await;
    }
    let pod = Pod::start().await;
    pod.token.write("another");
    pod.stage.expect_outage("container").await;
    let pod = Pod::start().await;
    std::fs::remove_file(pod.token.path()).unwrap();
    pod.stage.expect_outage("container").await;
    assert_eq!(pod.agent.requests(), [""; 0], "nothing is asked without the token");
}

#[tokio::test]
async fn a_service_whose_keys_would_come_from_another_host_does_not_start() {
    for url in ["http://169.254.169.254/keys", "http://keys.example.com/"] {
        let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), ("AWS_REGION", "eu-west-1")];
        let args = [&program::ANYWHERE[..], &["--insecure-no-auth"]].concat();
        let (code, text) = program::output("athena", &args, &variables).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{text}");
        assert!(text.contains("is neither https nor an address of loopback, ECS or EKS"), "{text}");
    }
}
