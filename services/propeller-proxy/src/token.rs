//! The token that calls are given.

use std::{path::PathBuf, time::Duration};

use arc_swap::ArcSwap;
use http::HeaderValue;
use secrecy::ExposeSecret as _;
use server_core::{Error, Result, token_file::TokenFile};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often the file is read. The kubelet brings a new token when four fifths of the old one's life
/// are over, so a few seconds are soon enough.
const READ_EVERY: Duration = Duration::from_secs(5);

/// A token in a file that somebody renews.
pub(crate) struct Token {
    file: TokenFile,
    /// Marked as sensitive: neither `Debug` nor HTTP/2's compression table has it.
    current: ArcSwap<HeaderValue>,
}

impl Token {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// Those of [`TokenFile::read`].
    pub(crate) async fn read(file: PathBuf) -> Result<Self> {
        let file = TokenFile::new("--token-file", file);
        let current = ArcSwap::from_pointee(header(&file).await?);
        Ok(Self { file, current })
    }

    /// The value of `authorization`.
    pub(crate) fn authorization(&self) -> HeaderValue {
        HeaderValue::clone(&self.current.load())
    }

    /// Reads the file again and again, until `stop`. While it cannot be read, or holds no token, the
    /// former one serves on.
    pub(crate) async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await.is_some() {
            match header(&self.file).await {
                Ok(new) if new == **self.current.load() => {}
                Ok(new) => {
                    self.current.store(Arc::new(new));
                    tracing::info!("the token was renewed");
                }
                Err(error) => tracing::warn!(
                    %error,
                    cause = error.chain(),
                    "the token could not be read again: the former one serves on"
                ),
            }
        }
    }
}

async fn header(file: &TokenFile) -> Result<HeaderValue> {
    let token = file.read().await?;
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_renewed_token_is_sent_and_an_unreadable_one_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first\n").unwrap();
        let token = Arc::new(Token::read(file.path().to_owned()).await.unwrap());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(&token).keep_fresh(stop.clone()));
        for (written, sent) in
            [("first", "Bearer first"), ("second", "Bearer second"), ("", "Bearer second")]
        {
            std::fs::write(file.path(), written).unwrap();
            tokio::time::sleep(READ_EVERY * 2).await;
            assert_eq!(token.authorization(), sent);
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_file_without_a_token_is_named_and_its_contents_are_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (contents, words) in [(" \n", "is empty"), ("canary\ncanary", "is not a token")] {
            std::fs::write(file.path(), contents).unwrap();
            let error = Token::read(file.path().to_owned()).await.err().unwrap();
            let said = format!("{error} {error:?}");
            assert!(said.contains(words) && !said.contains("canary"), "{said}");
        }
        let missing = Token::read("/nowhere/token".into()).await.err().unwrap().to_string();
        assert_eq!(missing, "--token-file /nowhere/token cannot be read");
    }
}
