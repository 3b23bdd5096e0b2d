#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use clap::{Args as _, Command, FromArgMatches as _, builder::Resettable};
use futures_util::{FutureExt as _, future::join_all};
use prometheus_client::registry::Registry;
use tokio::time::{advance, sleep};

use super::*;
use crate::{testing::context, upstream::UpstreamArgs};

const HOUR: Duration = Duration::from_secs(3600);

/// A slow source of numbered keys.
#[derive(Default)]
struct Numbered {
    issued: AtomicUsize,
    begun: AtomicUsize,
    /// It is a command that takes some seconds.
    is_command: AtomicBool,
    fails: AtomicBool,
    lifetime: Mutex<Option<Duration>>,
}

impl KeySource for Arc<Numbered> {
    fn name(&self) -> &'static str {
        "numbered"
    }

    fn asks_a_server(&self) -> bool {
        !self.is_command.load(Ordering::Relaxed)
    }

    fn issue<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        async {
            self.begun.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(if self.asks_a_server() { 50 } else { 5_000 })).await;
            let number = self.issued.fetch_add(1, Ordering::Relaxed);
            if self.fails.load(Ordering::Relaxed) {
                return Err(no_keys("no keys", Error::unavailable("the source is down")));
            }
            let keys = Keys { id: format!("key-{number}"), secret: "secret".into(), session: None };
            let lifetime = *self.lifetime.lock().unwrap();
            Ok(Issued { keys, expires_at: lifetime.map(|lifetime| SystemTime::now() + lifetime) })
        }
        .boxed()
    }
}

/// An identity whose own keys are numbered.
struct Bench {
    source: Arc<Numbered>,
    identity: Arc<Identity>,
    registry: Registry,
}

impl Bench {
    fn new(lifetime: Option<Duration>) -> Self {
        let (mut registry, args) = (Registry::default(), ["--region=eu-central-1"]);
        let metrics = Arc::new(Metrics::register(&mut registry));
        let http = builder(&metrics);
        let source = Arc::new(Numbered { lifetime: Mutex::new(lifetime), ..Numbered::default() });
        let sts = Sts::new(&settings(&args), &http).unwrap();
        let identity = Identity::of(Some(Box::new(Arc::clone(&source))), sts, metrics);
        Self { source, identity: Arc::new(identity), registry }
    }

    async fn key(&self) -> Result<String> {
        let keys = self.identity.keys(&context(Duration::from_secs(5)), None).await?;
        Ok(keys.id.clone())
    }

    fn fetches(&self) -> usize {
        self.source.issued.load(Ordering::Relaxed)
    }

    /// The value of a metric, with its labels.
    fn metric(&self, sample: &str) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(line.to_owned())
    }
}

fn builder(metrics: &Arc<Metrics>) -> HttpBuilder {
    let upstream = UpstreamArgs {
        insecure_upstream: false,
        upstream_timeout: Duration::from_secs(1),
        upstream_concurrency: 64,
        poll_freshness: Duration::ZERO,
    };
    HttpBuilder::new(&upstream, None, "test/0", Arc::clone(metrics)).unwrap()
}

/// Settings as the command line has them, whatever the environment.
fn settings(args: &[&str]) -> Settings {
    let command = Settings::augment_args(Command::new("test"));
    let command = command.mut_args(|arg| arg.env(Resettable::Reset));
    let line = ["test"].iter().chain(args);
    Settings::from_arg_matches(&command.get_matches_from(line)).unwrap()
}

const FETCHES: &str = "plugin_aws_credential_fetches_total{source=\"numbered\",outcome=";

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_are_one_fetch() {
    let bench = Bench::new(Some(HOUR));
    let all = join_all((0..100).map(|_| bench.key())).await;
    assert!(all.into_iter().all(|key| key.unwrap() == "key-0"));
    assert_eq!(bench.fetches(), 1);
    advance(HOUR / 2).await;
    assert_eq!(bench.key().await.unwrap(), "key-0", "cached");
    assert_eq!(bench.metric(&format!("{FETCHES}\"success\"}}")).unwrap(), "1");
    let name = "plugin_aws_credential_expiry_timestamp_seconds{source=\"numbered\"}";
    let expiry = bench.metric(name).unwrap().parse::<u64>().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(expiry.abs_diff(now + HOUR.as_secs()) < 60, "{expiry}");
}

