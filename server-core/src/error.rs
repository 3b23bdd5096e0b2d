//! What went wrong, once: the words for the caller, the kind for both protocols, the source for the log.

mod responses;

use std::{any::Any, borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;
use tonic::Code;

/// The result of everything a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync>;

/// What kind of failure an [`Error`] is, in gRPC's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request is wrong, and stays wrong however often it is sent.
    InvalidArgument,
    /// Who is calling could not be established.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// It was created before.
    AlreadyExists,
    /// The request is well-formed, but the vendor or the configuration refuses it.
    FailedPrecondition,
    /// Too many requests; try again later.
    ResourceExhausted,
    /// Time ran out before the outcome was known.
    DeadlineExceeded,
    /// Something this call depends on does not answer; try again.
    Unavailable,
    /// A defect in the service.
    Internal,
}

impl Kind {
    /// The gRPC status code.
    #[must_use]
    pub fn grpc(self) -> Code {
        match self {
            Self::InvalidArgument => Code::InvalidArgument,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::AlreadyExists => Code::AlreadyExists,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::ResourceExhausted => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unavailable => Code::Unavailable,
            Self::Internal => Code::Internal,
        }
    }

    /// The HTTP status.
    ///
    /// A deadline that passed is 503, not 504: this service is no gateway to its REST callers, and
    /// they should do the same thing about both.
    #[must_use]
    pub fn http(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::FailedPrecondition => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::DeadlineExceeded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The name both protocols show, for example `INVALID_ARGUMENT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::ResourceExhausted | Self::DeadlineExceeded | Self::Unavailable => true,
            Self::InvalidArgument
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::AlreadyExists
            | Self::FailedPrecondition
            | Self::Internal => false,
        }
    }
}

/// A failure, with what the caller may read and what only the log may.
///
/// `Display` is the caller's text. The [source](StdError::source) chain is written to the log once,
/// where the answer is made, and is never sent out. Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    upstream: bool,
    source: Option<Source>,
}

impl Error {
    /// A failure of `kind`; `message` is what the caller reads.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            code: None,
            retry_after: None,
            upstream: false,
            source: None,
        }))
    }

    /// The request is wrong; say which field, and what would be right.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Something this call depends on does not answer.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A defect in the service. The caller reads no more than that; `source` goes to the log.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "internal error").with_source(source)
    }

    /// A plugin or handler panicked with `payload`.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        Self::internal(format!("panic: {text}"))
    }

    /// The same failure as one of another kind.
    #[must_use]
    pub fn with_kind(self, kind: Kind) -> Self {
        self.edit(|inner| inner.kind = kind)
    }

    /// Adds the machine-readable code, for example the vendor's `invalidQuery`.
    #[must_use]
    pub fn with_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|inner| inner.code = Some(code.into()))
    }

    /// Adds what only the log may read.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|inner| inner.source = Some(source.into().into()))
    }

    /// Adds how long the caller should wait before the next try.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(wait))
    }

    /// The same failure with what it is about before its text.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        self.edit(|inner| inner.message = format!("{what}: {}", inner.message).into())
    }

    /// Marks the failure as the vendor's word rather than this service's.
    #[must_use]
    pub fn upstream(self) -> Self {
        self.edit(|inner| inner.upstream = true)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the caller reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The machine-readable code, if there is a more exact one than the kind's.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the caller should wait before the next try, if the failure says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether this is the vendor's word rather than this service's.
    #[must_use]
    pub fn is_upstream(&self) -> bool {
        self.0.upstream
    }

    /// The whole chain for the log, one cause after the other; `None` without a source.
    #[must_use]
    pub fn chain(&self) -> Option<String> {
        let mut next = self.source();
        let mut text = String::new();
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        (!text.is_empty()).then_some(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("code", &self.0.code)
            .field("source", &self.chain())
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_are_told_the_same() {
        let table = [
            (Kind::InvalidArgument, 400, 3),
            (Kind::Unauthenticated, 401, 16),
            (Kind::PermissionDenied, 403, 7),
            (Kind::NotFound, 404, 5),
            (Kind::AlreadyExists, 409, 6),
            (Kind::FailedPrecondition, 422, 9),
            (Kind::ResourceExhausted, 429, 8),
            (Kind::DeadlineExceeded, 503, 4),
            (Kind::Unavailable, 503, 14),
            (Kind::Internal, 500, 13),
        ];
        for (kind, http, grpc) in table {
            assert_eq!(kind.http(), http, "{kind:?}");
            assert_eq!(kind.grpc() as i32, grpc, "{kind:?}");
        }
    }

    #[test]
    fn the_caller_never_reads_the_source() {
        let error = Error::internal(std::io::Error::other("the disk at /data is full"));
        assert_eq!(error.to_string(), "internal error");
        assert_eq!(error.chain().as_deref(), Some("the disk at /data is full"));
    }
}
