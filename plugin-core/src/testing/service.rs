//! A plugin's service on free ports of loopback.

use std::{net::SocketAddr, sync::OnceLock, time::Duration};

use aws_lc_rs::{encoding::AsDer as _, rsa};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{ArgMatches, Command};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use server_core::{ServiceInfo, telemetry::captured};
use tempfile::TempDir;

use super::client::{Client, Dialect};
use crate::{
    handle::{HANDLE_BYTES, Handle, HandleKeys, Job},
    plugin::{Plugin, RawPlugin, SyncPlugin},
    run::{Bundle, Configured, Registration, Settings, command_of, start},
    server::Running,
};

const INFO: ServiceInfo = ServiceInfo { name: "plugin-under-test", version: "0.0.0" };
const ISSUER: &str = "https://tests.example.com";
const SECRET: &str = "a secret of tests, longer than 32 bytes";

/// A running service.
pub struct TestService {
    running: Running,
    dir: TempDir,
    http: reqwest::Client,
}

/// [`spawn`] for a raw plugin.
///
/// # Panics
/// When the service does not start.
pub async fn spawn_raw<P: RawPlugin>(args: &[&str]) -> TestService {
    spawn_with(Registration::of_raw::<P>, args, &[], "info").await
}

/// Starts `P` with authentication on; `args` are command-line arguments, for example `--endpoint`.
///
/// All services share a handle key, as replicas do.
///
/// # Panics
/// When the service does not start.
pub async fn spawn<P: Plugin>(args: &[&str]) -> TestService {
    spawn_with(Registration::of::<P>, args, &[], "info").await
}

/// [`spawn`] for a sync plugin.
///
/// # Panics
/// When the service does not start.
pub async fn spawn_sync<P: SyncPlugin>(args: &[&str]) -> TestService {
    spawn_with(Registration::of_sync::<P>, args, &[], "info").await
}

/// [`spawn`] for the plugins of `bundle`. `own` has each plugin's settings as flags, because environment
/// variables would be shared by all tests of a process.
///
/// # Panics
/// When the service does not start.
pub async fn spawn_bundle(bundle: Bundle, args: &[&str], own: &[(&str, &[&str])]) -> TestService {
    let of =
        |name: &str| own.iter().find(|(plugin, _)| *plugin == name).map_or(&[][..], |own| own.1);
    let configure = |matches: &ArgMatches| bundle.configure(matches, of);
    spawn_program(bundle.info(), bundle.command(), configure, args, &[], "info").await
}

/// [`spawn`] with secret files, and a log level that applies only to the first service of the process.
pub(super) async fn spawn_with(
    plugin: fn(&'static str) -> Registration,
    args: &[&str],
    secrets: &[(String, String)],
    log_level: &str,
) -> TestService {
    let plugin = plugin(INFO.name);
    let configure = |matches: &ArgMatches| Ok(vec![plugin.configure(matches)?]);
    spawn_program(INFO, command_of(INFO, plugin), configure, args, secrets, log_level).await
}

#[expect(clippy::expect_used, clippy::panic, reason = "a test's")]
async fn spawn_program(
    info: ServiceInfo,
    command: Command,
    configure: impl FnOnce(&ArgMatches) -> Result<Vec<Configured>, clap::Error>,
    args: &[&str],
    secrets: &[(String, String)],
    log_level: &str,
) -> TestService {
    let log_level = captured::start(log_level);
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("secrets")).expect("a temporary directory");
    for (name, value) in secrets {
        std::fs::write(dir.join("secrets").join(name), value).expect("a secret file");
    }
    std::fs::write(dir.join("auth.yaml"), auth_file(dir)).expect("an auth file");
    std::fs::write(dir.join("issuer.secret"), SECRET).expect("a secret file");
    std::fs::write(dir.join("handle.key"), [7; 32]).expect("a key file");

    let path = |name: &str| dir.join(name).display().to_string();
    let defaults = [
        "--listen=127.0.0.1:0".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        format!("--auth={}", path("auth.yaml")),
        format!("--handle-keys={}", path("handle.key")),
        format!("--secrets-dir={}", path("secrets")),
        "--drain-delay=0s".to_owned(),
        "--drain-timeout=5s".to_owned(),
    ];
    let args = args.iter().map(|arg| (*arg).to_owned());
    let line = [info.name.to_owned()].into_iter().chain(defaults).chain(args);
    let matches = command.args_override_self(true).try_get_matches_from(line);
    let matches = matches.unwrap_or_else(|error| panic!("{error}"));
    let settings = Settings::read(&matches).expect("arguments");
    let plugins = configure(&matches).unwrap_or_else(|error| panic!("{error}"));
    let running = start(info, settings, plugins, log_level).await;
    let running = running.unwrap_or_else(|error| panic!("{error:?}"));
    TestService { running, dir: temporary, http: http_client() }
}