#[tokio::test(start_paused = true)]
async fn keys_are_renewed_before_they_expire_and_no_call_waits() {
    let bench = Bench::new(Some(HOUR));
    assert_eq!(bench.key().await.unwrap(), "key-0");
    advance(HOUR - Duration::from_secs(299)).await;
    let during = join_all((0..100).map(|_| bench.key())).await;
    assert!(during.into_iter().all(|key| key.unwrap() == "key-0"));
    sleep(Duration::from_millis(60)).await;
    assert_eq!(bench.key().await.unwrap(), "key-1");
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_without_an_expiry_are_read_again_within_a_quarter_of_an_hour() {
    let bench = Bench::new(None);
    assert_eq!(bench.key().await.unwrap(), "key-0");
    advance(UNLIMITED / 2).await;
    assert_eq!(bench.key().await.unwrap(), "key-0");
    advance(UNLIMITED / 2).await;
    assert_eq!(bench.key().await.unwrap(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn keys_are_used_to_their_end_while_their_source_fails() {
    let bench = Bench::new(Some(HOUR));
    bench.key().await.unwrap();
    bench.source.fails.store(true, Ordering::Relaxed);
    advance(HOUR - Duration::from_secs(200)).await;
    for _ in 0..19 {
        assert_eq!(bench.key().await.unwrap(), "key-0");
        sleep(Duration::from_secs(10)).await;
    }
    let failed = bench.metric(&format!("{FETCHES}\"failure\"}}")).unwrap();
    assert!((10..=20).contains(&failed.parse::<u32>().unwrap()), "{failed} fetches in 190 s");
    advance(Duration::from_secs(10)).await;
    let error = bench.key().await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::Unavailable, "no keys".to_owned()));
    bench.source.fails.store(false, Ordering::Relaxed);
    advance(Duration::from_secs(2)).await;
    assert!(bench.key().await.is_ok(), "the source is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_slow_command_runs_once_for_all_calls() {
    let bench = Bench::new(Some(HOUR));
    bench.source.is_command.store(true, Ordering::Relaxed);
    let cx = context(Duration::from_secs(10));
    let keys = join_all((0..100).map(|_| bench.identity.keys(&cx, None))).await;
    assert!(keys.iter().all(|keys| keys.as_ref().unwrap().id == "key-0"));
    assert_eq!(bench.source.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_source_is_asked_once_a_second_by_all_calls_together() {
    let bench = Bench::new(Some(HOUR));
    bench.source.fails.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        let all = join_all((0..100).map(|_| bench.key())).await;
        assert!(all.into_iter().all(|key| key.unwrap_err().kind() == Kind::Unavailable));
        advance(Duration::from_millis(100)).await;
    }
    assert!(bench.fetches() <= 2, "{} fetches in a second", bench.fetches());
}

#[tokio::test(start_paused = true)]
async fn keys_that_have_ended_are_fetched_once_a_second() {
    let bench = Bench::new(Some(Duration::ZERO));
    for _ in 0..20 {
        assert_eq!(bench.key().await.unwrap(), "key-0");
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!((bench.key().await.unwrap().as_str(), bench.fetches()), ("key-1", 2));
}

#[tokio::test(start_paused = true)]
async fn refused_keys_are_replaced_once_and_others_are_kept() {
    let bench = Bench::new(Some(HOUR));
    let cx = context(Duration::from_secs(5));
    bench.key().await.unwrap();
    bench.identity.reject(&cx, None, "key-of-another-call").await;
    assert_eq!(bench.key().await.unwrap(), "key-0");
    bench.identity.reject(&cx, None, "key-0").await;
    assert_eq!(bench.key().await.unwrap(), "key-1");
    bench.identity.reject(&cx, None, "key-1").await;
    assert_eq!(bench.key().await.unwrap(), "key-1", "AWS may refuse all of them");
}

#[tokio::test(start_paused = true)]
async fn keys_that_have_expired_leave_memory() {
    let bench = Bench::new(Some(HOUR));
    let keys = {
        let keys = bench.identity.keys(&context(Duration::from_secs(5)), None).await.unwrap();
        Arc::downgrade(&keys)
    };
    sleep(HOUR / 2).await;
    assert!(keys.upgrade().is_some());
    sleep(HOUR / 2 + Duration::from_secs(1)).await;
    assert!(keys.upgrade().is_none());
}

#[test]
fn secrets_are_in_no_debug_output() {
    let (secret, session) = ("canary-secret".into(), Some("canary-session".into()));
    let issued = Issued { keys: Keys { id: "AKIA1".into(), secret, session }, expires_at: None };
    let shown = format!("{issued:?}");
    assert!(shown.contains("AKIA1") && !shown.contains("canary"), "{shown}");
    let settings = settings(&[
        "--region=eu-central-1",
        "--container-credentials-full-uri=http://127.0.0.1/",
        "--container-authorization-token=canary-token",
    ]);
    assert!(!format!("{settings:?}").contains("canary"));
}

/// The source that the settings name, or the error that they cause.
fn chosen_source(args: &[&str]) -> Result<Option<&'static str>> {
    let bench = Bench::new(None);
    let settings = settings(&[&["--region=eu-central-1"], args].concat());
    let http = builder(&bench.identity.metrics);
    let source = own::source(&settings, &bench.identity.sts, &http)?;
    Ok(source.map(|source| source.name()))
}

#[test]
fn the_first_source_whose_settings_are_set_is_chosen() {
    const ROLE: &str = "--role-arn=arn:aws:iam::111122223333:role/flyte";
    const FILE: &str = "--web-identity-token-file=/token";
    const URI: &str = "--container-credentials-full-uri=http://169.254.170.23/v1/credentials";
    for (args, source) in [
        (&[][..], Some("instance")),
        (&["--ec2-metadata-disabled"], None),
        (&["--profile=a"], Some("profile")),
        (&["--profile=a", "--credential-process=/a"], Some("process")),
        (&["--credential-process=/a", URI], Some("container")),
        (&[URI, ROLE, FILE], Some("web_identity")),
        (&["--container-credentials-relative-uri=/v2/x"], Some("container")),
        (&["--identity=secrets", ROLE, FILE], None),
        (&["--identity=profile"], Some("profile")),
        (&["--identity=instance", ROLE, FILE], Some("instance")),
    ] {
        assert_eq!(chosen_source(args).unwrap(), source, "{args:?}");
    }
}

#[test]
fn a_source_without_its_settings_is_refused_at_the_start() {
    for (args, setting) in [
        (&["--identity=web_identity"][..], "--role-arn"),
        (&["--web-identity-token-file=/token"], "--role-arn"),
        (
            &["--identity=web_identity", "--role-arn=arn:aws:iam::111122223333:role/a"],
            "--web-identity-token-file",
        ),
        (&["--identity=container"], "--container-credentials-full-uri"),
        (&["--identity=process"], "--credential-process"),
    ] {
        let error = chosen_source(args).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains(setting), "{args:?}: {error}");
    }
}

/// AWS SDKs and Tools reference guide, "Container credential provider".
#[test]
fn keys_of_a_container_come_by_https_or_from_loopback_ecs_and_eks() {
    for (url, allowed) in [
        ("https://keys.example.com/x", true),
        ("http://127.0.0.1:81/x", true),
        ("http://127.9.9.9/x", true),
        ("http://[::1]/x", true),
        ("http://localhost:81/x", true),
        ("http://169.254.170.2/v2/credentials/x", true),
        ("http://169.254.170.23/v1/credentials", true),
        ("http://[fd00:ec2::23]/v1/credentials", true),
        ("http://169.254.169.254/x", false),
        ("http://169.254.170.24/x", false),
        ("http://[fd00:ec2::24]/x", false),
        ("http://10.0.0.1/x", false),
        ("http://localhost.example.com/x", false),
        ("http://keys.example.com/x", false),
        ("ftp://127.0.0.1/x", false),
    ] {
        let argument = format!("--container-credentials-full-uri={url}");
        match chosen_source(&["--identity=container", &argument]) {
            Ok(source) => assert!(allowed && source == Some("container"), "{url}"),
            Err(error) => {
                assert!(!allowed, "{url}: {error}");
                let text = error.to_string();
                assert!(text.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "{text}");
            }
        }
    }
}

#[test]
fn roles_are_assumed_at_the_sts_of_the_default_region_unless_the_operator_names_another() {
    for (args, base) in [
        (&["--region=eu-central-1"][..], "https://sts.eu-central-1.amazonaws.com"),
        (
            &["--region=us-gov-west-1", "--regions=us-gov-east-1"],
            "https://sts.us-gov-west-1.amazonaws.com",
        ),
        (&["--region=cn-north-1"], "https://sts.cn-north-1.amazonaws.com.cn"),
        (
            &["--region=us-east-1", "--use-fips-endpoint"],
            "https://sts-fips.us-east-1.amazonaws.com",
        ),
        (&["--region=us-east-1", "--endpoint-url=http://127.0.0.1:1"], "http://127.0.0.1:1/"),
        (
            &[
                "--region=us-east-1",
                "--endpoint-url=http://127.0.0.1:1",
                "--sts-endpoint-url=https://vpce-1.sts.us-east-1.vpce.amazonaws.com",
            ],
            "https://vpce-1.sts.us-east-1.vpce.amazonaws.com/",
        ),
        // It is the service's alone.
        (
            &["--region=us-east-1", "--region-endpoints=us-east-1=https://vpce-1.example.com"],
            "https://sts.us-east-1.amazonaws.com",
        ),
    ] {
        let settings = settings(args);
        let endpoints = settings.endpoints().unwrap();
        assert_eq!(endpoints.sts(&settings.region), base, "{args:?}");
    }
}

#[test]
fn a_url_with_a_password_is_refused_by_its_flag_and_not_shown() {
    let command = || {
        let command = Settings::augment_args(Command::new("test"));
        command.mut_args(|arg| arg.env(Resettable::Reset))
    };
    for (flag, value) in [
        ("--endpoint-url", "https://u:hunter2@host"),
        ("--endpoint-url", "u:hunter2@host"),
        ("--sts-endpoint-url", "https://:hunter2@host"),
        ("--region-endpoints", "eu-central-1=https://u:hunter2@host"),
        ("--region-endpoints", "https://u:hunter2@host"),
        ("--region-endpoints", "u:hunter2@host=https://host"),
        ("--container-credentials-full-uri", "https://u:hunter2@host"),
        ("--container-credentials-relative-uri", "http://u:hunter2@169.254.170.2/"),
        ("--container-credentials-relative-uri", "//u:hunter2@other/"),
        ("--ec2-metadata-service-endpoint", "http://u:hunter2@host"),
    ] {
        let container = flag.starts_with("--container");
        let identity = if container { "--identity=container" } else { "--identity=instance" };
        let setting = format!("{flag}={value}");
        let args = ["test", "--region=eu-central-1", identity, &setting];
        let matches = command().try_get_matches_from(args).unwrap();
        let settings = Settings::from_arg_matches(&matches).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"), "{setting}");
        let http = builder(&Arc::new(Metrics::register(&mut Registry::default())));
        let error = Identity::new(&settings, &http).err().unwrap().to_string();
        assert!(error.starts_with(flag) && !error.contains("hunter2"), "{setting}: {error}");
    }
}

#[test]
fn what_sts_would_refuse_of_every_role_is_refused_at_the_start() {
    let command = || {
        let command = Settings::augment_args(Command::new("test"));
        command.mut_args(|arg| arg.env(Resettable::Reset))
    };
    for (setting, is_valid) in [
        ("--external-id=flyte:prod/1", true),
        ("--external-id=x", false),
        ("--external-id=two words", false),
        ("--role-session-name=flyte@prod", true),
        ("--role-session-name=a/b", false),
        ("--assume-role=admin", false),
        ("--allowed-roles=*", false),
    ] {
        let parsed = command().try_get_matches_from(["test", "--region=eu-central-1", setting]);
        assert_eq!(parsed.is_ok(), is_valid, "{setting}");
    }
}
