//! The authentication file: trusted issuers, and access rules for their tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer, de::Error as _};
use server_core::{Error, Result, duration::parse_duration};

use crate::context::{Role, Verb};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthFile {
    /// The headers that may have a token; a request has exactly one.
    #[serde(default = "header_names")]
    pub(super) header_names: Vec<String>,
    /// The tolerance for clock differences.
    #[serde(default = "clock_skew", deserialize_with = "duration")]
    pub(super) clock_skew: Duration,
    pub(super) issuers: Vec<IssuerFile>,
    /// The first matching rule decides; a token that matches none is refused.
    pub(super) rules: Vec<RuleFile>,
}

/// An issuer, its tokens and the keys that sign them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    /// Its name in rules, logs and handles.
    pub(super) name: String,
    /// The exact `iss` of its tokens.
    #[serde(default)]
    pub(super) issuer: String,
    /// A token of this issuer whose `iss` is used: that of the service itself, which the kubelet projects.
    pub(super) issuer_token_file: Option<PathBuf>,
    /// Treat tokens without `iss` as this issuer's. flyteadmin issues such tokens to clients.
    #[serde(default)]
    pub(super) accept_missing_iss: bool,
    pub(super) key: Option<KeyFile>,
    pub(super) jwks: Option<JwksFile>,
    /// The accepted signature algorithms; by default RS256, or HS256 for a shared secret.
    #[serde(default)]
    pub(super) algorithms: Vec<Algorithm>,
    /// Its tokens must have one of these audiences.
    pub(super) audiences: Vec<String>,
    /// The `typ` its tokens must have; by default `JWT`, `at+jwt` or none.
    #[serde(default)]
    pub(super) typ: Vec<String>,
    /// The claims with scopes, each a string or a list.
    #[serde(default = "scope_claims")]
    pub(super) scope_claims: Vec<String>,
    /// The header parameters with the key id; flyteadmin writes `key_id`.
    #[serde(default = "kid_headers")]
    pub(super) kid_headers: Vec<String>,
    /// The maximum lifetime of its tokens.
    #[serde(default, deserialize_with = "optional_duration")]
    pub(super) max_lifetime: Option<Duration>,
    #[serde(default)]
    pub(super) reject: RejectFile,
}

/// Keys in files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum KeyFile {
    /// A shared secret of at least 32 bytes.
    #[serde(rename = "hs256_secret_file")]
    Hs256(PathBuf),
    /// One public key.
    #[serde(rename = "pem_file")]
    Pem(PathBuf),
    /// A JSON Web Key Set.
    #[serde(rename = "jwks_file")]
    Jwks(PathBuf),
}

/// A key set that the issuer publishes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JwksFile {
    pub(super) url: String,
    /// Certificates to trust in addition to the system's, for example a cluster's.
    pub(super) ca_file: Option<PathBuf>,
    /// A token to send, read for every fetch: Kubernetes requires one.
    pub(super) bearer_token_file: Option<PathBuf>,
}

/// Tokens to refuse although they are signed with the right key, because they are not access tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectFile {
    /// Refuse tokens with a scope that has this prefix: flyteadmin's refresh tokens have `f.`.
    pub(super) scope_prefix: Option<String>,
    /// Refuse tokens with any of these claims: flyteadmin's authorization codes have `form`.
    #[serde(default)]
    pub(super) claims_present: Vec<String>,
}

/// A rule: which tokens it matches, and what it allows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// The name of the issuer.
    pub(super) issuer: String,
    /// The exact `sub`; any, or none, if absent.
    pub(super) sub: Option<String>,
    /// The exact client that the token was issued to (`client_id`, else `azp`); any, or none, if absent.
    pub(super) client: Option<String>,
    /// Scopes that are all required.
    #[serde(default)]
    pub(super) scope_all: Vec<String>,
    /// Scopes of which one is required.
    #[serde(default)]
    pub(super) scope_any: Vec<String>,
    /// Claims that must equal a string, or be a list that contains it.
    #[serde(default)]
    pub(super) claim: BTreeMap<String, String>,
    pub(super) role: Role,
    /// The allowed verbs; all if absent.
    pub(super) verbs: Option<BTreeSet<Verb>>,
    /// The allowed task types; all if absent.
    pub(super) tasks: Option<BTreeSet<String>>,
    /// The allowed projects, accounts or workspaces; all if absent.
    pub(super) targets: Option<BTreeSet<String>>,
}

/// Reads the issuer and the algorithm of the service's own token in a file.
pub(super) type ReadOwn = fn(&Path) -> Result<(String, Algorithm), String>;

fn header_names() -> Vec<String> {
    vec!["authorization".to_owned(), "flyte-authorization".to_owned()]
}

fn clock_skew() -> Duration {
    Duration::from_secs(30)
}

fn scope_claims() -> Vec<String> {
    vec!["scope".to_owned(), "scp".to_owned()]
}

