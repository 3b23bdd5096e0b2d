//! Keys that an issuer publishes, over a real endpoint.

use std::sync::Mutex;

use axum::{Router, extract::State as AxumState};
use http::StatusCode;
use serde_json::json;

use super::{
    super::{Auth, signer::Signer},
    *,
};
use prometheus_client::registry::Registry;
use server_core::Kind;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// An issuer's endpoint: its response, and a count of requests.
#[derive(Clone)]
struct Endpoint(Arc<Mutex<(StatusCode, String, u32)>>, Arc<RwLock<()>>);

impl Endpoint {
    async fn start() -> (Self, String) {
        let state = Arc::new(Mutex::new((StatusCode::OK, String::new(), 0)));
        let endpoint = Self(state, Arc::default());
        let answer = async |AxumState(Self(state, held)): AxumState<Self>| {
            state.lock().unwrap().2 += 1;
            let _ = held.read().await;
            let state = state.lock().unwrap();
            (state.0, state.1.clone())
        };
        let router = Router::new().fallback(answer).with_state(endpoint.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        (endpoint, url)
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>();
        self.answer(StatusCode::OK, &json!({ "keys": keys }).to_string());
    }

    fn answer(&self, status: StatusCode, body: &str) {
        let mut state = self.0.lock().unwrap();
        (state.0, state.1) = (status, body.to_owned());
    }

    /// Holds responses back until the guard is dropped.
    async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.1).write_owned().await
    }

    fn requests(&self) -> u32 {
        self.0.lock().unwrap().2
    }
}

/// Authentication whose keys are kept fresh as in a service.
struct Fresh {
    auth: Auth,
    stop: CancellationToken,
}

impl Fresh {
    async fn new(url: &str) -> Self {
        let fresh = Self::starting(url);
        while fresh.auth.ready().is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        fresh
    }

