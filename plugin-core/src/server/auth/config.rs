//! The authentication file: issuers, and rules over what they vouch for.

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
    /// Where a token may stand; a request carries exactly one.
    #[serde(default = "header_names")]
    pub(super) header_names: Vec<String>,
    /// How far clocks may differ.
    #[serde(default = "clock_skew", deserialize_with = "duration")]
    pub(super) clock_skew: Duration,
    pub(super) issuers: Vec<IssuerFile>,
    /// The first match decides; what none matches is refused.
    pub(super) rules: Vec<RuleFile>,
}

/// Who vouches, how its tokens look and which keys sign them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    /// How rules, logs and handles call it.
    pub(super) name: String,
    /// The exact `iss` of its tokens.
    pub(super) issuer: String,
    /// Take tokens without `iss` for this issuer's. flyteadmin issues such to clients.
    #[serde(default)]
    pub(super) accept_missing_iss: bool,
    pub(super) key: Option<KeyFile>,
    pub(super) jwks: Option<JwksFile>,
    /// The algorithms its keys may sign with; RS256 unless it is a shared secret.
    #[serde(default)]
    pub(super) algorithms: Vec<Algorithm>,
    /// Its tokens must be meant for one of these.
    pub(super) audiences: Vec<String>,
    /// The `typ` its tokens must have; by default `JWT`, `at+jwt` or none.
    #[serde(default)]
    pub(super) typ: Vec<String>,
    /// Where its tokens keep scopes, as a text or a list.
    #[serde(default = "scope_claims")]
    pub(super) scope_claims: Vec<String>,
    /// Which headers name the key; flyteadmin writes `key_id`.
    #[serde(default = "kid_headers")]
    pub(super) kid_headers: Vec<String>,
    /// The longest its tokens may live.
    #[serde(default, deserialize_with = "optional_duration")]
    pub(super) max_lifetime: Option<Duration>,
    #[serde(default)]
    pub(super) reject: RejectFile,
}

/// Keys that lie in files.
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

/// Keys that the issuer publishes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JwksFile {
    pub(super) url: String,
    /// Certificates to trust beside the system's: a cluster's, for example.
    pub(super) ca_file: Option<PathBuf>,
    /// A token to send, read anew each time: Kubernetes wants one.
    pub(super) bearer_token_file: Option<PathBuf>,
}

/// Tokens that are signed with the right key and meant for something else.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectFile {
    /// Refuse tokens with a scope that begins so: flyteadmin's refresh tokens have `f.`.
    pub(super) scope_prefix: Option<String>,
    /// Refuse tokens with any of these claims: flyteadmin's authorization codes have `form`.
    #[serde(default)]
    pub(super) claims_present: Vec<String>,
}

/// Who may do what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// The name of the issuer.
    pub(super) issuer: String,
    /// The exact subject; any if absent.
    pub(super) sub: Option<String>,
    /// Scopes that must all be there.
    #[serde(default)]
    pub(super) scope_all: Vec<String>,
    /// Scopes of which one must be there.
    #[serde(default)]
    pub(super) scope_any: Vec<String>,
    /// Claims that must equal a text, or be a list that holds it.
    #[serde(default)]
    pub(super) claim: BTreeMap<String, String>,
    pub(super) role: Role,
    /// What it may do; everything if absent.
    pub(super) verbs: Option<BTreeSet<Verb>>,
    /// The task types it may use; every one if absent.
    pub(super) tasks: Option<BTreeSet<String>>,
    /// The projects, accounts or workspaces it may use; every one if absent.
    pub(super) targets: Option<BTreeSet<String>>,
}

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
    /// Reads and checks the file.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file and the wrong entry.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("auth file {name} cannot be read: {error}")))?;
        let file: Self = serde_saphyr::from_str(&text)
            .map_err(|error| Error::invalid(format!("auth file {name}: {error}")))?;
        file.check().map_err(|why| Error::invalid(format!("auth file {name}: {why}")))?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
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
            return Err(format!("rules: no issuer is called {:?}", rule.issuer));
        }
        if self.header_names.is_empty() || self.rules.is_empty() {
            return Err("header_names and rules must not be empty".to_owned());
        }
        Ok(())
    }
}

impl IssuerFile {
    fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(is_name) {
            return Err("name must be 1 to 40 letters, digits, - _ or .".to_owned());
        }
        if self.issuer.is_empty() {
            return Err("issuer must not be empty".to_owned());
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err("audiences must name at least one audience".to_owned());
        }
        if self.key.is_some() == self.jwks.is_some() {
            return Err("give either key or jwks".to_owned());
        }
        let shared = matches!(self.key, Some(KeyFile::Hs256(_)));
        if let Some(wrong) = self.algorithms.iter().find(|alg| is_hmac(**alg) != shared) {
            return Err(format!("algorithms: {wrong:?} does not fit this kind of key"));
        }
        Ok(())
    }

    /// The algorithms that count.
    pub(super) fn allowed_algorithms(&self) -> Vec<Algorithm> {
        match self.key {
            Some(KeyFile::Hs256(_)) => vec![Algorithm::HS256],
            _ if self.algorithms.is_empty() => vec![Algorithm::RS256],
            _ => self.algorithms.clone(),
        }
    }
}

fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}
