//! The keys of one issuer: from a file, or published and refreshed.

use std::{path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::config::{IssuerFile, JwksFile, KeyFile};
use crate::{
    error::{Error, Result},
    http::require_tls,
    telemetry::metrics::Metrics,
};

/// How often published keys are fetched.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// How long must pass before a token with an unknown key may cause another fetch.
const FETCH_FLOOR: Duration = Duration::from_secs(30);
/// How soon a fetch is tried again while no key is known at all.
const FIRST_FETCH_FLOOR: Duration = Duration::from_secs(1);
/// How long keys serve while the issuer cannot be asked.
const MAX_STALE: Duration = Duration::from_secs(24 * 3600);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_SET_BYTES: usize = 256 << 10;
const MAX_KEYS: usize = 64;

/// One key that may verify.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    pub(super) decoding: DecodingKey,
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.decoding.family() == algorithm.family()
    }
}

/// Keys, and which change of them this is.
pub(super) struct KeySet {
    keys: Vec<Key>,
    generation: u64,
    loaded_at: Instant,
}

/// Where an issuer's keys come from.
pub(super) enum Keys {
    Fixed(Arc<KeySet>),
    Published(Box<Published>),
}

/// Keys that an issuer publishes.
pub(super) struct Published {
    issuer: String,
    url: Url,
    bearer_token_file: Option<std::path::PathBuf>,
    client: reqwest::Client,
    current: ArcSwapOption<KeySet>,
    fetches: Mutex<Fetches>,
    metrics: Arc<Metrics>,
}

/// When keys were fetched. Fetches for unknown keys are counted apart: one on schedule must not
/// delay the one that a changed key needs.
#[derive(Default)]
struct Fetches {
    last: Option<Instant>,
    last_for_unknown: Option<Instant>,
}

/// No key of the issuer is known: the service's trouble, not the caller's.
pub(super) struct Unavailable;

impl Keys {
    pub(super) fn new(issuer: &IssuerFile, metrics: &Arc<Metrics>) -> Result<Self> {
        if let Some(jwks) = &issuer.jwks {
            let published = Published::new(&issuer.name, jwks, Arc::clone(metrics))?;
            return Ok(Self::Published(Box::new(published)));
        }
        let keys = match &issuer.key {
            Some(KeyFile::Hs256(path)) => vec![secret(path)?],
            Some(KeyFile::Pem(path)) => vec![pem(path, &issuer.allowed_algorithms())?],
            Some(KeyFile::Jwks(path)) => parse_set(&read(path)?)?,
            None => Vec::new(),
        };
        Ok(Self::Fixed(Arc::new(KeySet { keys, generation: 0, loaded_at: Instant::now() })))
    }

    /// Whether tokens can be verified at all.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Published(published) => published.usable().is_some(),
        }
    }

    /// Which change of the keys is current; a token verified under another must be verified again.
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Fixed(set) => Some(set.generation),
            Self::Published(published) => published.usable().map(|set| set.generation),
        }
    }

    /// The keys that may have signed a token: the one it names, or every one that fits.
    pub(super) async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Key>, Unavailable> {
        match self {
            Self::Fixed(set) => Ok(set.candidates(kid, algorithm)),
            Self::Published(published) => published.candidates(kid, algorithm).await,
        }
    }

    /// Keeps published keys fresh until cancelled.
    pub(super) async fn keep_fresh(&self) {
        let Self::Published(published) = self else {
            return;
        };
        loop {
            let mut fetches = published.fetches.lock().await;
            published.refresh(&mut fetches).await;
            drop(fetches);
            let pause = match published.current.load_full() {
                Some(_) => REFRESH_EVERY.mul_f64(rand::random_range(0.9..1.1)),
                None => FIRST_FETCH_FLOOR.mul_f64(rand::random_range(1.0..3.0)),
            };
            tokio::time::sleep(pause).await;
        }
    }
}

impl KeySet {
    fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<Key> {
        /// Without a key id every key is tried; this bounds what a caller can make us compute.
        const MOST: usize = 8;
        let fits = |key: &&Key| key.fits(algorithm);
        // A key without an id, from a PEM or secret file, serves whatever id a token names.
        let named = |key: &&Key| match (kid, &key.kid) {
            (Some(kid), Some(known)) => kid == known,
            (None, _) | (_, None) => true,
        };
        self.keys.iter().filter(fits).filter(named).take(MOST).cloned().collect()
    }

    fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

impl Published {
    fn new(issuer: &str, file: &JwksFile, metrics: Arc<Metrics>) -> Result<Self> {
        let wrong = |why: String| Error::invalid(format!("issuers.{issuer}.jwks: {why}"));
        let url = Url::parse(&file.url).map_err(|error| wrong(format!("url: {error}")))?;
        require_tls(&url).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            issuer: issuer.to_owned(),
            url,
            bearer_token_file: file.bearer_token_file.clone(),
            client: client(file.ca_file.as_deref()).map_err(|error| wrong(error.to_string()))?,
            current: ArcSwapOption::empty(),
            fetches: Mutex::default(),
            metrics,
        })
    }

    fn usable(&self) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|set| set.loaded_at.elapsed() < MAX_STALE)
    }

    async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Key>, Unavailable> {
        match self.usable() {
            None => self.fetch_first().await,
            // The issuer may have changed its keys; garbage may make us ask only so often.
            Some(set) if kid.is_some_and(|kid| !set.knows(kid)) => self.fetch_unknown().await,
            Some(_) => {}
        }
        self.usable().map(|set| set.candidates(kid, algorithm)).ok_or(Unavailable)
    }

    /// Fetches keys because there are none. Callers at the same time share one fetch.
    async fn fetch_first(&self) {
        let mut fetches = self.fetches.lock().await;
        if fetches.last.is_none_or(|at| at.elapsed() >= FIRST_FETCH_FLOOR) {
            self.refresh(&mut fetches).await;
        }
    }

    /// Fetches keys because a token names one that is not known.
    async fn fetch_unknown(&self) {
        let asked = Instant::now();
        let mut fetches = self.fetches.lock().await;
        let fetched_meanwhile = fetches.last.is_some_and(|at| at >= asked);
        let too_soon = fetches.last_for_unknown.is_some_and(|at| at.elapsed() < FETCH_FLOOR);
        if !fetched_meanwhile && !too_soon {
            fetches.last_for_unknown = Some(asked);
            self.refresh(&mut fetches).await;
        }
    }

    async fn refresh(&self, fetches: &mut Fetches) {
        let fetched = self.fetch().await;
        fetches.last = Some(Instant::now());
        self.metrics.jwks_fetch(&self.issuer, fetched.is_ok());
        match fetched {
            Ok(keys) => self.replace(keys),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                %error,
                cause = error.chain(),
                "keys could not be fetched; known ones go on serving"
            ),
        }
    }

    fn replace(&self, keys: Vec<Key>) {
        let generation = self.current.load().as_ref().map_or(0, |set| set.generation + 1);
        self.current.store(Some(Arc::new(KeySet { keys, generation, loaded_at: Instant::now() })));
    }

    async fn fetch(&self) -> Result<Vec<Key>> {
        let mut request = self.client.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        if let Some(file) = &self.bearer_token_file {
            let token = tokio::fs::read_to_string(file).await.map_err(|error| {
                let message = format!("{} cannot be read", file.display());
                Error::unavailable(message).with_source(error)
            })?;
            request = request.bearer_auth(token.trim());
        }
        let lost = |error| Error::unavailable("the key set was not received").with_source(error);
        let mut answer = request.send().await.map_err(lost)?.error_for_status().map_err(lost)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > MAX_SET_BYTES {
                return Err(Error::unavailable("the key set is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        parse_set(&body)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "key sets are fetched with their own trust and limits"
)]
fn client(ca_file: Option<&Path>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    if let Some(path) = ca_file {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?)
            .map_err(|error| Error::invalid(format!("ca_file {}: {error}", path.display())))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(Error::internal)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid(format!("{} cannot be read: {error}", path.display())))
}

fn secret(path: &Path) -> Result<Key> {
    /// RFC 7518 §3.2: at least as long as the hash.
    const SHORTEST: usize = 32;
    let bytes = read(path)?;
    // A trailing line break is the editor's, not the secret's.
    let secret = bytes.trim_ascii_end();
    if secret.len() < SHORTEST {
        let name = path.display();
        return Err(Error::invalid(format!("{name}: a secret needs at least {SHORTEST} bytes")));
    }
    Ok(Key { kid: None, decoding: DecodingKey::from_secret(secret) })
}

fn pem(path: &Path, algorithms: &[Algorithm]) -> Result<Key> {
    let pem = read(path)?;
    let decoding = algorithms.iter().find_map(|algorithm| match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(&pem).ok(),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&pem).ok(),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&pem).ok(),
        AlgorithmFamily::Hmac => None,
    });
    let decoding = decoding.ok_or_else(|| {
        Error::invalid(format!("{}: no public key for {algorithms:?} in PEM", path.display()))
    })?;
    Ok(Key { kid: None, decoding })
}

/// Reads a key set; keys of no use are passed over, so that one bad key takes no other with it.
fn parse_set(json: &[u8]) -> Result<Vec<Key>> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let no_set = |error| Error::unavailable("is no JSON Web Key Set").with_source(error);
    let set: Set = serde_json::from_slice(json).map_err(no_set)?;
    let usable = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| {
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key).ok()?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        // A published shared secret would let anyone sign.
        (decoding.family() != AlgorithmFamily::Hmac)
            .then_some(Key { kid: jwk.common.key_id, decoding })
    });
    let keys = usable.collect::<Vec<_>>();
    if keys.is_empty() {
        return Err(Error::unavailable("the key set has no usable key"));
    }
    Ok(keys)
}
