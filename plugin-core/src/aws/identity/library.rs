//! Sources that reqsign knows, over our own client, files and processes.

use std::{fmt, io};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use reqsign_aws_core::Credential;
use reqsign_core::{
    Context as Surroundings, Error as LibraryError, FileRead, HttpSend, ProvideCredential,
    Result as LibraryResult, StaticEnv,
};
use secrecy::SecretString;
use server_core::{Error, Kind, Result};
use tokio::io::AsyncReadExt as _;

use super::{Issued, KeySource, command::Commands, failures::Failures, no_keys};
use crate::{
    aws::keys::{Keys, UNUSABLE},
    context::Context,
    upstream::Http,
};

/// The largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// A source of the library. A new provider is made for each fetch: some keep tokens that may be refused.
pub(super) struct Library<F> {
    pub(super) name: &'static str,
    /// Where it asks, if it asks by HTTP.
    pub(super) http: Option<Http>,
    pub(super) make: F,
}

impl<F, P> KeySource for Library<F>
where
    F: Fn() -> P + Send + Sync + 'static,
    P: ProvideCredential<Credential = Credential>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn asks_a_server(&self) -> bool {
        self.http.is_some()
    }

    fn issue<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        let failure = Failures::default();
        let sender = Sender { http: self.http.clone(), cx: cx.clone(), failures: failure.clone() };
        let surroundings = Surroundings::new()
            .with_http_send(sender)
            .with_file_read(Files(failure.clone()))
            .with_command_execute(Commands(failure.clone()))
            // The settings are all that it knows of the environment.
            .with_env(StaticEnv::default());
        async move {
            let issued = (self.make)().provide_credential(&surroundings).await;
            let issued = issued.map_err(|error| self.failed(&error, &failure))?.map(issue);
            let issued = issued.ok_or_else(|| {
                let cause = failure.take();
                no_keys(&self.message(), cause.unwrap_or_else(|| refused("it has no keys")))
            })?;
            match issued.keys.unusable() {
                None => Ok(issued),
                Some(part) => {
                    let cause = refused(format!("{part} {UNUSABLE}"));
                    Err(no_keys(&self.message(), cause))
                }
            }
        }
        .boxed()
    }
}

impl<F> Library<F> {
    fn message(&self) -> String {
        format!("the service could not obtain AWS keys from its identity ({})", self.name)
    }

    /// The library's message may quote what it could not read: only its kind is shown.
    fn failed(&self, error: &LibraryError, failures: &Failures) -> Error {
        let unread = || refused(format!("the answer could not be used: {:?}", error.kind()));
        no_keys(&self.message(), failures.take().unwrap_or_else(unread))
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::FailedPrecondition, message.into())
}

fn issue(credential: Credential) -> Issued {
    let session = credential.session_token.filter(|token| !token.is_empty());
    Issued {
        keys: Keys {
            id: credential.access_key_id,
            secret: credential.secret_access_key.into(),
            session: session.map(SecretString::from),
        },
        expires_at: credential.expires_in.map(|at| at.as_system_time()),
    }
}

/// Sends the library's requests with our client to the host that is configured.
struct Sender {
    http: Option<Http>,
    cx: Context,
    failures: Failures,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl HttpSend for Sender {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> LibraryResult<http::Response<Bytes>> {
        let http = self.http.as_ref().ok_or_else(|| LibraryError::unexpected("no client"))?;
        let sent = http.relayed(request).send(&self.cx).await;
        let response = sent.map_err(|error| self.failures.note(error))?;
        let mut answer = http::Response::new(response.body.clone());
        *answer.status_mut() = response.status;
        answer.headers_mut().extend(response.headers);
        Ok(answer)
    }
}

/// Reads files.
#[derive(Debug)]
struct Files(Failures);

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> LibraryResult<Vec<u8>> {
        let read = async {
            let mut bytes = Vec::new();
            let file = tokio::fs::File::open(path).await?;
            file.take(LARGEST).read_to_end(&mut bytes).await?;
            io::Result::Ok(bytes)
        };
        // A rotated file may be missing for a moment.
        let unreadable =
            |error| Error::unavailable(format!("{path} cannot be read")).with_source(error);
        read.await.map_err(|error: io::Error| self.0.note(unreadable(error)))
    }
}
