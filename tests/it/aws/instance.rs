//! EC2: the instance metadata service gives the keys of the instance's role, to holders of a session's token alone.

use tests::fakes::aws::FakeInstance;

use super::{HURRY, Stage, hundred, key};

const PUT: &str = "PUT /latest/api/token";
const LIST: &str = "GET /latest/meta-data/iam/security-credentials/";

async fn start(role: Option<&str>, more: &[&str]) -> (Stage, FakeInstance) {
    let instance = FakeInstance::start(role).await.unwrap();
    let url = format!("--ec2-metadata-service-endpoint={}", instance.url());
    (Stage::set(&[&[url.as_str()], more].concat()).await, instance)
}

#[tokio::test]
async fn an_instance_gives_the_keys_of_its_role() {
    let (stage, instance) = start(Some("flyte-nodes"), &[]).await;
    assert_eq!([stage.signer().await, stage.signer().await], [key(1), key(1)]);
    assert_eq!(instance.requests(), [PUT, LIST, &format!("{LIST}flyte-nodes")]);
    assert_eq!(stage.athena.breaches(), [""; 0]);
    assert_eq!(stage.fetches("instance", "success").await, 1);
}

#[tokio::test]
async fn a_hundred_creates_at_once_ask_it_once() {
    let (stage, instance) = start(Some("flyte-nodes"), &[]).await;
    let all = hundred(&stage).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
    assert_eq!(instance.requests().len(), 3);
}

#[tokio::test]
async fn refused_keys_are_replaced_with_a_token_of_a_new_session() {
    let (stage, instance) = start(Some("flyte-nodes"), &[]).await;
    assert_eq!(stage.signer().await, key(1));
    stage.athena.checker().expire(&key(1));
    assert_eq!(stage.signer().await, key(2));
    assert_eq!(instance.requests().iter().filter(|request| *request == PUT).count(), 2);
}

#[tokio::test]
async fn an_instance_without_tokens_is_never_asked_in_the_way_of_version_1() {
    for status in [403, 404, 405, 500] {
        let (stage, instance) = start(Some("flyte-nodes"), &[HURRY]).await;
        instance.refuse_tokens(status);
        stage.expect_outage("instance").await;
        assert!(instance.requests().iter().all(|request| request == PUT), "{status}");
    }
}

/// What a container sees when its answers may not pass the instance's network: the hop limit is 1 by default.
#[tokio::test]
async fn an_instance_that_does_not_answer_is_an_outage_within_the_deadline() {
    let (stage, instance) = start(Some("flyte-nodes"), &[HURRY]).await;
    instance.hold();
    let error = stage.create().await.unwrap_err();
    assert_eq!(error.code, 14, "{error:?}");
    assert!(instance.requests().iter().all(|request| request == PUT));
    assert_eq!(stage.athena.requests(), 0);
}

#[tokio::test]
async fn an_instance_without_a_role_is_an_outage() {
    let (stage, _instance) = start(None, &[]).await;
    stage.expect_outage("instance").await;
}
