//! An authentication file for those who write one: which issuers it trusts, and what it makes of a token.

use std::{path::Path, sync::Arc};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret as _, SecretString};
use server_core::{Error, Kind, Result};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Authenticator as _, Refusal,
    bearer::BearerTokens,
    config::{AuthFile, IssuerFile, KeyFile},
    metrics::Metrics,
    own_token,
};
use crate::context::{Caller, Role};

/// A service's authentication file, as `--auth` takes it.
pub struct AuthenticationFile {
    tokens: Arc<BearerTokens>,
    issuers: Vec<TrustedIssuer>,
}

/// An issuer that an authentication file trusts.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// Its name in the file.
    pub name: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The audiences of which its tokens must have one.
    pub audiences: Vec<String>,
    /// The signature algorithms that its tokens may have, as `alg` spells them.
    pub algorithms: Vec<String>,
    /// Where its keys are: a path, or the URL of its key set.
    pub keys: String,
}

/// What an authentication file allows the bearer of a token.
#[derive(Debug, Clone)]
pub struct Access {
    /// The name of the issuer in the file.
    pub issuer: String,
    /// Who the bearer is, as logs and rules name callers.
    pub subject: String,
    /// The role of the rule that matches.
    pub role: Role,
    /// The allowed verbs; all if `None`.
    pub verbs: Option<Vec<String>>,
    /// The allowed task types; all if `None`.
    pub task_types: Option<Vec<String>>,
    /// The allowed projects, accounts or workspaces; all if `None`.
    pub targets: Option<Vec<String>>,
}

impl AuthenticationFile {
    /// Reads the file, and the files of keys that it names.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file and the wrong entry.
    pub fn read(path: &Path) -> Result<Self> {
        let file = AuthFile::read(path, own_token::read)?;
        let issuers = file.issuers.iter().map(TrustedIssuer::of).collect();
        let metrics = Arc::new(Metrics::register(&mut Registry::default()));
        Ok(Self { tokens: Arc::new(BearerTokens::new(file, &metrics)?), issuers })
    }

    /// The issuers that it trusts.
    #[must_use]
    pub fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// What a service with this file allows the bearer of `token`. Fetches the keys of issuers that publish them.
    ///
    /// # Errors
    /// What the service would answer, with the reason as its source; `Unavailable` if keys could not be fetched.
    pub async fn access(&self, token: &SecretString) -> Result<Access> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let _stop = stop.clone().drop_guard();
        Arc::clone(&self.tokens).keep_fresh(&tasks, &stop);
        let caller = self.tokens.caller(&request(token)?).await;
        caller.map(|caller| Access::of(&caller)).map_err(|Refusal { error, .. }| error)
    }
}

/// A request with a token.
fn request(token: &SecretString) -> Result<http::request::Parts> {
    let malformed = || Error::new(Kind::Unauthenticated, "the token is not a signed JWT");
    let value = format!("Bearer {}", token.expose_secret());
    let mut value = HeaderValue::try_from(value).map_err(|_| malformed())?;
    value.set_sensitive(true);
    let mut request = http::Request::new(()).into_parts().0;
    request.headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    Ok(request)
}

impl TrustedIssuer {
    fn of(file: &IssuerFile) -> Self {
        let keys = match (&file.jwks, &file.key) {
            (Some(jwks), _) => jwks.url.clone(),
            (_, Some(KeyFile::Hs256(path) | KeyFile::Pem(path) | KeyFile::Jwks(path))) => {
                path.display().to_string()
            }
            (None, None) => String::new(),
        };
        Self {
            name: file.name.clone(),
            issuer: file.issuer.clone(),
            audiences: file.audiences.clone(),
            algorithms: file.allowed_algorithms().iter().map(|it| format!("{it:?}")).collect(),
            keys,
        }
    }
}

impl Access {
    fn of(caller: &Caller) -> Self {
        let grant = caller.grant();
        let list = |items: &Option<std::collections::BTreeSet<String>>| {
            items.as_ref().map(|items| items.iter().cloned().collect())
        };
        let verbs = grant.verbs.as_ref();
        Self {
            issuer: caller.issuer().to_owned(),
            subject: caller.subject().to_owned(),
            role: caller.role(),
            verbs: verbs.map(|verbs| verbs.iter().map(|verb| verb.name().to_owned()).collect()),
            task_types: list(&grant.task_types),
            targets: list(&grant.targets),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An authentication file with a shared secret, and a token of its issuer.
    fn file(directory: &Path, rules: &str) -> AuthenticationFile {
        let secret = directory.join("secret");
        std::fs::write(&secret, [b's'; 32]).unwrap();
        let path = directory.join("auth.yaml");
        let text = format!(
            "issuers: [{{name: dev, issuer: 'https://i', audiences: [a, b], key: {{hs256_secret_file: '{}'}}}}]\nrules: [{rules}]\n",
            secret.display()
        );
        std::fs::write(&path, text).unwrap();
        AuthenticationFile::read(&path).unwrap()
    }

    fn token(audience: &str) -> SecretString {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"iss": "https://i", "aud": audience, "sub": "you", "exp": now + 60});
        let key = jsonwebtoken::EncodingKey::from_secret(&[b's'; 32]);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap().into()
    }

    #[tokio::test]
    async fn a_token_gets_what_its_rule_grants() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "{issuer: dev, role: user, verbs: [get, list]}");
        let access = file.access(&token("b")).await.unwrap();
        assert_eq!((access.issuer.as_str(), access.subject.as_str()), ("dev", "you"));
        assert_eq!(access.role, Role::User);
        assert_eq!(access.verbs.unwrap(), ["get", "list"]);
        assert_eq!(access.task_types, None);
    }

    #[tokio::test]
    async fn a_refusal_says_what_the_service_would_answer_and_why() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "{issuer: dev, sub: other, role: user}");
        let error = file.access(&token("c")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.to_string().contains("another audience"), "{error}");
        let error = file.access(&token("a")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied);
        let error = file.access(&"a\nb".to_owned().into()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
    }

    #[test]
    fn issuers_are_those_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "{issuer: dev, role: user}");
        let [issuer] = file.issuers() else { panic!("one issuer") };
        assert_eq!((issuer.name.as_str(), issuer.issuer.as_str()), ("dev", "https://i"));
        assert_eq!((issuer.audiences.len(), &*issuer.algorithms[0]), (2, "HS256"));
        assert!(issuer.keys.ends_with("/secret"));
    }
}
