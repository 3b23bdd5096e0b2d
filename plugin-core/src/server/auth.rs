//! Who is calling: one layer for REST and gRPC alike.

mod config;
mod failure;
mod keys;
mod policy;
mod published;
mod token;

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use moka::sync::Cache;
use server_core::{Error, Result, digest::sha256};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    config::AuthFile,
    failure::AuthFailure,
    keys::Keys,
    policy::Policy,
    token::{Issuer, MAX_TOKEN_BYTES, Unverified},
};
use super::route::Route;
use crate::{context::Caller, metrics::Metrics, record::Record};

/// How long a verified token is not verified again.
const REMEMBER: Duration = Duration::from_secs(300);
const MAX_REMEMBERED: u64 = 10_000;

/// Decides who is calling.
#[derive(Clone)]
pub(crate) struct Auth {
    mode: Arc<Mode>,
    metrics: Arc<Metrics>,
}

enum Mode {
    /// `--insecure-no-auth`.
    Anonymous,
    Tokens(Box<Tokens>),
}

struct Tokens {
    header_names: Vec<HeaderName>,
    issuers: Vec<Issuer>,
    policy: Policy,
    verified: Cache<[u8; 32], Remembered>,
}

#[derive(Clone)]
struct Remembered {
    caller: Caller,
    expires_at: Timestamp,
    issuer: usize,
    generation: Option<u64>,
}

impl Auth {
    pub(crate) fn anonymous(metrics: Arc<Metrics>) -> Self {
        Self { mode: Arc::new(Mode::Anonymous), metrics }
    }

    /// Reads the authentication file.
    ///
    /// # Errors
    /// `InvalidArgument` that says what is wrong with it.
    pub(crate) fn from_file(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let tokens = Tokens::new(AuthFile::read(path)?, &metrics)?;
        Ok(Self { mode: Arc::new(Mode::Tokens(Box::new(tokens))), metrics })
    }

    /// Whether the tokens of at least one issuer can be verified.
    pub(crate) fn is_ready(&self) -> bool {
        match &*self.mode {
            Mode::Anonymous => true,
            Mode::Tokens(tokens) => tokens.issuers.iter().any(|issuer| issuer.keys.is_ready()),
        }
    }

    /// Keeps published keys fresh until `stop`.
    pub(crate) fn keep_fresh(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let Mode::Tokens(tokens) = &*self.mode else {
            return;
        };
        for index in 0..tokens.issuers.len() {
            let (auth, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                if let Mode::Tokens(tokens) = &*auth.mode {
                    stop.run_until_cancelled(tokens.issuers[index].keys.keep_fresh()).await;
                }
            });
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller> {
        let Mode::Tokens(tokens) = &*self.mode else {
            return Ok(Caller::anonymous());
        };
        tokens.caller(headers).await.map_err(|refusal| {
            self.metrics.auth_failure(refusal.reason());
            Error::from(refusal)
        })
    }
}

impl Tokens {
    fn new(file: AuthFile, metrics: &Arc<Metrics>) -> Result<Self> {
        let header_names = file.header_names.iter().map(|name| {
            name.parse().map_err(|_| {
                Error::invalid(format!("header_names: {name:?} is not a header's name"))
            })
        });
        let issuers = file.issuers.into_iter().map(|issuer| {
            let keys = Keys::new(&issuer, metrics)?;
            Ok(Issuer::new(issuer, keys, file.clock_skew))
        });
        Ok(Self {
            header_names: header_names.collect::<Result<_>>()?,
            issuers: issuers.collect::<Result<_>>()?,
            policy: Policy::new(file.rules),
            verified: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBER).build(),
        })
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, AuthFailure> {
        let token = self.bearer(headers)?;
        let hash = sha256(&[token.as_bytes()]);
        if let Some(known) = self.verified.get(&hash).filter(|known| self.still_holds(known)) {
            return Ok(known.caller);
        }
        let unverified = Unverified::read(token)?;
        let (index, issuer) = self.issuer(unverified.iss.as_deref())?;
        let verified = issuer.verify(&unverified).await?;
        let caller = self.policy.caller(&verified).ok_or(AuthFailure::NoRule)?;
        self.verified.insert(
            hash,
            Remembered {
                caller: caller.clone(),
                expires_at: verified.expires_at,
                issuer: index,
                generation: issuer.keys.generation(),
            },
        );
        Ok(caller)
    }

    fn still_holds(&self, known: &Remembered) -> bool {
        let generation = self.issuers[known.issuer].keys.generation();
        Timestamp::now() < known.expires_at && generation == known.generation
    }

    fn issuer(&self, iss: Option<&str>) -> Result<(usize, &Issuer), AuthFailure> {
        let matches = |issuer: &Issuer| match iss {
            Some(iss) => issuer.iss == iss,
            None => issuer.accept_missing_iss,
        };
        let found = self.issuers.iter().enumerate().find(|(_, issuer)| matches(issuer));
        found.ok_or(AuthFailure::Invalid("unknown_issuer"))
    }

    /// The one token of a request.
    fn bearer<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, AuthFailure> {
        let mut values = self.header_names.iter().flat_map(|name| headers.get_all(name));
        let value = values.next().ok_or(AuthFailure::Missing)?;
        if values.next().is_some() {
            return Err(AuthFailure::Ambiguous);
        }
        let value = value.to_str().map_err(|_| AuthFailure::Invalid("malformed"))?;
        if value.contains(',') {
            return Err(AuthFailure::Ambiguous);
        }
        let (scheme, token) = value.split_once(' ').ok_or(AuthFailure::Invalid("malformed"))?;
        let plausible = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN_BYTES;
        if plausible { Ok(token) } else { Err(AuthFailure::Invalid("malformed")) }
    }
}

/// Finds out who is calling. Health is open to everybody: probes carry no token.
pub(super) async fn authenticate(
    State(auth): State<Auth>,
    Extension(route): Extension<Route>,
    mut request: Request,
    next: Next,
) -> Response {
    if route.verb.is_none() {
        return next.run(request).await;
    }
    match auth.caller(request.headers()).await {
        Ok(caller) => {
            if let Some(record) = request.extensions().get::<Record>() {
                record.fields().caller = Some(caller.clone());
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Checks that the caller may do this at all, before anything of the body is read.
pub(super) async fn authorise(
    State(auth): State<Auth>,
    Extension(route): Extension<Route>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = match (request.extensions().get::<Caller>(), route.verb) {
        (Some(caller), Some(verb)) => caller.check_verb(verb),
        _ => Ok(()),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => {
            auth.metrics.auth_failure("verb");
            error.into_response()
        }
    }
}

#[cfg(test)]
mod tests;
