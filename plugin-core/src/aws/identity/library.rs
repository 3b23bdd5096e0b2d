//! Sources that reqsign knows, over our own client, files and processes.

use std::{
    fmt, io,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use reqsign_aws_core::Credential;
use reqsign_core::{
    CommandExecute, CommandOutput, Context as Surroundings, Error as LibraryError, FileRead,
    HttpSend, ProvideCredential, Result as LibraryResult, StaticEnv,
};
use secrecy::SecretString;
use server_core::{Error, Kind, Result};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use super::{Issued, KeySource, no_keys};
use crate::{aws::keys::Keys, context::Context, upstream::Http};

/// The largest file, and the largest output of a command, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a command may run.
const LONGEST_RUN: Duration = Duration::from_secs(9);

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
            issued.map_err(|error| self.failed(&error, &failure))?.map(issue).ok_or_else(|| {
                let cause = failure.take();
                no_keys(&self.message(), cause.unwrap_or_else(|| refused("it has no keys")))
            })
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

/// The failure of ours that the library got, which says more than its own.
#[derive(Debug, Clone, Default)]
struct Failures(Arc<Mutex<Option<Error>>>);

impl Failures {
    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes `error`, and tells the library that there is one.
    fn note(&self, error: Error) -> LibraryError {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        LibraryError::unexpected("failed")
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

/// Runs commands, without a shell. Nothing of their output is logged.
#[derive(Debug)]
struct Commands(Failures);

impl CommandExecute for Commands {
    async fn command_execute<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
    ) -> LibraryResult<CommandOutput> {
        let failed = |why: String| self.0.note(Error::unavailable(format!("{program}: {why}")));
        let (program, args) = unquoted(program, args)
            .ok_or_else(|| failed("the command has a quote without its other half".to_owned()))?;
        let run = async {
            let mut command = Command::new(&program);
            command.args(&args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.kill_on_drop(true).spawn()?;
            let mut stdout = Vec::new();
            if let Some(pipe) = child.stdout.take() {
                pipe.take(LARGEST).read_to_end(&mut stdout).await?;
            }
            let status = child.wait().await?;
            io::Result::Ok((status, stdout))
        };
        let (status, stdout) = match timeout(LONGEST_RUN, run).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("did not end in time".to_owned())),
        };
        if !status.success() {
            return Err(failed(format!("ended with {status}")));
        }
        // What was noted before, such as a missing file, did not matter.
        self.0.take();
        Ok(CommandOutput { status: 0, stdout, stderr: Vec::new() })
    }
}

/// The command with its quotes read, as AWS's SDKs do: the library has cut it at every white space.
fn unquoted(program: &str, args: &[&str]) -> Option<(String, Vec<String>)> {
    let line = [&[program], args].concat().join(" ");
    let mut words = shlex::split(&line)?.into_iter();
    Some((words.next()?, words.collect()))
}
