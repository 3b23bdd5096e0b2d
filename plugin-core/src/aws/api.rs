//! A service of AWS: its name in hosts and signatures, and its protocol.

use http::HeaderValue;
use server_core::Kind;

use super::refusal::Refusal;

/// An API of AWS. Its facts are those of botocore's model of the service: `endpointPrefix`, `signingName`,
/// `targetPrefix` and `jsonVersion` of `metadata`.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Api {
    pub(super) endpoint_prefix: &'static str,
    pub(super) signing_name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) refusals: fn(&Refusal<'_>) -> Option<Kind>,
    pub(super) full: fn(&Refusal<'_>) -> bool,
}

/// How an operation is named in a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    /// By a header; the request is a POST to the root.
    Json { target_prefix: &'static str, media_type: &'static str },
    /// By method and path.
    RestJson,
}

impl Api {
    /// An API that speaks awsJson 1.1 at hosts that begin with `endpoint_prefix`. Its operations are called
    /// `<target_prefix>.<operation>`.
    pub const fn json_1_1(endpoint_prefix: &'static str, target_prefix: &'static str) -> Self {
        let media_type = "application/x-amz-json-1.1";
        Self::of(endpoint_prefix, Protocol::Json { target_prefix, media_type })
    }

    /// [`json_1_1`](Self::json_1_1) for awsJson 1.0.
    pub const fn json_1_0(endpoint_prefix: &'static str, target_prefix: &'static str) -> Self {
        let media_type = "application/x-amz-json-1.0";
        Self::of(endpoint_prefix, Protocol::Json { target_prefix, media_type })
    }

    /// An API that speaks rest-json at hosts that begin with `endpoint_prefix`.
    pub const fn rest_json(endpoint_prefix: &'static str) -> Self {
        Self::of(endpoint_prefix, Protocol::RestJson)
    }

    const fn of(endpoint_prefix: &'static str, protocol: Protocol) -> Self {
        let signing_name = endpoint_prefix;
        Self { endpoint_prefix, signing_name, protocol, refusals: |_| None, full: |_| false }
    }

    /// Sets the service's name in signatures, where it is not the endpoint prefix.
    pub const fn signing_name(mut self, name: &'static str) -> Self {
        self.signing_name = name;
        self
    }

    /// Sets what `read` knows of the service's own errors. What it answers with `None` has the meaning that AWS
    /// gives it everywhere: throttled, transient, credentials, access, not found, and then by the status.
    pub const fn refusals(mut self, read: fn(&Refusal<'_>) -> Option<Kind>) -> Self {
        self.refusals = read;
        self
    }

    /// Sets what tells that the service takes no further job, because a limit of active ones is reached, while it answers
    /// other calls: [`Failure::full`](crate::upstream::Failure::full). It is asked about transient refusals.
    pub const fn full(mut self, tells: fn(&Refusal<'_>) -> bool) -> Self {
        self.full = tells;
        self
    }

    /// The headers of `operation`: its name, and the media type.
    pub(super) fn target(&self, operation: &str) -> Option<(HeaderValue, HeaderValue)> {
        let Protocol::Json { target_prefix, media_type } = self.protocol else { return None };
        let target = HeaderValue::from_str(&format!("{target_prefix}.{operation}")).ok()?;
        Some((target, HeaderValue::from_static(media_type)))
    }
}