#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "a test's")]
fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn auth_file(dir: &std::path::Path) -> String {
    format!(
        "issuers:
  - name: tests
    issuer: {ISSUER}
    key: {{hs256_secret_file: {}}}
    audiences: [connectors]
rules:
  - {{issuer: tests, sub: propeller, role: propeller}}
  - {{issuer: tests, sub: admin, role: admin}}
  - {{issuer: tests, sub: reader, role: user, verbs: [get, list]}}
  - {{issuer: tests, sub: lister, role: user, verbs: [list]}}
  - {{issuer: tests, sub: limited, role: user, tasks: [limited], targets: [limited]}}
  - {{issuer: tests, scope_all: [submit], role: user}}
",
        dir.join("issuer.secret").display()
    )
}

impl TestService {
    /// The address of gRPC and REST.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.running.api
    }

    /// The address of the admin port.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.running.admin
    }

    /// A bearer token for `subject`: `propeller`, `admin`, `reader` (may get and list), `lister` (may
    /// list), `limited` (to the task type and the target `limited`), or any other user.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's")]
    pub fn token(&self, subject: &str) -> String {
        let expires = jiff::Timestamp::now().as_second() + 3600;
        let claims = json!({
            "iss": ISSUER, "aud": "connectors", "sub": subject, "exp": expires, "scope": "submit",
        });
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).expect("a token")
    }

    /// A client that calls over `dialect` as `subject`.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn client(&self, dialect: Dialect, subject: &str) -> Client {
        Client::connect(dialect, self.api(), Some(self.token(subject))).await
    }

    /// The body at `path` of the admin port.
    ///
    /// # Panics
    /// When it does not answer.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn admin_text(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.admin());
        let response = self.http.get(url).send().await.expect("the admin port answers");
        response.text().await.expect("a body")
    }

    /// The sum of the metric `name` over all its labels.
    ///
    /// # Panics
    /// When the admin port does not answer.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.admin_text("/metrics").await;
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The handle of the same job, created earlier by `by`.
    ///
    /// # Panics
    /// When `handle` is not a handle of this service.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's")]
    pub fn aged(&self, handle: &[u8], by: Duration) -> Vec<u8> {
        let keys = HandleKeys::read(&[self.dir.path().join("handle.key")]).expect("the key file");
        let mut handle = Handle::open(handle, &keys).expect("a handle of this service");
        handle.created_at -= by;
        handle.seal(&keys, HANDLE_BYTES).expect("a handle")
    }

    /// The contents of a handle that this service sealed.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub(super) fn opened(&self, handle: &[u8]) -> String {
        let keys = HandleKeys::read(&[self.dir.path().join("handle.key")]).expect("the key file");
        let handle = Handle::open(handle, &keys).expect("a handle of this service");
        match &handle.job {
            Job::Created(meta) => format!("{handle:?} {}", String::from_utf8_lossy(meta)),
            Job::Refused { .. } => format!("{handle:?}"),
        }
    }

    /// Stops the service as SIGTERM does.
    pub async fn stop(self) {
        self.running.serving.shut_down(false).await;
    }
}

/// The log of all services of this process so far.
#[must_use]
pub fn logs() -> String {
    captured::text()
}

/// An untrusted RSA private key in PEM, for credentials that sign.
///
/// # Panics
/// When the key cannot be generated.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's")]
pub fn rsa_private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key");
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().expect("its encoding");
        let base64 = BASE64_STANDARD.encode(der.as_ref());
        let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body = lines.collect::<Vec<_>>().join("\n");
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    })
}
