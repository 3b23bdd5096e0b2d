use std::sync::Weak;

use google_cloud_auth::credentials::mds;
use http::{HeaderValue, header};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{advance, sleep, sleep_until, timeout},
};

use super::*;

const LIFE: Duration = Duration::from_secs(3600);
const LATENCY: Duration = Duration::from_millis(50);

/// A token endpoint that may hang: what it was asked meanwhile is never answered.
#[derive(Debug)]
struct Endpoint {
    latency: Duration,
    state: Mutex<EndpointState>,
}

#[derive(Debug, Default)]
struct EndpointState {
    hangs_until: Option<Instant>,
    /// What it answers with, and whether that may pass.
    fails: Option<bool>,
    requests: Vec<Weak<Request>>,
    most_under_way: usize,
}

#[derive(Debug)]
struct Request {
    number: usize,
    /// None if it is never answered.
    answered_at: Option<Instant>,
    fails: Option<bool>,
}

/// Credentials that ask the endpoint when they have no valid token, as Google's library does.
#[derive(Debug)]
struct Library(Arc<Endpoint>, Mutex<Option<Arc<Request>>>);

impl Endpoint {
    fn new(latency: Duration) -> Arc<Self> {
        Arc::new(Self { latency, state: Mutex::default() })
    }

    fn hangs_for(&self, time: Duration) {
        self.state.lock().unwrap().hangs_until = Some(Instant::now() + time);
    }

    fn fails(&self, transient: impl Into<Option<bool>>) {
        self.state.lock().unwrap().fails = transient.into();
    }

    fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    fn ask(&self) -> Arc<Request> {
        let (mut state, now) = (self.state.lock().unwrap(), Instant::now());
        let hangs = state.hangs_until.is_some_and(|until| now < until);
        let request = Arc::new(Request {
            number: state.requests.len(),
            answered_at: (!hangs).then(|| now + self.latency),
            fails: state.fails,
        });
        state.requests.push(Arc::downgrade(&request));
        let waits = |request: Arc<Request>| request.answered_at.is_none_or(|at| now < at);
        let under_way =
            state.requests.iter().filter_map(Weak::upgrade).filter(|r| waits(r.clone()));
        state.most_under_way = state.most_under_way.max(under_way.count());
        request
    }

    fn own(self: &Arc<Self>) -> Arc<Own> {
        let endpoint = Arc::clone(self);
        let build = move || Ok(Library(Arc::clone(&endpoint), Mutex::default()).into());
        Arc::new(Own::new(build).unwrap())
    }
}

impl Library {
    fn request(&self) -> Arc<Request> {
        let mut current = self.1.lock().unwrap();
        let expired = |request: &Arc<Request>| {
            request.answered_at.is_some_and(|at| at + LIFE <= Instant::now())
        };
        if current.as_ref().is_none_or(expired) {
            *current = Some(self.0.ask());
        }
        Arc::clone(current.as_ref().unwrap())
    }
}

