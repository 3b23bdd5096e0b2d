//! A service that keeps to the contract, but for one planted fault.

mod grpc;
mod jobs;
mod rest;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::HeaderMap, routing::get, serve::ListenerExt as _};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use self::jobs::Jobs;

/// The token that the service accepts: three parts, as a JWT has.
pub(crate) const TOKEN: &str = "aGVhZGVy.Y2xhaW1z.c2lnbmF0dXJl";
/// The secret that no answer may contain.
pub(crate) const CANARY: &str = "canary-0123456789";
/// What Python's exceptions look like.
pub(crate) const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"x.py\", line 1";
/// The task type that is run as jobs, and the one that is answered within the call.
pub(crate) const ASYNC: &str = "fake";
pub(crate) const SYNC: &str = "fake_sync";
/// The largest request, in bytes.
pub(crate) const LIMIT: usize = 1 << 20;

/// What is wrong with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    // Discovery.
    RestListFails,
    RestListsAnotherVersion,
    TypeWithoutCategory,
    TwoVersions,
    AsyncTypeExecutes,
    UnknownAgentIsFound,
    NoSchema,
    // Create.
    EmptyRestHandle,
    LongHandle,
    SecondJobForRepeat,
    SecondJobWithoutIds,
    ConcurrentCreatesAreTwo,
    OneJobForEveryPrefix,
    BadCustomIsVague,
    BadCustomIsAnError,
    BadCustomIsAccepted,
    RefusalIsTransient,
    NoTemplateIsAccepted,
    UnknownTypeIsAccepted,
    UnknownVersionIsAccepted,
    // Get.
    PollFailsOnce,
    PhaseIsUndefined,
    TaskFails,
    TerminalBecomesRunning,
    StateDisagrees,
    OutputIsMissing,
    OutputHasAnotherType,
    NoOutputs,
    OutputsDifferOverRest,
    InfoDiffersOverRest,
    LinksComeLate,
    PollIsSlow,
    GarbageIsAJob,
    GarbageIsInternal,
    AlteredHandleIsAJob,
    PickleIsExecuted,
    // Delete.
    SecondDeleteFails,
    DeleteOfEndedFails,
    DeletedJobRunsOn,
    DeleteOfGarbageFails,
    // Execute.
    ExecuteFails,
    OutputsComeFirst,
    ExecuteIsNotTerminal,
    SyncTaskFails,
    SyncOutputIsMissing,
    SyncOutcomeDiffersOverRest,
    HalfCloseIsAwaited,
    InputsAreNotAwaited,
    BrokenStreamIsUnknown,
    SyncBadCustomIsVague,
    SyncRefusalIsTransient,
    SyncUnknownTypeIsAccepted,
    // Authentication.
    ServesAnybody,
    ServesAnyToken,
    NoChallenge,
    // Bounds.
    WrongBytesAreUnknown,
    WrongBytesAreInternal,
    MalformedJsonIs500,
    LargeMessageIsRead,
    DeadlineIsIgnored,
    LogsHang,
    // Health.
    NotServing,
    NotReady,
    MetricsAreHtml,
    // Leaks.
    TracebackInMessage,
    CanaryInMessage,
    TokenInMessage,
    CanaryInMetrics,
}

/// What handlers share.
pub(crate) struct Fake {
    pub(crate) fault: Fault,
    jobs: Jobs,
}

pub(crate) type Shared = State<Arc<Fake>>;

/// A running fake.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a service with `fault`, which has gRPC, REST and the admin port's pages on one port.
pub(crate) async fn start(fault: Fault) -> Running {
    serve(router(fault)).await
}

fn router(fault: Fault) -> Router {
    let fake = Arc::new(Fake { fault, jobs: Jobs::default() });
    Router::new()
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(rest::routes())
        .fallback(grpc::serve)
        .with_state(fake)
}

/// Serves `router` on a free port of loopback.
pub(crate) async fn serve(router: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Small frames would wait for acknowledgements.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running { address, task }
}

async fn readyz(State(fake): Shared) -> http::StatusCode {
    match fake.fault {
        Fault::NotReady => http::StatusCode::SERVICE_UNAVAILABLE,
        _ => http::StatusCode::OK,
    }
}

async fn metrics(State(fake): Shared) -> String {
    match fake.fault {
        Fault::MetricsAreHtml => "<html>no metrics</html>\n".to_owned(),
        Fault::CanaryInMetrics => format!("# TYPE a counter\na{{b=\"{CANARY}\"}} 1\n"),
        _ => "# TYPE a counter\na{b=\"}\"} 1\n# EOF\n".to_owned(),
    }
}

impl Fake {
    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Whether a caller with these headers is known.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(http::header::AUTHORIZATION);
        match token.map(|token| token.to_str().unwrap_or_default()) {
            None => self.is(Fault::ServesAnybody),
            Some(token) => token == format!("Bearer {TOKEN}") || self.is(Fault::ServesAnyToken),
        }
    }

    /// The message about a handle that is none.
    pub(crate) fn about_garbage(&self) -> String {
        match self.fault {
            Fault::TracebackInMessage => TRACEBACK.to_owned(),
            Fault::TokenInMessage => format!("not a handle, from {TOKEN}"),
            Fault::CanaryInMessage => format!("not a handle; the key is {CANARY}"),
            _ => "not a handle".to_owned(),
        }
    }

    /// Executes a pickle that sleeps, if it is one.
    pub(crate) async fn unpickle(&self, handle: &[u8]) {
        if self.is(Fault::PickleIsExecuted) && handle.starts_with(b"ctime\nsleep\n") {
            sleep(Duration::from_millis(3100)).await;
        }
    }
}