    fn starting(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "issuers:\n  - {{name: idp, issuer: 'https://idp', algorithms: [ES256], audiences: [connectors], jwks: {{url: '{url}'}}}}\n\
             rules:\n  - {{issuer: idp, role: user}}\n"
        );
        std::fs::write(dir.path().join("auth.yaml"), text).unwrap();
        let mut registry = Registry::default();
        let auth = Auth::from_file(&dir.path().join("auth.yaml"), &mut registry).unwrap();
        let stop = CancellationToken::new();
        auth.keep_fresh(&TaskTracker::new(), &stop);
        Self { auth, stop }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn kind(fresh: &Fresh, token: &str) -> Result<(), Kind> {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    fresh.auth.caller(&parts).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test]
async fn new_keys_are_used_at_once_and_removed_ones_no_longer() {
    let (endpoint, url) = Endpoint::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    endpoint.publish(&[&old]);
    let fresh = Fresh::new(&url).await;
    // Each signature is another one: this token is the one that is cached.
    let cached = old.token();
    assert_eq!(kind(&fresh, &cached).await, Ok(()));
    assert_eq!(endpoint.requests(), 1);
    endpoint.publish(&[&new]);
    assert_eq!(kind(&fresh, &new.token()).await, Ok(()), "an unknown key is fetched at once");
    assert_eq!(kind(&fresh, &cached).await, Err(Kind::Unauthenticated), "even for cached tokens");
    assert_eq!(endpoint.requests(), 3, "the old one is unknown, so it is looked for, too");
}

/// Advances the clock.
async fn advance(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn removed_key_is_refused_within_a_minute() {
    let (endpoint, url) = Endpoint::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    endpoint.publish(&[&old, &new]);
    let fresh = Fresh::new(&url).await;
    assert_eq!(kind(&fresh, &old.token()).await, Ok(()));
    endpoint.publish(&[&new]);
    advance(Duration::from_secs(60)).await;
    while endpoint.requests() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let refused = async {
        while kind(&fresh, &old.token()).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(5), refused).await;
    refused.expect("its verified token is forgotten, too");
}

#[tokio::test]
async fn keys_that_may_not_verify_replace_those_that_could() {
    let (endpoint, url) = Endpoint::start().await;
    let signer = Signer::new("k");
    endpoint.publish(&[&signer]);
    let fresh = Fresh::new(&url).await;
    assert_eq!(kind(&fresh, &signer.token()).await, Ok(()));
    let mut retired = signer.jwk();
    retired["use"] = "enc".into();
    endpoint.answer(StatusCode::OK, &json!({"keys": [retired]}).to_string());
    let unknown = Signer::new("unknown");
    assert_eq!(kind(&fresh, &unknown.token()).await, Err(Kind::Unavailable));
    assert_eq!(kind(&fresh, &signer.token()).await, Err(Kind::Unavailable));
    assert!(fresh.auth.ready().is_err());
}

#[tokio::test]
async fn keys_without_an_id_need_no_fetch_for_tokens_with_one() {
    let (endpoint, url) = Endpoint::start().await;
    let signer = Signer::new("k");
    let mut key = signer.jwk();
    key.as_object_mut().unwrap().remove("kid");
    endpoint.answer(StatusCode::OK, &json!({"keys": [key]}).to_string());
    let fresh = Fresh::new(&url).await;
    assert_eq!(kind(&fresh, &signer.token()).await, Ok(()));
    let stranger = Signer::new("k");
    assert_eq!(kind(&fresh, &stranger.token()).await, Err(Kind::Unauthenticated));
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn published_keys_that_are_private_or_weak_are_skipped() {
    let (endpoint, url) = Endpoint::start().await;
    let (leaked, good) = (Signer::new("leaked"), Signer::new("good"));
    let mut private = leaked.jwk();
    private["d"] = "AAAA".into();
    let weak = json!({"kty": "RSA", "kid": "weak", "n": "_".repeat(170), "e": "AQAB"});
    endpoint.answer(StatusCode::OK, &json!({"keys": [private, weak, good.jwk()]}).to_string());
    let fresh = Fresh::new(&url).await;
    assert_eq!(kind(&fresh, &leaked.token()).await, Err(Kind::Unauthenticated));
    assert_eq!(kind(&fresh, &good.token()).await, Ok(()));
}

/// Whatever strangers send, a new key waits for no more than one interval.
#[tokio::test]
async fn unknown_keys_do_not_delay_a_new_one() {
    let (endpoint, url) = Endpoint::start().await;
    let (old, new, stranger) = (Signer::new("old"), Signer::new("new"), Signer::new("x"));
    endpoint.publish(&[&old]);
    let fresh = Fresh::new(&url).await;
    for number in 1..FETCHES_AT_ONCE {
        let unknown = Signer { kid: format!("k{number}"), key: stranger.key.clone() };
        assert_eq!(kind(&fresh, &unknown.token()).await, Err(Kind::Unauthenticated));
    }
    endpoint.publish(&[&old, &new]);
    assert_eq!(kind(&fresh, &new.token()).await, Ok(()), "a few unknown keys delay nothing");

    let newest = Signer::new("newest");
    endpoint.publish(&[&old, &newest]);
    let asked = endpoint.requests();
    assert_eq!(kind(&fresh, &newest.token()).await, Err(Kind::Unauthenticated));
    assert_eq!(endpoint.requests(), asked, "fetches are paced");
    advance(FETCH_INTERVAL).await;
    let accepted = async {
        while kind(&fresh, &newest.token()).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let accepted = tokio::time::timeout(Duration::from_secs(5), accepted).await;
    accepted.expect("it is fetched when the next fetch is due, without another request");
    assert_eq!(endpoint.requests(), asked + 1);
}

#[tokio::test]
async fn few_callers_wait_for_unknown_keys() {
    let (endpoint, url) = Endpoint::start().await;
    let (known, stranger) = (Signer::new("known"), Signer::new("stranger"));
    endpoint.publish(&[&known]);
    let fresh = Fresh::new(&url).await;
    let held = endpoint.hold().await;
    let token = stranger.token();
    let mut waiting = (0..MAX_WAITING).map(|_| Box::pin(kind(&fresh, &token))).collect::<Vec<_>>();
    for each in &mut waiting {
        assert!(futures_util::poll!(each).is_pending());
    }
    assert_eq!(kind(&fresh, &token).await, Err(Kind::Unavailable), "at once");
    assert_eq!(kind(&fresh, &known.token()).await, Ok(()), "known keys need no fetch");
    drop(held);
    let answers = futures_util::future::join_all(waiting).await;
    assert!(answers.iter().all(|answer| *answer == Err(Kind::Unauthenticated)));
    assert_eq!(kind(&fresh, &token).await, Err(Kind::Unauthenticated), "permits come back");
}

#[tokio::test]
async fn unknown_keys_do_not_overload_the_issuer() {
    let (endpoint, url) = Endpoint::start().await;
    let (known, stranger) = (Signer::new("known"), Signer::new("stranger"));
    endpoint.publish(&[&known]);
    let fresh = Fresh::new(&url).await;
    let unknown = (0..50).map(|number| {
        let signer = Signer { kid: format!("k{number}"), key: stranger.key.clone() };
        let fresh = &fresh;
        async move { kind(fresh, &signer.token()).await }
    });
    let answers = futures_util::future::join_all(unknown).await;
    assert!(answers.iter().all(|answer| *answer == Err(Kind::Unauthenticated)));
    assert_eq!(endpoint.requests(), 2, "one at the start, one for all unknown keys");
    let impostor = Signer { kid: "known".to_owned(), key: stranger.key };
    assert_eq!(kind(&fresh, &impostor.token()).await, Err(Kind::Unauthenticated));
    assert_eq!(endpoint.requests(), 2, "a bad signature by a known key causes no fetch");
    for number in 0..50 {
        let stranger = Signer { kid: format!("s{number}"), key: impostor.key.clone() };
        assert_eq!(kind(&fresh, &stranger.token()).await, Err(Kind::Unauthenticated));
    }
    assert_eq!(endpoint.requests(), 3, "however many unknown keys follow");
}

#[tokio::test]
async fn disconnecting_callers_do_not_use_up_the_fetch() {
    let (endpoint, url) = Endpoint::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    endpoint.publish(&[&old]);
    let fresh = Fresh::new(&url).await;
    endpoint.publish(&[&new]);
    let token = new.token();
    let mut leaving = std::pin::pin!(kind(&fresh, &token));
    assert!(futures_util::poll!(&mut leaving).is_pending());
    assert_eq!(kind(&fresh, &token).await, Ok(()));
}

#[tokio::test]
async fn callers_join_a_fetch_in_progress() {
    let (endpoint, url) = Endpoint::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    endpoint.publish(&[&old]);
    let fresh = Fresh::new(&url).await;
    endpoint.publish(&[&new]);
    let (token, held) = (new.token(), endpoint.hold().await);
    let later = async {
        while endpoint.requests() < 2 {
            tokio::task::yield_now().await;
        }
        let mut asking = std::pin::pin!(kind(&fresh, &token));
        assert!(futures_util::poll!(&mut asking).is_pending());
        drop(held);
        asking.await
    };
    let both = async { tokio::join!(kind(&fresh, &token), later) };
    let both = tokio::time::timeout(FETCH_TIMEOUT / 2, both).await;
    assert_eq!(both.expect("no second fetch"), (Ok(()), Ok(())));
}

#[tokio::test]
async fn unavailable_issuers_are_retried() {
    let (endpoint, url) = Endpoint::start().await;
    let signer = Signer::new("k");
    endpoint.answer(StatusCode::INTERNAL_SERVER_ERROR, "");
    let fresh = Fresh::starting(&url);
    assert!(fresh.auth.ready().is_err());
    assert_eq!(
        kind(&fresh, &signer.token()).await,
        Err(Kind::Unavailable),
        "not the caller's fault"
    );
    let bad_key = json!({"keys": [{"kty": "odd"}, {"kty": "oct", "k": "AAAA"}, signer.jwk()]});
    endpoint.answer(StatusCode::OK, &bad_key.to_string());
    assert_eq!(
        kind(&fresh, &signer.token()).await,
        Ok(()),
        "one bad key does not disable the others"
    );
    assert!(fresh.auth.ready().is_ok());
}

#[tokio::test]
async fn known_keys_are_used_while_the_issuer_fails() {
    for (status, body) in [
        (StatusCode::BAD_GATEWAY, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{\"keys\": []}"),
        (StatusCode::OK, &"x".repeat(300 << 10)),
    ] {
        let (endpoint, url) = Endpoint::start().await;
        let signer = Signer::new("k");
        endpoint.publish(&[&signer]);
        let fresh = Fresh::new(&url).await;
        endpoint.answer(status, body);
        let other = Signer { kid: "unknown".to_owned(), key: signer.key.clone() };
        let unknown = kind(&fresh, &other.token()).await;
        assert_eq!(unknown, Err(Kind::Unavailable), "the issuer may have the key");
        assert_eq!(endpoint.requests(), 2, "the bad response was fetched");
        assert_eq!(kind(&fresh, &signer.token()).await, Ok(()), "known keys are still used");
    }
}
