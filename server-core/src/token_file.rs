//! Tokens in files.

use std::path::PathBuf;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, Result};

/// A file with a token that its issuer replaces before the token expires, for example a projected
/// ServiceAccount token.
///
/// ```
/// use server_core::token_file::TokenFile;
///
/// # async fn example() -> server_core::Result<()> {
/// let file = TokenFile::new("--oidc-token-file", "/var/run/secrets/oidc/token");
/// let token = file.read().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TokenFile {
    setting: &'static str,
    path: PathBuf,
}

impl TokenFile {
    /// The file at `path`, named by `setting`, which errors mention.
    #[must_use]
    pub fn new(setting: &'static str, path: impl Into<PathBuf>) -> Self {
        Self { setting, path: path.into() }
    }

    /// Reads the token, without the white space around it.
    ///
    /// # Errors
    /// `Unavailable`, with the setting and the path, when the file cannot be read, is empty, or has
    /// characters that a header cannot carry. No error shows the contents.
    pub async fn read(&self) -> Result<SecretString> {
        let text = tokio::fs::read_to_string(&self.path).await.map(SecretString::from);
        let text = text.map_err(|error| self.error("cannot be read").with_source(error))?;
        let token = text.expose_secret().trim();
        if token.is_empty() {
            return Err(self.error("is empty"));
        }
        if HeaderValue::from_str(token).is_err() {
            return Err(self.error("is not a token: it has characters that a header cannot carry"));
        }
        Ok(SecretString::from(token))
    }

    /// [`read`](Self::read) for a call to a vendor. The caller learns neither setting nor path, which go to
    /// the log.
    ///
    /// # Errors
    /// `Unavailable`, with the error of `read` as its source.
    pub async fn read_for_call(&self) -> Result<SecretString> {
        let unreadable =
            |error| Error::unavailable("the service's own token cannot be read").with_source(error);
        self.read().await.map_err(unreadable)
    }

    fn error(&self, problem: &str) -> Error {
        Error::unavailable(format!("{} {} {problem}", self.setting, self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_learn_no_path() {
        let file = TokenFile::new("--token-file", "/nowhere/token");
        let error = file.read_for_call().await.unwrap_err();
        assert_eq!(error.to_string(), "the service's own token cannot be read");
        assert!(error.chain().unwrap().contains("--token-file /nowhere/token cannot be read"));
    }

    #[tokio::test]
    async fn token_is_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let file = TokenFile::new("--token-file", &path);
        for (contents, expected) in [
            (None, Err("cannot be read")),
            (Some("first\n"), Ok("first")),
            (Some(" second "), Ok("second")),
            (Some(" \n"), Err("is empty")),
            (
                Some("canary\ncanary"),
                Err("is not a token: it has characters that a header cannot carry"),
            ),
        ] {
            if let Some(contents) = contents {
                std::fs::write(&path, contents).unwrap();
            }
            let read = file.read().await;
            let read = read.as_ref().map(|token| token.expose_secret()).map_err(Error::message);
            let problem = |problem| format!("--token-file {} {problem}", path.display());
            assert_eq!(read.map_err(str::to_owned), expected.map_err(problem));
        }
    }
}