fn kid_headers() -> Vec<String> {
    vec!["kid".to_owned()]
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

impl AuthFile {
    /// Reads and checks the file; `own` reads the service's own token. A relative path in it starts at its directory.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file and the invalid entry.
    pub(super) fn read(path: &Path, own: ReadOwn) -> Result<Self> {
        let name = path.display();
        let content = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("auth file {name} cannot be read: {error}")))?;
        let mut file: Self = serde_saphyr::from_str(&content)
            .map_err(|error| Error::invalid(format!("auth file {name}: {error}")))?;
        let directory = path.parent().unwrap_or(path);
        for named in file.issuers.iter_mut().flat_map(IssuerFile::files) {
            *named = directory.join(&named);
        }
        file.issuers
            .iter_mut()
            .try_for_each(|issuer| issuer.resolve(own))
            .and_then(|()| file.check())
            .map_err(|why| Error::invalid(format!("auth file {name}: {why}")))?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        if self.issuers.is_empty() {
            return Err(
                "issuers: name at least one issuer of tokens, with its key or jwks; to serve \
                        without tokens, replace --auth by --insecure-no-auth"
                    .to_owned(),
            );
        }
        let mut names = BTreeSet::new();
        let mut values = BTreeSet::new();
        for issuer in &self.issuers {
            issuer.check().map_err(|why| format!("issuers.{}: {why}", issuer.name))?;
            if !names.insert(&issuer.name) || !values.insert(&issuer.issuer) {
                return Err(format!("issuers.{}: duplicate issuer", issuer.name));
            }
        }
        if self.issuers.iter().filter(|issuer| issuer.accept_missing_iss).count() > 1 {
            return Err("issuers: at most one may set accept_missing_iss".to_owned());
        }
        if let Some(rule) = self.rules.iter().find(|rule| !names.contains(&rule.issuer)) {
            return Err(format!("rules: unknown issuer {:?}", rule.issuer));
        }
        if self.header_names.is_empty() || self.rules.is_empty() {
            return Err("header_names and rules must not be empty".to_owned());
        }
        self.rules.iter().try_for_each(RuleFile::check)
    }
}

impl RuleFile {
    /// An empty identity matches no token.
    fn check(&self) -> Result<(), String> {
        for (name, value) in [("sub", &self.sub), ("client", &self.client)] {
            if value.as_ref().is_some_and(String::is_empty) {
                return Err(format!(
                    "rules: {name} must not be empty; leave it out to match tokens by other claims"
                ));
            }
        }
        Ok(())
    }
}

impl IssuerFile {
    /// The files that it names.
    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let key = self.key.as_mut().map(|key| match key {
            KeyFile::Hs256(path) | KeyFile::Pem(path) | KeyFile::Jwks(path) => path,
        });
        let jwks =
            self.jwks.iter_mut().flat_map(|jwks| [&mut jwks.ca_file, &mut jwks.bearer_token_file]);
        key.into_iter().chain(jwks.flatten()).chain(&mut self.issuer_token_file)
    }

    /// Takes the issuer from the service's own token, if the file says so, and with it the algorithm unless the file has one.
    fn resolve(&mut self, read: ReadOwn) -> Result<(), String> {
        let Some(path) = &self.issuer_token_file else {
            return Ok(());
        };
        let about = |why: &str| format!("issuers.{}.issuer_token_file: {why}", self.name);
        if !self.issuer.is_empty() {
            return Err(about("give either issuer or issuer_token_file"));
        }
        let (iss, algorithm) = read(path).map_err(|why| about(&why))?;
        tracing::info!(issuer = self.name, iss, "the issuer is that of the service's own token");
        if self.algorithms.is_empty() {
            self.algorithms.push(algorithm);
        }
        self.issuer = iss;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(is_name) {
            return Err("name must be 1 to 40 letters, digits, - _ or .".to_owned());
        }
        if self.issuer.is_empty() {
            return Err("issuer must not be empty; give issuer or issuer_token_file".to_owned());
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err("audiences must name at least one audience".to_owned());
        }
        if self.key.is_some() == self.jwks.is_some() {
            return Err("give either key or jwks".to_owned());
        }
        let shared = matches!(self.key, Some(KeyFile::Hs256(_)));
        if let Some(wrong) = self.algorithms.iter().find(|alg| is_hmac(**alg) != shared) {
            return Err(format!("algorithms: {wrong:?} does not fit this type of key"));
        }
        Ok(())
    }

    /// The accepted algorithms.
    pub(super) fn allowed_algorithms(&self) -> Vec<Algorithm> {
        match self.key {
            Some(KeyFile::Hs256(_)) => vec![Algorithm::HS256],
            _ if self.algorithms.is_empty() => vec![Algorithm::RS256],
            _ => self.algorithms.clone(),
        }
    }
}

pub(super) fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}
