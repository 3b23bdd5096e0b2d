//! One error type: a message for the caller, a kind for both protocols, a source for the log.

mod responses;

use std::{any::Any, borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;
use tonic::Code;

use crate::text::{MAX_CAUSE, MAX_CODE, MAX_ERROR_MESSAGE, cut, cut_middle, printable};

/// The result of everything a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync>;

/// The kind of an [`Error`], in gRPC's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request is invalid, whatever the state of the service.
    InvalidArgument,
    /// The caller could not be authenticated.
    Unauthenticated,
    /// The caller is authenticated, but not authorised.
    PermissionDenied,
    /// The requested thing does not exist.
    NotFound,
    /// The thing to create exists already.
    AlreadyExists,
    /// The request is well-formed, but the vendor or the configuration refuses it.
    FailedPrecondition,
    /// Too many requests; try again later.
    ResourceExhausted,
    /// The deadline passed before the outcome was known.
    DeadlineExceeded,
    /// Something that this call depends on is not available; try again later.
    Unavailable,
    /// A bug in the service.
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
    /// `DeadlineExceeded` is 503, not 504: to its REST callers this service is not a gateway, and they
    /// should treat both alike.
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

    /// The name in both protocols, for example `INVALID_ARGUMENT`.
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

/// An error, with a message for the caller and a source for the log.
///
/// `Display` is the message for the caller. The [source](StdError::source) chain is logged once, with
/// the request, and never sent to the caller. Cloning is cheap.
///
/// ```
/// use server_core::{Error, Kind, Result};
///
/// fn cluster(name: &str) -> Result<&str> {
///     if name.is_empty() {
///         return Err(Error::invalid("custom.cluster: empty; name one of the account's clusters"));
///     }
///     Ok(name)
/// }
///
/// let error = cluster("").unwrap_err();
/// assert_eq!(error.kind(), Kind::InvalidArgument);
///
/// let error = Error::unavailable("the cluster is restarting")
///     .with_retry_after(std::time::Duration::from_secs(30))
///     .with_source(std::io::Error::other("connection reset by 10.0.0.7"));
/// assert!(error.kind().is_transient());
/// assert_eq!(error.to_string(), "the cluster is restarting");
/// assert_eq!(error.chain().as_deref(), Some("connection reset by 10.0.0.7"));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    upstream: bool,
    about_credentials: bool,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` with a message for the caller, which is cut to [`MAX_ERROR_MESSAGE`] bytes and made
    /// [`printable`]: it may quote a vendor or a caller.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: cut_middle(printable(message), MAX_ERROR_MESSAGE),
            code: None,
            retry_after: None,
            upstream: false,
            about_credentials: false,
            source: None,
        }))
    }

    /// An invalid request; the message should name the field and what would be valid.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// Something that does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Something that this call depends on is not available.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A bug in the service. The caller reads only "internal error"; `source` goes to the log.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "internal error").with_source(source)
    }

    /// A panic of a plugin or handler with `payload`.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::internal(format!("panic: {}", message.unwrap_or("unknown")))
    }

    /// Changes the kind.
    #[must_use]
    pub fn with_kind(self, kind: Kind) -> Self {
        self.edit(|inner| inner.kind = kind)
    }

    /// Sets the machine-readable code, for example the vendor's `invalidQuery`; it is cut to [`MAX_CODE`]
    /// bytes.
    #[must_use]
    pub fn with_code(self, code: impl Into<Cow<'static, str>>) -> Self {
        self.edit(|inner| inner.code = Some(cut(printable(code), MAX_CODE)))
    }

    /// Sets the cause, which only the log shows.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|inner| inner.source = Some(source.into().into()))
    }

    /// Sets how long the caller should wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(wait))
    }

    /// Prefixes the message with `subject` and a colon.
    #[must_use]
    pub fn about(self, subject: &str) -> Self {
        self.edit(|inner| {
            let message = printable(format!("{subject}: {}", inner.message));
            inner.message = cut_middle(message, MAX_ERROR_MESSAGE);
        })
    }

    /// Marks the error as reported by the vendor rather than by this service.
    #[must_use]
    pub fn upstream(self) -> Self {
        self.edit(|inner| inner.upstream = true)
    }

    /// Marks the error as about the credentials of a call to the vendor, not about what the call asks for.
    #[must_use]
    pub fn about_credentials(self) -> Self {
        self.edit(|inner| inner.about_credentials = true)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The machine-readable code, if there is one besides the kind's name.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the caller should wait before the next attempt, if known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the vendor reported the error rather than this service.
    #[must_use]
    pub fn is_upstream(&self) -> bool {
        self.0.upstream
    }

    /// Whether the error is about the credentials of a call to the vendor.
    #[must_use]
    pub fn is_about_credentials(&self) -> bool {
        self.0.about_credentials
    }

    /// The source chain for the log, joined with colons, cut to [`MAX_CAUSE`] bytes and made [`printable`]; `None`
    /// without a source.
    #[must_use]
    pub fn chain(&self) -> Option<String> {
        let mut next = self.source();
        let mut chain = String::new();
        while let Some(cause) = next {
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        (!chain.is_empty()).then(|| cut_middle(printable(chain), MAX_CAUSE).into_owned())
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
    fn kinds_map_to_http_and_grpc() {
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
    fn messages_codes_and_causes_are_cut() {
        let long = "x".repeat(1 << 20);
        let error = Error::new(Kind::Internal, long.clone()).about("field").with_code(long.clone());
        let error = error.with_source(long);
        assert!(error.message().starts_with("field: xxx"), "{error}");
        let lengths = [error.message(), error.code().unwrap(), &error.chain().unwrap()];
        let limits = [MAX_ERROR_MESSAGE, MAX_CODE, MAX_CAUSE];
        for (text, limit) in lengths.iter().zip(limits) {
            assert!(text.len() <= limit && text.len() > limit - 10, "{} of {limit}", text.len());
        }
    }

    #[test]
    fn what_a_vendor_says_does_not_steer_the_callers_terminal() {
        let hostile = "\u{1b}[2Jgone\0";
        let error = Error::invalid(hostile).about(hostile).with_code(hostile).with_source(hostile);
        assert_eq!((error.message(), error.code()), ("gone: gone", Some("gone")));
        assert_eq!(error.chain().as_deref(), Some("gone"));
    }

    #[test]
    fn the_message_does_not_contain_the_source() {
        let error = Error::internal(std::io::Error::other("the disk at /data is full"));
        assert_eq!(error.to_string(), "internal error");
        assert_eq!(error.chain().as_deref(), Some("the disk at /data is full"));
    }
}
