//! Workload identity federation: the service shows a token that the operator's OIDC provider issued.
//!
//! Header and token type: <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>.

use std::path::PathBuf;

use http::{HeaderMap, HeaderValue, header};
use plugin_core::{Context, Error, Kind, Result, upstream::Credentials};
use secrecy::{ExposeSecret as _, SecretString};

/// [`Credentials`] that send the token in a file, which whoever issues it renews.
pub(crate) struct TokenFile(pub(super) Option<PathBuf>);

impl TokenFile {
    async fn read(&self) -> Result<SecretString> {
        let unset = "workload identity federation needs SNOWFLAKE_OIDC_TOKEN_FILE, which the \
                     service's operator did not set";
        let path = self.0.as_ref().ok_or_else(|| Error::new(Kind::FailedPrecondition, unset))?;
        let text = tokio::fs::read_to_string(path).await.map(SecretString::from);
        text.map_err(|error| {
            Error::unavailable("the service's OIDC token cannot be read").with_source(error)
        })
    }
}

impl Credentials for TokenFile {
    async fn headers(&self, _: &Context) -> Result<HeaderMap> {
        let text = self.read().await?;
        let token = text.expose_secret().trim();
        let value = HeaderValue::from_str(&format!("Bearer WIF.OIDC.{token}")).ok();
        let mut value = value.filter(|_| !token.is_empty()).ok_or_else(|| {
            Error::unavailable("the file of the service's OIDC token holds no token")
        })?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_core::testing;

    use super::*;

    #[tokio::test]
    async fn the_token_is_read_anew_each_time() {
        let cx = testing::context(Duration::from_secs(1));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let file = TokenFile(Some(path.clone()));
        for (text, words) in [
            (None, "the service's OIDC token cannot be read"),
            (Some("first\n"), "Bearer WIF.OIDC.first"),
            (Some("second"), "Bearer WIF.OIDC.second"),
            (Some(" \n"), "the file of the service's OIDC token holds no token"),
            (Some("a\nb"), "the file of the service's OIDC token holds no token"),
        ] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let headers = file.headers(&cx).await;
            let seen = headers.map(|headers| headers[header::AUTHORIZATION].clone());
            let seen = match &seen {
                Ok(value) => value.to_str().unwrap(),
                Err(error) => error.message(),
            };
            assert_eq!(seen, words);
        }
    }

    #[tokio::test]
    async fn without_a_file_there_is_no_token() {
        let cx = testing::context(Duration::from_secs(1));
        let error = TokenFile(None).headers(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert!(error.message().contains("SNOWFLAKE_OIDC_TOKEN_FILE"), "{error}");
    }
}
