//! Credentials for Snowflake: a key pair with which tokens are signed, or a token from a secret or file.

use std::{path::Path, time::Duration};

use jsonwebtoken::{Algorithm, Header};
use plugin_core::{
    Context, Error, Fingerprint, Kind, Result, clap,
    context::AuthorSecret,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    jiff::Timestamp,
    secrecy::{ExposeSecret as _, SecretString},
    serde_json::{Map, Value as Json, json},
    upstream::{Credentials, SecretToken, Token, TokenCache, TokenFile, TokenSource, bearer},
};
use serde::{Deserialize, Serialize};

use crate::key::Key;

/// Flyte 2's names for the key and its passphrase.
const KEY_SECRET: &str = "snowflake_private_key";
const PASSPHRASE_SECRET: &str = "snowflake_private_key_passphrase";
const PAT_SECRET: &str = "snowflake_pat";
const OAUTH_SECRET: &str = "snowflake_oauth_token";
/// The setting that names the file with the service's OIDC token.
const TOKEN_FILE: &str = "SNOWFLAKE_OIDC_TOKEN_FILE";
/// Snowflake accepts tokens of up to an hour; a minute less allows for clock skew.
const LIFETIME: Duration = Duration::from_secs(59 * 60);

/// How the service authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum AuthType {
    /// A token signed with the secret `snowflake_private_key`.
    KeyPair,
    /// The programmatic access token in the secret `snowflake_pat`.
    Pat,
    /// The OAuth access token in the secret `snowflake_oauth_token`.
    Oauth,
    /// Workload identity federation, with the token in the file `--oidc-token-file`.
    Wif,
}

impl AuthType {
    /// The method that Snowflake's connectors call `name`.
    pub(crate) fn of_authenticator(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("snowflake_jwt") || is("key_pair_authenticator") => Some(Self::KeyPair),
            () if is("programmatic_access_token") => Some(Self::Pat),
            () if is("oauth") => Some(Self::Oauth),
            () if is("workload_identity") => Some(Self::Wif),
            () => None,
        }
    }
}

/// The secrets that an author chose in place of the service's own: names, not values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretNames {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<AuthorSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase: Option<AuthorSecret>,
}

impl SecretNames {
    /// Reads `custom.secrets`.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that is not a name.
    pub(crate) fn read(secrets: Option<&Map<String, Json>>) -> Result<Self> {
        Ok(Self {
            key: AuthorSecret::read(secrets, KEY_SECRET)?,
            passphrase: AuthorSecret::read(secrets, PASSPHRASE_SECRET)?,
        })
    }

    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// All chosen names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.key.iter().chain(&self.passphrase).map(AuthorSecret::name)
    }

    /// Checks that what `auth` needs exists: secrets, or the setting of the `token_file`.
    ///
    /// # Errors
    /// `FailedPrecondition` with the name of a missing secret, or of the setting.
    pub(crate) async fn check(
        &self,
        cx: &Context,
        auth: AuthType,
        token_file: Option<&Path>,
    ) -> Result<()> {
        match auth {
            AuthType::KeyPair => self.find(cx).await.map(drop),
            AuthType::Pat => cx.secret(PAT_SECRET).await.map(drop),
            AuthType::Oauth => cx.secret(OAUTH_SECRET).await.map(drop),
            // The file may appear later; sending it reports what is wrong with it.
            AuthType::Wif => token_file.map(drop).ok_or_else(no_token_file),
        }
    }

    /// The key, and its passphrase.
    async fn find(&self, cx: &Context) -> Result<(SecretString, Option<SecretString>)> {
        let key = match &self.key {
            Some(secret) => secret.get(cx, KEY_SECRET).await?,
            None => cx.secret(KEY_SECRET).await?,
        };
        let passphrase = match &self.passphrase {
            Some(secret) => Some(secret.get(cx, PASSPHRASE_SECRET).await?),
            // The service's passphrase is for the service's key only.
            None if self.key.is_some() => cx.connection_secret(PASSPHRASE_SECRET)?,
            None => cx.find_secret(PASSPHRASE_SECRET).await?,
        };
        Ok((key, passphrase))
    }
}

/// Signs calls and adds the token type.
pub(crate) struct SignedBy<C> {
    credentials: C,
    token_type: &'static str,
}

