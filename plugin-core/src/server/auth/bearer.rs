//! Authenticates callers by bearer tokens (JWTs).

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, request::Parts};
use jiff::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::{Error, Result, digest::KeyedHash};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Authenticator, Refusal,
    config::AuthFile,
    failure::{TokenFailure, any_of, quoted},
    keys::Keys,
    metrics::Metrics,
    policy::Policy,
    token::{Issuer, MAX_TOKEN_BYTES, Unverified},
};
use crate::context::Caller;

/// How long a verified token is not verified again.
const CACHED_FOR: Duration = Duration::from_secs(300);
const MAX_CACHED: u64 = 10_000;

/// Authenticates callers by the tokens of the configured issuers.
pub(super) struct BearerTokens {
    header_names: Vec<HeaderName>,
    issuers: Vec<Issuer>,
    policy: Policy,
    /// Callers by the hash of their token, which the cache must not hold.
    verified: Cache<u128, VerifiedCaller>,
    hash: KeyedHash,
}

/// A caller whose token was verified.
#[derive(Clone)]
struct VerifiedCaller {
    caller: Caller,
    expires_at: Timestamp,
    issuer: usize,
    generation: u64,
}

impl Authenticator for BearerTokens {
    fn caller<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Caller, Refusal>> {
        self.verify(&request.headers).map(|result| result.map_err(Refusal::from)).boxed()
    }

    fn ready(&self) -> Result<(), &'static str> {
        if self.issuers.iter().any(|issuer| issuer.keys.is_ready()) {
            Ok(())
        } else {
            Err("no issuer's keys are loaded yet")
        }
    }

    /// One task for each issuer.
    fn keep_fresh(self: Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        for index in 0..self.issuers.len() {
            let (this, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move {
                stop.run_until_cancelled(this.issuers[index].keys.keep_fresh()).await;
            });
        }
    }
}

impl BearerTokens {
    pub(super) fn new(file: AuthFile, metrics: &Arc<Metrics>) -> Result<Self> {
        let header_names = file.header_names.iter().map(|name| {
            name.parse()
                .map_err(|_| Error::invalid(format!("header_names: {name:?} is not a header name")))
        });
        let issuers = file.issuers.into_iter().map(|issuer| {
            let keys = Keys::new(&issuer, metrics)?;
            Ok(Issuer::new(issuer, keys, file.clock_skew))
        });
        Ok(Self {
            header_names: header_names.collect::<Result<_>>()?,
            issuers: issuers.collect::<Result<_>>()?,
            policy: Policy::new(file.rules),
            verified: Cache::builder()
                .max_capacity(MAX_CACHED)
                .time_to_live(CACHED_FOR)
                // moka's default policy would not admit new tokens.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            hash: KeyedHash::default(),
        })
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<Caller, TokenFailure> {
        let token = self.bearer(headers)?;
        let hash = self.hash.of(token);
        if let Some(cached) = self.verified.get(&hash).filter(|cached| self.is_current(cached)) {
            return Ok(cached.caller);
        }
        let unverified = Unverified::read(token)?;
        let (index, issuer) = self.issuer(unverified.iss.as_deref())?;
        let verified = issuer.verify(&unverified).await?;
        let caller = self.policy.caller(&verified);
        let caller = caller.ok_or_else(|| TokenFailure::NoRule(self.policy.misses(&verified)))?;
        self.verified.insert(
            hash,
            VerifiedCaller {
                caller: caller.clone(),
                expires_at: verified.expires_at,
                issuer: index,
                generation: verified.generation,
            },
        );
        Ok(caller)
    }

    fn is_current(&self, cached: &VerifiedCaller) -> bool {
        let generation = self.issuers[cached.issuer].keys.generation();
        Timestamp::now() < cached.expires_at && generation == Some(cached.generation)
    }

    fn issuer(&self, iss: Option<&str>) -> Result<(usize, &Issuer), TokenFailure> {
        let matches = |issuer: &Issuer| match iss {
            Some(iss) => issuer.iss == iss,
            None => issuer.accept_missing_iss,
        };
        let found = self.issuers.iter().enumerate().find(|(_, issuer)| matches(issuer));
        found.ok_or_else(|| {
            let expected = any_of(self.issuers.iter().map(|issuer| quoted(&issuer.iss)));
            let iss = iss.map_or_else(|| "missing".to_owned(), quoted);
            TokenFailure::Claim("unknown_issuer", format!("iss is {iss}, expected {expected}"))
        })
    }

    /// The one token of a request.
    fn bearer<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, TokenFailure> {
        let mut values = self.header_names.iter().flat_map(|name| headers.get_all(name));
        let value = values.next().ok_or(TokenFailure::Missing)?;
        if values.next().is_some() {
            return Err(TokenFailure::Ambiguous);
        }
        let value = value.to_str().map_err(|_| TokenFailure::Invalid("malformed"))?;
        if value.contains(',') {
            return Err(TokenFailure::Ambiguous);
        }
        let (scheme, token) = value.split_once(' ').ok_or(TokenFailure::Invalid("malformed"))?;
        let plausible = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN_BYTES;
        if plausible { Ok(token) } else { Err(TokenFailure::Invalid("malformed")) }
    }
}
