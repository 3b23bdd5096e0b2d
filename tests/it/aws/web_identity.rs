//! IRSA: a token of the pod's service account assumes a role.

use std::time::{Duration, SystemTime};

use tests::fakes::aws::{Assumed, FakeSts};

use super::{File, HURRY, Stage, hundred, key};

const HOUR: Duration = Duration::from_secs(3600);
const ROLE: &str = "arn:aws:iam::111122223333:role/flyte-athena";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-web-identity-1.c2ln";
const NEXT_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.canary-web-identity-2.c2ln";

struct Pod {
    stage: Stage,
    sts: FakeSts,
    token: File,
}

impl Pod {
    async fn start() -> Self {
        let sts = FakeSts::start("eu-central-1").await.unwrap();
        sts.trust(TOKEN);
        // Kubernetes' files end with a line break now and then.
        let token = File::new("token", &format!("{TOKEN}\n"));
        let (role, file) = (format!("--role-arn={ROLE}"), token.flag("web-identity-token-file"));
        let url = format!("--sts-endpoint-url={}", sts.url());
        let stage = Stage::set(&[&role, &file, &url, "--role-session-name=flyte@prod"]).await;
        Self { stage, sts, token }
    }
}

#[tokio::test]
async fn a_pod_assumes_the_role_of_its_service_account() {
    let pod = Pod::start().await;
    assert_eq!([pod.stage.signer().await, pod.stage.signer().await], [key(1), key(1)]);
    let role = Assumed {
        role: ROLE.to_owned(),
        session: "flyte@prod".to_owned(),
        external_id: None,
        by: None,
    };
    assert_eq!(pod.sts.assumed(), [role], "once");
    assert_eq!((pod.sts.breaches(), pod.stage.athena.breaches()), (vec![], vec![]));
    assert_eq!(pod.stage.fetches("web_identity", "success").await, 1);
}

#[tokio::test]
async fn a_hundred_creates_at_once_assume_it_once() {
    let pod = Pod::start().await;
    let all = hundred(&pod.stage).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
    assert_eq!((pod.sts.requests(), pod.stage.athena.jobs()), (1, 100));
}

#[tokio::test]
async fn keys_that_athena_refuses_are_replaced_with_the_token_that_is_in_the_file_then() {
    let pod = Pod::start().await;
    assert_eq!(pod.stage.signer().await, key(1));
    pod.token.write(NEXT_TOKEN);
    pod.sts.trust(NEXT_TOKEN);
    pod.stage.athena.checker().expire(&key(1));
    assert_eq!(pod.stage.signer().await, key(2));
    assert_eq!((pod.sts.requests(), pod.sts.breaches()), (2, vec![]));
}

#[tokio::test]
async fn keys_are_renewed_before_they_expire_and_no_call_waits_for_sts() {
    let pod = Pod::start().await;
    pod.sts.issue_for(HOUR);
    assert_eq!(pod.stage.signer().await, key(1));
    let expiry = pod.stage.service.metric("plugin_aws_credential_expiry_timestamp_seconds").await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!((expiry - (now + HOUR).as_secs_f64()).abs() < 60.0, "{expiry}");
    tokio::time::pause();
    tokio::time::advance(HOUR - Duration::from_secs(200)).await;
    tokio::time::resume();
    pod.sts.hold();
    assert_eq!([pod.stage.signer().await, pod.stage.signer().await], [key(1), key(1)]);
    pod.sts.release();
    let renewed = async {
        while pod.stage.fetches("web_identity", "success").await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.unwrap();
    let signer = pod.stage.signer().await;
    assert!(signer == key(2) || signer == key(3), "{signer}");
    assert_eq!(pod.stage.athena.breaches(), [""; 0]);
}

#[tokio::test]
async fn an_sts_that_hangs_is_an_outage_in_time() {
    let pod = Pod::start().await;
    pod.sts.hold();
    pod.stage.expect_outage("web_identity").await;
    pod.sts.release();
    let recovered = async { while pod.stage.create().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), recovered).await.unwrap();
}

#[tokio::test]
async fn a_token_that_sts_does_not_trust_is_an_outage_until_there_is_another() {
    let pod = Pod::start().await;
    pod.token.write("eyJhbGciOiJSUzI1NiJ9.canary-web-identity-0.c2ln");
    pod.stage.expect_outage("web_identity").await;
    pod.token.write(TOKEN);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(pod.stage.signer().await, key(1));
}

#[tokio::test]
async fn refusals_of_sts_are_an_outage() {
    for (status, code) in
        [(400, "InvalidIdentityToken"), (403, "AccessDenied"), (400, "IDPCommunicationError")]
    {
        let pod = Pod::start().await;
        pod.sts.refuse(status, code, "canary of the vendor");
        pod.stage.expect_outage("web_identity").await;
    }
}

#[tokio::test]
async fn a_missing_token_and_an_sts_that_cannot_be_reached_are_an_outage() {
    let pod = Pod::start().await;
    std::fs::remove_file(pod.token.path()).unwrap();
    pod.stage.expect_outage("web_identity").await;
    assert_eq!(pod.sts.requests(), 0);
    for url in ["http://127.0.0.1:1".to_owned(), pod.stage.athena.url()] {
        let token = File::new("token", TOKEN);
        let (role, file) = (format!("--role-arn={ROLE}"), token.flag("web-identity-token-file"));
        let url = format!("--sts-endpoint-url={url}");
        let stage = Stage::set(&[&role, &file, &url, HURRY]).await;
        stage.expect_outage("web_identity").await;
    }
}
