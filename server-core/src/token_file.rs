//! Tokens in files.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, Result};

/// The longest token, in bytes. Servers accept headers of 8 KiB, some of 16 KiB.
const MAX_TOKEN: usize = 16 << 10;

/// Why `token` cannot be sent in an `Authorization` header, as the end of a sentence about it; `None` if it can.
/// Tokens are visible ASCII (RFC 6750 §2.1).
///
/// ```
/// use server_core::token_file::flaw;
///
/// assert_eq!(flaw("dapi-0123"), None);
/// assert_eq!(flaw(""), Some("is empty"));
/// ```
#[must_use]
pub fn flaw(token: &str) -> Option<&'static str> {
    if token.is_empty() {
        Some("is empty")
    } else if token.len() > MAX_TOKEN {
        Some("is not a token: it is longer than 16 KiB")
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("is not a token: it has characters other than visible ASCII")
    } else {
        None
    }
}

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
    /// `Unavailable`, with the setting and the path, when the file cannot be read or its contents have a
    /// [`flaw`]. No error shows the contents.
    pub async fn read(&self) -> Result<SecretString> {
        let text = tokio::fs::read_to_string(&self.path).await.map(SecretString::from);
        let text = text.map_err(|error| self.error("cannot be read").with_source(error))?;
        let token = text.expose_secret().trim();
        match flaw(token) {
            Some(flaw) => Err(self.error(flaw)),
            None => Ok(SecretString::from(token)),
        }
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

    #[test]
    fn tokens_are_visible_ascii_of_bounded_length() {
        for token in ["t", "dapi-0123_./~+=", &"a".repeat(MAX_TOKEN)] {
            assert_eq!(flaw(token), None, "{token}");
        }
        for token in [
            "",
            "a b",
            "a\tb",
            "a\r\nb",
            "a\0",
            "\u{7f}",
            "ä",
            "\u{2028}",
            &"a".repeat(MAX_TOKEN + 1),
        ] {
            assert!(flaw(token).is_some(), "{token:?}");
        }
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
                Err("is not a token: it has characters other than visible ASCII"),
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
