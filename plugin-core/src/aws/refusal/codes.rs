//! What AWS's codes mean wherever they appear.

use http::StatusCode;
use server_core::Kind;

use crate::upstream::Failure;

/// botocore 1.44.8, `retries/standard.py`, `_THROTTLED_ERROR_CODES`, but for `PriorRequestNotComplete`, which is
/// in the list of transient ones as well. Their status is often 400.
pub(super) const THROTTLED: [&str; 13] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "EC2ThrottledException",
];

/// botocore 1.44.8, `retries/standard.py`, `_TRANSIENT_ERROR_CODES`.
pub(super) const TRANSIENT: [&str; 3] =
    ["RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"];

/// Keys that are expired, unknown or wrong, and signatures that are: the "Common errors" of AWS's API
/// references, and STS's. A clock that is wrong is among them, because a repeat is signed with another time.
pub(super) const UNAUTHENTICATED: [&str; 20] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "AuthFailure",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
    "TokenRefreshRequired",
    "InvalidIdentityToken",
    "NotSignedUp",
];

/// The identity is known, and not allowed to do it.
pub(super) const DENIED: [&str; 8] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "NotAuthorized",
    "OptInRequired",
    "AccountProblem",
    "IDPRejectedClaim",
];

/// The kind of an error with `code`.
pub(super) fn kind(status: StatusCode, code: &str) -> Kind {
    let is_in = |codes: &[&str]| codes.contains(&code);
    let code_says = |word: &str| code.contains(word);
    match () {
        () if is_in(&THROTTLED) => Kind::ResourceExhausted,
        () if is_in(&TRANSIENT) || status.is_server_error() => Kind::Unavailable,
        () if is_in(&UNAUTHENTICATED) => Kind::Unauthenticated,
        () if is_in(&DENIED) => Kind::PermissionDenied,
        // The service, not the request: some answer 400 to these, too.
        () if code.starts_with("Internal") || code.starts_with("ServiceUnavailable") => {
            Kind::Unavailable
        }
        () if code_says("NotFound") => Kind::NotFound,
        // Another API answers, such as S3 with `NoSuchBucket`, or one that has no such operation: no job is gone.
        () if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status) => Kind::Unavailable,
        () if code_says("AlreadyExists") => Kind::AlreadyExists,
        // A conflict of states; the job exists only where the service says so.
        () if status == StatusCode::CONFLICT || code == "ServiceQuotaExceededException" => {
            Kind::FailedPrecondition
        }
        () => Failure::of_status(status, "").kind,
    }
}