impl<C: Credentials> Credentials for SignedBy<C> {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        const TOKEN_TYPE: HeaderName =
            HeaderName::from_static("x-snowflake-authorization-token-type");
        let mut headers = self.credentials.headers(cx).await?;
        headers.insert(TOKEN_TYPE, HeaderValue::from_static(self.token_type));
        Ok(headers)
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        self.credentials.rejected(cx, headers).await;
    }
}

/// Credentials that send a programmatic access token.
pub(crate) fn pat() -> SignedBy<SecretToken> {
    let credentials = SecretToken::new(PAT_SECRET);
    SignedBy { credentials, token_type: "PROGRAMMATIC_ACCESS_TOKEN" }
}

/// Credentials that send an OAuth access token.
pub(crate) fn oauth() -> SignedBy<SecretToken> {
    SignedBy { credentials: SecretToken::new(OAUTH_SECRET), token_type: "OAUTH" }
}

/// Credentials that send the OIDC token in `file`.
pub(crate) fn workload_identity(file: Option<&Path>) -> SignedBy<impl Credentials + use<>> {
    let file = file.map(|path| TokenFile::new(TOKEN_FILE, path));
    let credentials = WorkloadIdentity(file);
    SignedBy { credentials, token_type: "WORKLOAD_IDENTITY_FEDERATION" }
}

/// Workload identity federation: the service sends a token that the operator's OIDC provider issued.
///
/// Header and token type: <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>.
struct WorkloadIdentity(Option<TokenFile>);

impl Credentials for WorkloadIdentity {
    async fn headers(&self, _: &Context) -> Result<HeaderMap> {
        let file = self.0.as_ref().ok_or_else(no_token_file)?;
        let token = format!("WIF.OIDC.{}", file.read_for_call().await?.expose_secret());
        let value = bearer(&SecretString::from(token))?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }
}

fn no_token_file() -> Error {
    let message = format!(
        "workload identity federation needs {TOKEN_FILE}, which the service's operator did not set"
    );
    Error::new(Kind::FailedPrecondition, message)
}

/// Credentials with tokens for `user` of `account`, its name in tokens, signed with the key of `names`.
pub(crate) fn key_pair(
    cache: &TokenCache,
    account: String,
    user: &str,
    names: SecretNames,
) -> SignedBy<impl Credentials + use<>> {
    let credentials = cache.of(KeyPair { account, user: user.to_uppercase(), names });
    SignedBy { credentials, token_type: "KEYPAIR_JWT" }
}

struct KeyPair {
    account: String,
    user: String,
    names: SecretNames,
}

impl KeyPair {
    /// `ACCOUNT.USER`.
    fn subject(&self) -> String {
        format!("{}.{}", self.account, self.user)
    }
}

impl TokenSource for KeyPair {
    async fn identity(&self, cx: &Context) -> Result<Fingerprint> {
        let (key, passphrase) = self.names.find(cx).await?;
        let passphrase = passphrase.as_ref().map_or("", |text| text.expose_secret());
        Ok(Fingerprint::of(&[&self.account, &self.user, key.expose_secret(), passphrase]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let (key, passphrase) = self.names.find(cx).await?;
        let value = signed(self.subject(), key, passphrase).await?;
        Ok(Token::new(value, LIFETIME))
    }
}

/// [`sign`] on a thread of its own: decrypting an author's key may take a second.
async fn signed(
    subject: String,
    key: SecretString,
    passphrase: Option<SecretString>,
) -> Result<SecretString> {
    let signing = move || sign(&subject, &key, passphrase.as_ref());
    tokio::task::spawn_blocking(signing).await.map_err(Error::internal)?
}

/// A token for `subject`.
fn sign(
    subject: &str,
    key: &SecretString,
    passphrase: Option<&SecretString>,
) -> Result<SecretString> {
    let unusable =
        |why| Error::new(Kind::FailedPrecondition, format!("secret {KEY_SECRET}: {why}"));
    let key = Key::read(key, passphrase).map_err(unusable)?;
    let header = Header::new(Algorithm::RS256);
    let token = jsonwebtoken::encode(&header, &claims(subject, &key.fingerprint), &key.signing)
        .map_err(|error| unusable("cannot sign a token").with_source(error))?;
    Ok(token.into())
}

fn claims(subject: &str, fingerprint: &str) -> Json {
    let now = Timestamp::now().as_second();
    json!({
        "iss": format!("{subject}.{fingerprint}"),
        "sub": subject,
        "iat": now,
        "exp": now + i64::try_from(LIFETIME.as_secs()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
