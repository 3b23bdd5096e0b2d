//! Keys that an issuer publishes. One task fetches them; callers can only request a fetch.
//!
//! A caller that disconnects therefore neither cancels a fetch nor uses up the next one.

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
    key_set::{Key, KeySet, parse_set, read},
    metrics::Metrics,
};
use crate::upstream::require_tls;

/// How often published keys are fetched.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// The minimum interval between fetches that tokens with unknown keys cause.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(30);
/// The minimum time to the next attempt while no key is known.
const FIRST_FETCH_RETRY: Duration = Duration::from_secs(1);
/// How long keys are used while fetching them fails.
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
    /// Requests a fetch, for a token with an unknown key.
    wanted: Notify,
    fetched: watch::Sender<FetchState>,
    metrics: Arc<Metrics>,
}

/// The progress of the fetching task.
#[derive(Debug, Clone, Copy, Default)]
struct FetchState {
    /// When the last completed fetch began.
    began: Option<Instant>,
    /// When an unknown key last caused a fetch. Scheduled fetches do not count: they must not delay the
    /// fetch that a changed key needs.
    for_unknown: Option<Instant>,
}

/// No key of the issuer is known: not the caller's fault.
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

    /// The keys, unless they are too old.
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

    /// Waits for a fetch, unless an unknown key has caused one recently.
    async fn wait_for_fetch(&self) {
        let mut fetched = self.fetched.subscribe();
        let has_keys = self.current.load().is_some();
        if has_keys && fetched.borrow().too_soon() {
            return;
        }
        let requested = Instant::now();
        self.wanted.notify_one();
        let fetch = async {
            if has_keys {
                // A fetch that began earlier may have missed the change. Right after a fetch for another
                // unknown key no new one begins.
                let new = |fetched: &FetchState| {
                    fetched.too_soon() || fetched.began.is_some_and(|began| began >= requested)
                };
                fetched.wait_for(new).await.is_ok()
            } else {
                fetched.changed().await.is_ok()
            }
        };
        let _ = timeout(FETCH_TIMEOUT, fetch).await;
    }

    /// Fetches the keys on schedule and on request, forever.
    pub(super) async fn keep_fresh(&self) {
        let mut for_unknown = None;
        loop {
            let began = Some(Instant::now());
            let had_keys = self.current.load().is_some();
            self.refresh().await;
            self.fetched.send_replace(FetchState { began, for_unknown });
            if !had_keys {
                // Requests made before the first keys are answered by them.
                let _ = self.wanted.notified().now_or_never();
            }
            let pause = match self.current.load_full() {
                Some(_) => REFRESH_EVERY.mul_f64(rand::random_range(0.9..1.1)),
                None => FIRST_FETCH_RETRY.mul_f64(rand::random_range(1.0..3.0)),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.requested() => for_unknown = Some(Instant::now()),
            }
        }
    }

    /// Completes when a fetch for an unknown key is requested and due.
    async fn requested(&self) {
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
                "fetching keys failed; still using the known ones"
            ),
        }
    }

    async fn fetch(&self) -> Result<KeySet> {
        let mut request = self.client.get(self.url.clone()).timeout(FETCH_TIMEOUT);
        if let Some(file) = &self.bearer_token_file {
            let token = TokenFile::new("bearer_token_file", file).read().await?;
            request = request.bearer_auth(token.expose_secret());
        }
        let failed = |error| Error::unavailable("fetching the key set failed").with_source(error);
        let mut response =
            request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_SET_BYTES {
                return Err(Error::unavailable("the key set is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        self.read_set(&body)
    }

    /// Parses `body`. An unchanged set keeps its generation, and with it the verified tokens.
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

impl FetchState {
    fn too_soon(self) -> bool {
        self.for_unknown.is_some_and(|at| at.elapsed() < MIN_FETCH_INTERVAL)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "key sets are fetched with their own trust and limits"
)]
fn client(file: &JwksFile) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    if file.bearer_token_file.is_some() {
        // The cluster's own API server: an egress proxy cannot resolve the name of a Service.
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
