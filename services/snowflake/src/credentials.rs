//! Who a statement is run as: a key pair whose tokens are signed here, or a token from a secret.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use plugin_core::{
    Context, Error, Kind, Result,
    http::{Credentials, Identity, SecretToken, Token, TokenCache, TokenSource},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::key::Key;

/// Flyte 2's names for the key and its passphrase.
pub(crate) const KEY_SECRET: &str = "snowflake_private_key";
const PASSPHRASE_SECRET: &str = "snowflake_private_key_passphrase";
const PAT_SECRET: &str = "snowflake_pat";
const OAUTH_SECRET: &str = "snowflake_oauth_token";
/// Snowflake takes tokens of up to an hour; a minute of it is for clocks that differ.
const LIFETIME: Duration = Duration::from_secs(59 * 60);

/// How the service proves who it is.
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
}

impl AuthType {
    /// The secret without which it does not work.
    pub(crate) fn secret(self) -> &'static str {
        match self {
            Self::KeyPair => KEY_SECRET,
            Self::Pat => PAT_SECRET,
            Self::Oauth => OAUTH_SECRET,
        }
    }

    /// By the name that Snowflake's connectors have for it.
    pub(crate) fn of_authenticator(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("snowflake_jwt") || is("key_pair_authenticator") => Some(Self::KeyPair),
            () if is("programmatic_access_token") => Some(Self::Pat),
            () if is("oauth") => Some(Self::Oauth),
            () => None,
        }
    }
}

/// Signs calls, and tells Snowflake with what.
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

/// Credentials that send the secret of `auth` as it is; `None` where tokens are to be signed.
pub(crate) fn bearer(auth: AuthType) -> Option<SignedBy<SecretToken>> {
    let token_type = match auth {
        AuthType::KeyPair => return None,
        AuthType::Pat => "PROGRAMMATIC_ACCESS_TOKEN",
        AuthType::Oauth => "OAUTH",
    };
    Some(SignedBy { credentials: SecretToken::new(auth.secret()), token_type })
}

/// Credentials that sign tokens for `user` of `account`, as tokens name it.
pub(crate) fn key_pair(
    cache: &TokenCache,
    account: String,
    user: &str,
) -> SignedBy<impl Credentials + use<>> {
    let credentials = cache.of(KeyPair { account, user: user.to_uppercase() });
    SignedBy { credentials, token_type: "KEYPAIR_JWT" }
}

struct KeyPair {
    account: String,
    user: String,
}

impl KeyPair {
    async fn secrets(cx: &Context) -> Result<(SecretString, Option<SecretString>)> {
        Ok((cx.secret(KEY_SECRET).await?, cx.find_secret(PASSPHRASE_SECRET).await?))
    }

    fn claims(&self, fingerprint: &str) -> serde_json::Value {
        let subject = format!("{}.{}", self.account, self.user);
        let now = Timestamp::now().as_second();
        json!({
            "iss": format!("{subject}.{fingerprint}"),
            "sub": subject,
            "iat": now,
            "exp": now + i64::try_from(LIFETIME.as_secs()).unwrap_or_default(),
        })
    }
}

impl TokenSource for KeyPair {
    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let (key, passphrase) = Self::secrets(cx).await?;
        let passphrase = passphrase.as_ref().map_or("", |text| text.expose_secret());
        Ok(Identity::of(&[&self.account, &self.user, key.expose_secret(), passphrase]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let (key, passphrase) = Self::secrets(cx).await?;
        let unusable =
            |why| Error::new(Kind::FailedPrecondition, format!("secret {KEY_SECRET}: {why}"));
        let key = Key::read(&key, passphrase.as_ref()).map_err(unusable)?;
        let header = Header::new(Algorithm::RS256);
        let token = jsonwebtoken::encode(&header, &self.claims(&key.fingerprint), &key.signing)
            .map_err(|error| unusable("cannot sign a token").with_source(error))?;
        Ok(Token { value: token.into(), lifetime: LIFETIME })
    }
}
