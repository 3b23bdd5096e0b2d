//! The token that is added to calls.

use std::{path::PathBuf, time::Duration};

use arc_swap::ArcSwap;
use http::HeaderValue;
use secrecy::ExposeSecret as _;
use server_core::{Error, Result, token_file::TokenFile};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The interval between reads of the file. The kubelet renews a token after four fifths of its lifetime, so
/// a few seconds are soon enough.
const READ_EVERY: Duration = Duration::from_secs(5);

/// A token in a file that is renewed.
pub(crate) struct Token {
    file: TokenFile,
    /// Marked as sensitive, so that neither `Debug` nor HTTP/2's compression table contains it.
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

    /// The value of the `authorization` header.
    pub(crate) fn authorization(&self) -> HeaderValue {
        HeaderValue::clone(&self.current.load())
    }

    /// Reloads the file periodically until `stop`. While it cannot be read, or contains no valid token, the
    /// previous token stays in use.
    pub(crate) async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await.is_some() {
            match header(&self.file).await {
                Ok(new) if new == **self.current.load() => {}
                Ok(new) => {
                    self.current.store(Arc::new(new));
                    tracing::info!("token renewed");
                }
                Err(error) => tracing::warn!(
                    %error,
                    cause = error.chain(),
                    "cannot reload the token; still using the previous one"
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
    async fn renewed_token_is_used_and_invalid_one_is_ignored() {
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
            assert!(token.authorization().is_sensitive(), "kept out of logs and of HPACK's table");
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn invalid_token_file_is_named_without_its_contents() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (contents, problem) in [(" \n", "is empty"), ("canary\ncanary", "is not a token")] {
            std::fs::write(file.path(), contents).unwrap();
            let error = Token::read(file.path().to_owned()).await.err().unwrap();
            let output = format!("{error} {error:?}");
            assert!(output.contains(problem) && !output.contains("canary"), "{output}");
        }
        let missing = Token::read("/nowhere/token".into()).await.err().unwrap().to_string();
        assert_eq!(missing, "--token-file /nowhere/token cannot be read");
    }
}