impl CredentialsProvider for Library {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let request = self.request();
        let Some(at) = request.answered_at else { return std::future::pending().await };
        if Instant::now() < at {
            sleep_until(at).await;
        }
        if let Some(transient) = request.fails {
            return Err(CredentialsError::from_msg(transient, "no token"));
        }
        let token = HeaderValue::try_from(format!("token-{}", request.number)).unwrap();
        let data = HeaderMap::from_iter([(header::AUTHORIZATION, token)]);
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

async fn token(own: &Arc<Own>) -> Result<String> {
    Ok(own.headers().await?[header::AUTHORIZATION].to_str().unwrap().to_owned())
}

/// Calls for some seconds after now. Returns when each started, and whether it was signed.
async fn calls(own: &Arc<Own>, per_second: u32, seconds: u32) -> Vec<(Instant, bool)> {
    let mut calls = JoinSet::new();
    for number in 0..seconds * per_second {
        let own = Arc::clone(own);
        calls.spawn(async move {
            sleep(Duration::from_secs(1) * number / per_second).await;
            let started = Instant::now();
            let signed = timeout(Duration::from_secs(4), token(&own)).await;
            (started, signed.is_ok_and(|token| token.is_ok()))
        });
    }
    calls.join_all().await
}

#[tokio::test(start_paused = true)]
async fn calls_sign_again_within_two_seconds_of_the_recovery_of_a_hung_token_endpoint() {
    const HANG: Duration = Duration::from_secs(20);
    for (latency, per_second) in [(50, 10), (50, 200), (300, 40), (500, 10), (500, 50), (500, 200)]
    {
        for has_token in [false, true] {
            let endpoint = Endpoint::new(Duration::from_millis(latency));
            let own = endpoint.own();
            if has_token {
                token(&own).await.unwrap();
                advance(LIFE).await;
            }
            endpoint.hangs_for(HANG);
            let recovery = Instant::now() + HANG;
            let calls = calls(&own, per_second, 25).await;
            let late = recovery + Duration::from_secs(2);
            let failed = calls.iter().filter(|(started, signed)| *started >= late && !signed);
            assert_eq!(failed.count(), 0, "{latency} ms, {per_second} calls/s, {has_token}");
            assert!(calls.iter().any(|(started, signed)| *started < late && !signed));
            assert!(endpoint.state.lock().unwrap().most_under_way <= 2, "requests under way");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_recover_at_any_moment_of_a_fetch() {
    for tenths in 150..270 {
        let endpoint = Endpoint::new(Duration::from_millis(500));
        let hang = Duration::from_millis(100) * tenths;
        endpoint.hangs_for(hang);
        let recovery = Instant::now() + hang;
        let own = endpoint.own();
        while token(&own).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
        assert!(recovery.elapsed() < Duration::from_secs(2), "{hang:?}: {:?}", recovery.elapsed());
        assert!(endpoint.state.lock().unwrap().most_under_way <= 2, "requests under way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_in_memory_is_used_for_its_life() {
    let endpoint = Endpoint::new(LATENCY);
    let own = endpoint.own();
    for _ in 0..100 {
        assert_eq!(token(&own).await.unwrap(), "token-0");
    }
    advance(LIFE).await;
    assert_eq!(token(&own).await.unwrap(), "token-1");
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_share_one_request() {
    let endpoint = Endpoint::new(LATENCY);
    assert!(calls(&endpoint.own(), 1000, 1).await.iter().all(|(_, signed)| *signed));
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_is_waited_for() {
    let endpoint = Endpoint::new(Duration::from_secs(8));
    assert_eq!(token(&endpoint.own()).await.unwrap(), "token-0");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_ends_no_fetch() {
    let endpoint = Endpoint::new(LATENCY);
    let own = endpoint.own();
    assert!(timeout(LATENCY / 5, token(&own)).await.is_err());
    sleep(LATENCY).await;
    assert_eq!(timeout(Duration::ZERO, token(&own)).await.unwrap().unwrap(), "token-0");
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_outlives_the_runtime_of_its_first_caller() {
    let endpoint = Endpoint::new(LATENCY);
    let own = endpoint.own();
    let tasks = Tasks::new().unwrap();
    let first = Arc::clone(&own);
    tasks.0.as_ref().unwrap().spawn(async move { first.headers().await });
    while own.state().fetch.is_none() {
        tokio::task::yield_now().await;
    }
    drop(tasks);
    assert_eq!(token(&own).await.unwrap(), "token-0");
    assert_eq!(endpoint.requests(), 1);
}

/// Credentials that need those of a source first.
#[derive(Debug)]
struct Impersonating(GoogleCredentials, Library);

impl CredentialsProvider for Impersonating {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        self.0.headers(extensions.clone()).await?;
        CredentialsProvider::headers(&self.1, extensions).await
    }

    async fn universe_domain(&self) -> Option<String> {
        self.0.universe_domain().await
    }
}

/// Credentials that `iam` gives to whom has a token of `source`.
fn impersonating(source: Arc<Own>, iam: &Arc<Endpoint>) -> Arc<Own> {
    let (signed, iam) = (source.credentials(), Arc::clone(iam));
    let build = move || {
        let library = Library(Arc::clone(&iam), Mutex::default());
        Ok(Impersonating(signed.clone(), library).into())
    };
    Arc::new(Own::new(build).unwrap().obtained_with(source))
}

#[tokio::test(start_paused = true)]
async fn a_source_gets_another_token_when_it_was_refused_alone() {
    let (metadata, iam) = (Endpoint::new(LATENCY), Endpoint::new(LATENCY));
    let own = impersonating(metadata.own(), &iam);
    token(&own).await.unwrap();
    for (transient, tokens) in [(true, 1), (false, 2)] {
        advance(RENEW_AFTER * 2).await;
        own.renew();
        iam.fails(transient);
        token(&own).await.unwrap_err();
        iam.fails(None);
        advance(RENEW_AFTER).await;
        token(&own).await.unwrap();
        assert_eq!(metadata.requests(), tokens);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_keeps_its_token_while_what_is_obtained_with_it_hangs() {
    const HANG: Duration = Duration::from_secs(20);
    let latency = Duration::from_millis(800);
    let (metadata, iam) = (Endpoint::new(latency), Endpoint::new(latency));
    let own = impersonating(metadata.own(), &iam);
    advance(RENEW_AFTER * 2).await;
    token(&own).await.unwrap();
    own.renew();
    iam.hangs_for(HANG);
    let recovery = Instant::now() + HANG;
    let calls = calls(&own, 50, 25).await;
    let late = recovery + Duration::from_secs(2);
    assert_eq!(calls.iter().filter(|(started, signed)| *started >= late && !signed).count(), 0);
    assert_eq!(metadata.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_repeated_after_a_second_or_after_thirty_if_it_is_final() {
    for (transient, pause) in [(true, FAILURE_PAUSE), (false, RENEW_AFTER)] {
        let endpoint = Endpoint::new(LATENCY);
        let own = endpoint.own();
        endpoint.fails(transient);
        for _ in 0..20 {
            assert!(token(&own).await.unwrap_err().kind().is_transient());
        }
        assert_eq!(endpoint.requests(), 1);
        endpoint.fails(None);
        advance(pause - LATENCY * 2).await;
        assert!(token(&own).await.is_err(), "the failure is remembered");
        advance(LATENCY).await;
        assert_eq!(token(&own).await.unwrap(), "token-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_library_remembers_is_not() {
    let endpoint = Endpoint::new(LATENCY);
    let own = endpoint.own();
    token(&own).await.unwrap();
    advance(LIFE).await;
    endpoint.fails(true);
    // The library has asked before anybody called.
    let current = own.state().current.clone().unwrap();
    current.headers().await.unwrap_err();
    endpoint.fails(None);
    assert_eq!(token(&own).await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_replaced_unless_it_is_recent() {
    let endpoint = Endpoint::new(LATENCY);
    let own = endpoint.own();
    for _ in 0..3 {
        assert_eq!(token(&own).await.unwrap(), "token-0");
        own.renew();
    }
    advance(RENEW_AFTER).await;
    for _ in 0..3 {
        own.renew();
        assert_eq!(token(&own).await.unwrap(), "token-1");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_built_are_an_error_at_once() {
    let unusable = || Err(Error::unavailable("no credentials"));
    assert!(Own::new(unusable).is_err());
}

#[tokio::test]
async fn a_request_that_hangs_ends_with_its_credentials() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let own = Own::new(move || Ok(mds::Builder::default().with_endpoint(&url).build().unwrap()));
    let (request, _) = server.accept().await.unwrap();
    drop(own);
    let ended = async {
        let mut bytes = [0; 1024];
        loop {
            request.readable().await.unwrap();
            match request.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    timeout(Duration::from_secs(10), ended).await.expect("the connection is closed");
}
