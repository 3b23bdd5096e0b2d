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
    sync::{Notify, Semaphore, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use url::Url;

use super::{
    config::JwksFile,
    jwk::Key,
    key_set::{KeySet, published_set, read},
    metrics::Metrics,
};
use crate::upstream::{check_url, require_tls};

/// How often published keys are fetched. A key that its issuer has removed is accepted no longer than this.
const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// How many fetches tokens with unknown keys may cause at once, so that a stranger's does not delay the one
/// that a new key needs.
const FETCHES_AT_ONCE: u32 = 2;
/// The interval at which they may cause further ones: the longest that a new key waits, whoever else sends
/// unknown ones.
const FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// How many callers wait for a fetch. They hold memory, and are not authenticated yet.
const MAX_WAITING: usize = 100;
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
    progress: watch::Sender<Progress>,
    waiting: Semaphore,
    metrics: Arc<Metrics>,
}

/// The progress of the fetching task.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// Whether a fetch is in progress.
    running: bool,
    completed: u64,
    /// When the last completed fetch began.
    began: Instant,
    succeeded: bool,
    /// When the fetches that unknown keys caused would end, if each took an interval.
    booked: Instant,
}

/// It is not known whether the issuer has the key: not the caller's fault.
pub(super) struct Unavailable;

impl Published {
    pub(super) fn new(issuer: &str, file: &JwksFile, metrics: Arc<Metrics>) -> Result<Self> {
        let wrong = |why: String| Error::invalid(format!("issuers.{issuer}.jwks: {why}"));
        let url = Url::parse(&file.url).map_err(|error| wrong(format!("url: {error}")))?;
        check_url(&url).map_err(|why| wrong(format!("url: {why}")))?;
        require_tls(&url).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            issuer: issuer.to_owned(),
            url,
            bearer_token_file: file.bearer_token_file.clone(),
            client: client(file).map_err(|error| wrong(error.to_string()))?,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            progress: watch::Sender::new(Progress::new()),
            waiting: Semaphore::new(MAX_WAITING),
            metrics,
        })
    }

    /// The keys, unless there are none or they are too old.
    pub(super) fn usable(&self) -> Option<Arc<KeySet>> {
        let is_usable =
            |set: &Arc<KeySet>| set.loaded_at.elapsed() < MAX_STALE && !set.keys.is_empty();
        self.current.load_full().filter(is_usable)
    }

    pub(super) async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Vec<Key>, u64), Unavailable> {
        if !self.knows(kid) {
            self.wait_for(kid).await?;
        }
        let set = self.usable().ok_or(Unavailable)?;
        Ok((set.candidates(kid, algorithm), set.generation))
    }

    /// Whether there are keys, the named one among them.
    fn knows(&self, kid: Option<&str>) -> bool {
        self.usable().is_some_and(|set| kid.is_none_or(|kid| set.knows(kid)))
    }

    /// Waits for a fetch, because an earlier one may have missed a change. If none is due yet, it is made once it
    /// is, and this call does not wait for it.
    async fn wait_for(&self, kid: Option<&str>) -> Result<(), Unavailable> {
        let _permit = self.waiting.try_acquire().map_err(|_| Unavailable)?;
        let mut progress = self.progress.subscribe();
        let (before, requested) = (*progress.borrow(), Instant::now());
        let has_keys = self.current.load().is_some();
        self.wanted.notify_one();
        let is_enough = |progress: &Progress| {
            let has_fetched = progress.completed > before.completed;
            if has_keys && before.due() > requested {
                !progress.running
            } else if has_keys {
                has_fetched && (progress.began >= requested || self.knows(kid))
            } else {
                has_fetched
            }
        };
        let fetched = timeout(FETCH_TIMEOUT, progress.wait_for(is_enough)).await;
        let succeeded = fetched.is_ok_and(|fetched| fetched.is_ok_and(|it| it.succeeded));
        if succeeded { Ok(()) } else { Err(Unavailable) }
    }

    /// Fetches the keys on schedule and on request, forever.
    pub(super) async fn keep_fresh(&self) {
        loop {
            // Requests made so far are answered by the fetch that begins here.
            let _ = self.wanted.notified().now_or_never();
            let (began, had_keys) = (Instant::now(), self.current.load().is_some());
            self.progress.send_modify(|progress| progress.running = true);
            let succeeded = self.refresh().await;
            self.progress.send_modify(|progress| progress.complete(began, succeeded));
            if !had_keys {
                // Requests made before the first keys are answered by them.
                let _ = self.wanted.notified().now_or_never();
            }
            let pause = match self.current.load_full() {
                Some(_) => REFRESH_EVERY.mul_f64(rand::random_range(0.8..1.0)),
                None => FIRST_FETCH_RETRY.mul_f64(rand::random_range(1.0..3.0)),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.requested() => {}
            }
        }
    }

    /// Completes when a fetch for an unknown key is requested and due.
    async fn requested(&self) {
        if self.current.load().is_none() {
            return std::future::pending().await;
        }
        self.wanted.notified().await;
        let due = self.progress.borrow().due();
        sleep_until(due).await;
        self.progress.send_modify(Progress::book);
    }

    /// Fetches the keys; returns whether it succeeded.
    async fn refresh(&self) -> bool {
        let fetched = self.fetch().await;
        let succeeded = fetched.is_ok();
        self.metrics.jwks_fetch(&self.issuer, succeeded);
        match fetched {
            Ok(set) => self.current.store(Some(Arc::new(set))),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                %error,
                cause = error.chain(),
                "fetching keys failed; still using the known ones"
            ),
        }
        succeeded
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
        let loaded_at = Instant::now();
        let generation = match &*self.current.load() {
            Some(set) if set.digest == digest => {
                let (keys, generation) = (set.keys.clone(), set.generation);
                return Ok(KeySet { keys, generation, digest, loaded_at });
            }
            Some(set) => set.generation + 1,
            None => 0,
        };
        let keys = published_set(body, &self.issuer)?;
        if keys.is_empty() {
            tracing::error!(issuer = self.issuer, "no published key may verify signatures");
        }
        Ok(KeySet { keys, generation, digest, loaded_at })
    }
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { running: false, completed: 0, began: now, succeeded: false, booked: now }
    }

    fn complete(&mut self, began: Instant, succeeded: bool) {
        let completed = self.completed + 1;
        *self = Self { running: false, completed, began, succeeded, booked: self.booked };
    }

    /// When an unknown key may cause the next fetch.
    fn due(&self) -> Instant {
        let ahead = FETCH_INTERVAL * (FETCHES_AT_ONCE - 1);
        self.booked.checked_sub(ahead).unwrap_or(self.booked)
    }

    fn book(&mut self) {
        self.booked = self.booked.max(Instant::now()) + FETCH_INTERVAL;
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
        let certificates = reqwest::Certificate::from_pem_bundle(
            &read(path).map_err(|error| error.about("ca_file"))?,
        )
        .map_err(|error| Error::invalid(format!("ca_file {}: {error}", path.display())))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(Error::internal)
}

#[cfg(test)]
mod tests;
