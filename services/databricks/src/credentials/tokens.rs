//! Access tokens of service principals, from their workspace's token endpoint.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use plugin_core::{
    Context, Error, Fingerprint, Kind, Result,
    secrecy::{ExposeSecret as _, SecretString},
    serde_json::{self, Value as Json},
    upstream::{Listed, Token, TokenFile, TokenSource},
};
use serde::Deserialize;

use super::Source;
use crate::workspaces::Workspace;

/// The path of a workspace's token endpoint.
const TOKENS: [&str; 3] = ["oidc", "v1", "token"];

/// A service principal and its OAuth secret.
pub(super) struct ClientCredentials {
    pub(super) workspace: Listed<Workspace>,
    /// The client id, unless the secret contains one.
    pub(super) client_id: Option<String>,
    pub(super) secret: Source,
}

struct Client {
    id: String,
    secret: SecretString,
}

impl ClientCredentials {
    /// The secret contains `client_id` and `client_secret` as JSON, or the latter alone.
    async fn client(&self, cx: &Context) -> Result<Client> {
        let (name, text) = self.secret.get(cx).await?;
        let (id, secret) = parts(name, text)?;
        let id = id.or_else(|| self.client_id.clone()).ok_or_else(|| {
            let message = format!(
                "custom.databricksClientId: missing; neither secret {name} nor DATABRICKS_CLIENT_ID \
                 specifies the service principal"
            );
            Error::new(Kind::FailedPrecondition, message)
        })?;
        Ok(Client { id, secret })
    }
}

/// The client id, if there is one, and the client secret in the secret `name`.
fn parts(name: &str, text: SecretString) -> Result<(Option<String>, SecretString)> {
    #[derive(Deserialize)]
    struct Both {
        client_id: Option<String>,
        client_secret: String,
    }
    let unusable = |why: &str| Error::new(Kind::FailedPrecondition, format!("secret {name} {why}"));
    // Neither Databricks' secrets nor Azure's begin with a brace.
    let (id, secret) = if text.expose_secret().starts_with('{') {
        let both = serde_json::from_str::<Both>(text.expose_secret()).map_err(|_| {
            unusable(
                "must be the client's secret, or JSON with the strings client_id and client_secret",
            )
        })?;
        let id = both.client_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        (id, SecretString::from(both.client_secret.trim()))
    } else {
        (None, text)
    };
    if secret.expose_secret().is_empty() {
        return Err(unusable("is empty"));
    }
    Ok((id, secret))
}

impl TokenSource for ClientCredentials {
    async fn identity(&self, cx: &Context) -> Result<Fingerprint> {
        let Client { id, secret } = self.client(cx).await?;
        Ok(Fingerprint::of(&[
            "oauth_m2m",
            &self.workspace.target.host,
            &id,
            secret.expose_secret(),
        ]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let Client { id, secret } = self.client(cx).await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "all-apis"),
            ("client_id", id.as_str()),
            ("client_secret", secret.expose_secret()),
        ];
        let request = self.workspace.http.post(&TOKENS).idempotent().form(&form);
        Token::issued(request, cx).await
    }
}

/// A service principal that trusts the service's own OIDC token.
pub(super) struct TokenExchange {
    pub(super) workspace: Listed<Workspace>,
    pub(super) client_id: String,
    /// The file with that token.
    pub(super) file: TokenFile,
    /// The audience it must have.
    pub(super) audience: Option<String>,
}

impl TokenExchange {
    async fn subject_token(&self) -> Result<SecretString> {
        let token = self.file.read_for_call().await?;
        if let Some(audience) = &self.audience
            && !is_for(token.expose_secret(), audience)
        {
            let message = format!("the service's OIDC token does not have the audience {audience}");
            return Err(Error::unavailable(message));
        }
        Ok(token)
    }
}

impl TokenSource for TokenExchange {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&["oidc_federation", &self.workspace.target.host, &self.client_id]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let subject_token = self.subject_token().await?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("scope", "all-apis"),
            ("client_id", self.client_id.as_str()),
            ("subject_token", subject_token.expose_secret()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        let request = self.workspace.http.post(&TOKENS).idempotent().form(&form);
        Token::issued(request, cx).await
    }
}

/// Whether the JWT `token` has `audience`. Databricks verifies its signature.
fn is_for(token: &str, audience: &str) -> bool {
    let claims = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims = serde_json::from_slice::<Json>(&claims).unwrap_or_default();
    match &claims["aud"] {
        Json::Array(all) => all.iter().any(|one| one == audience),
        one => one == audience,
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_the_clients_or_both_in_json() {
        let read = |text: &str| parts("oauth", text.into());
        for (text, id, secret) in [
            ("s", None, "s"),
            (r#"{"client_secret": "s"}"#, None, "s"),
            (r#"{"client_id": "i", "client_secret": "s"}"#, Some("i"), "s"),
            (r#"{"client_id": " ", "client_secret": "s\n", "host": "h"}"#, None, "s"),
        ] {
            let (found_id, found) = read(text).unwrap();
            assert_eq!((found_id.as_deref(), found.expose_secret()), (id, secret), "{text}");
        }
        for text in [
            "",
            "{",
            r#"{"client_id": "i"}"#,
            r#"{"client_id": 5, "client_secret": "s"}"#,
            r#"{"client_secret": ""}"#,
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), Kind::FailedPrecondition);
            assert!(error.message().starts_with("secret oauth "), "{error}");
        }
    }

    #[test]
    fn tokens_for_other_audiences_are_recognised() {
        let token = |claims: Json| {
            format!("e30.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
        };
        assert!(is_for(&token(json!({"aud": "databricks"})), "databricks"));
        assert!(is_for(&token(json!({"aud": ["sts", "databricks"]})), "databricks"));
        for other in [json!({"aud": "sts.amazonaws.com"}), json!({}), json!({"aud": null})] {
            assert!(!is_for(&token(other), "databricks"));
        }
        assert!(!is_for("not a token", "databricks"));
    }
}
