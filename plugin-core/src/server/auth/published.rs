//! Keys that an issuer publishes: fetched by one task, which callers may only nudge.
//!
//! A caller that goes away therefore neither stops a fetch nor uses up the next one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use futures_util::FutureExt as _;
use jsonwebtoken::Algorithm;
use secrecy::ExposeSecret as _;
use server_core::{Error, Result, digest::sha256, token_file::TokenFile};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::{
    config::JwksFile,
    keys::{Key, KeySet, parse_set, read},
};
use crate::{metrics::Metrics, upstream::require_tls};

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

/// Keys that an issuer publishes.
pub(super) struct Published {
    issuer: String,
    url: Url,
    bearer_token_file: Option<PathBuf>,
    client: reqwest::Client,
    current: ArcSwapOption<KeySet>,
    /// A token names a key that is not known.
    wanted: Notify,
    fetched: watch::Sender<Fetched>,
    metrics: Arc<Metrics>,
}

/// What the fetching task has done so far.
#[derive(Debug, Clone, Copy, Default)]
struct Fetched {
    /// When the last fetch that has ended began.
    began: Option<Instant>,
    /// When it last fetched because somebody wanted an unknown key: fetches on schedule must not delay
    /// the one that a changed key needs.
    for_unknown: Option<Instant>,
}

/// No key of the issuer is known: the service's trouble, not the caller's.
pub(super) struct Unavailable;

impl Published {
    pub(super) fn new(issuer: &str, file: &JwksFile, metrics: Arc<Metrics>) -> Result<Self> {
        let wrong = |why: String| Error::invalid(format!("issuers.{issuer}.jwks: {why}"));
        let url = Url::parse(&file.url).map_err(|error| wrong(format!("url: {error}")))?;
        require_tls(&url).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            issuer: issuer.to_owned(),
            url,
            bearer_token_file: file.bearer_token_file.clone(),
            client: client(file).map_err(|error| wrong(error.to_string()))?,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            fetched: watch::Sender::default(),
            metrics,
        })
    }

    /// The keys, unless they are too old to be believed.
    pub(super) fn usable(&self) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|set| set.loaded_at.elapsed() < MAX_STALE)
    }

    pub(super) async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Key>, Unavailable> {
        let known = self.usable();
        let knows = |set: &Arc<KeySet>| kid.is_none_or(|kid| set.knows(kid));
        if !known.as_ref().is_some_and(knows) {
            self.wait_for_fetch().await;
        }
        self.usable().map(|set| set.candidates(kid, algorithm)).ok_or(Unavailable)
    }

    /// Waits for a fetch, unless garbage has already caused one of late.
    async fn wait_for_fetch(&self) {
        let mut fetched = self.fetched.subscribe();
        let has_keys = self.current.load().is_some();
        if has_keys && fetched.borrow().too_soon() {
            return;
        }
        let asked = Instant::now();
        self.wanted.notify_one();
        let fetch = async {
            if has_keys {
                // One that began before may have missed the change; after one for another unknown key
                // there is none for a while.
                let new = |fetched: &Fetched| {
                    fetched.too_soon() || fetched.began.is_some_and(|began| began >= asked)
                };
                fetched.wait_for(new).await.is_ok()
            } else {
                fetched.changed().await.is_ok()
            }
        };
        let _ = timeout(FETCH_TIMEOUT, fetch).await;
    }

    /// Fetches the keys again and again, on schedule and when nudged.
    pub(super) async fn keep_fresh(&self) {
        let mut for_unknown = None;
        loop {
            let began = Some(Instant::now());
            let had_keys = self.current.load().is_some();
            self.refresh().await;
            self.fetched.send_replace(Fetched { began, for_unknown });
            if !had_keys {
                // Whoever waited for the first keys is served.
                let _ = self.wanted.notified().now_or_never();
            }
            let pause = match self.current.load_full() {
                Some(_) => REFRESH_EVERY.mul_f64(rand::random_range(0.9..1.1)),
                None => FIRST_FETCH_FLOOR.mul_f64(rand::random_range(1.0..3.0)),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.nudged() => for_unknown = Some(Instant::now()),
            }
        }
    }

    /// Ends when an unknown key is wanted and a fetch for it is due.
    async fn nudged(&self) {
        if self.current.load().is_none() {
            return std::future::pending().await;
        }
        loop {
            self.wanted.notified().await;
            if !self.fetched.borrow().too_soon() {
                return;
            }
        }
    }

    async fn refresh(&self) {
        let fetched = self.fetch().await;
        self.metrics.jwks_fetch(&self.issuer, fetched.is_ok());
        match fetched {
            Ok(set) => self.current.store(Some(Arc::new(set))),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                %error,
                cause = error.chain(),
                "keys could not be fetched; known ones go on serving"
            ),
        }
    }

    async fn fetch(&self) -> Result<KeySet> {
        let mut request = self.client.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        if let Some(file) = &self.bearer_token_file {
            let token = TokenFile::new("bearer_token_file", file).read().await?;
            request = request.bearer_auth(token.expose_secret());
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
        self.read_set(&body)
    }

    /// The set in `body`; one that has not changed keeps its generation, and with it what was verified.
    fn read_set(&self, body: &[u8]) -> Result<KeySet> {
        let digest = sha256(&[body]);
        let generation = match &*self.current.load() {
            Some(set) if set.digest == digest => set.generation,
            Some(set) => set.generation + 1,
            None => 0,
        };
        Ok(KeySet { keys: parse_set(body)?, generation, digest, loaded_at: Instant::now() })
    }
}

impl Fetched {
    fn too_soon(self) -> bool {
        self.for_unknown.is_some_and(|at| at.elapsed() < FETCH_FLOOR)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "key sets are fetched with their own trust and limits"
)]
fn client(file: &JwksFile) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    if file.bearer_token_file.is_some() {
        // The cluster's own API server: proxies for what is outside know no name of a Service.
        builder = builder.no_proxy();
    }
    if let Some(path) = &file.ca_file {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?)
            .map_err(|error| Error::invalid(format!("ca_file {}: {error}", path.display())))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(Error::internal)
}

#[cfg(test)]
mod tests;
