//! What signs requests, as a file has it.

use plugin_core::schemars::{self, JsonSchema};
use serde::Deserialize;

use crate::located::At;

/// What signs requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// Nothing.
    None,
    /// `Authorization: Bearer <secret>`.
    Bearer(SecretOf),
    /// A header with a secret.
    Header(HeaderAuth),
    /// `Authorization: Basic …` (RFC 7617).
    Basic(BasicAuth),
    /// A token of OAuth 2.0's client credentials (RFC 6749 §4.4).
    Oauth2(Oauth2),
    /// An access token of Google: of the service account key in the secret `google_application_credentials`, if there is one,
    /// else of the service's own identity, found as Google's libraries find it (workload identity, a key file, …).
    Google(Google),
    /// Signature Version 4 of AWS. Identities, roles and further regions are the settings of all services of AWS, read from
    /// its environment variables.
    AwsSigv4(AwsSigv4),
}

/// A secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretOf {
    /// The secret's name in `secrets`.
    pub(crate) secret: At<String>,
}

/// A header with a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderAuth {
    /// The header's name.
    pub(crate) name: At<String>,
    /// The secret's name in `secrets`.
    pub(crate) secret: At<String>,
    /// What the header has before the secret, for example `Token `.
    #[serde(default)]
    pub(crate) prefix: Option<At<String>>,
}

/// A user name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuth {
    /// The secret with the user name.
    pub(crate) username: At<String>,
    /// The secret with the password.
    pub(crate) password: At<String>,
}

/// OAuth 2.0's client credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oauth2 {
    /// The URL of the token endpoint, from `settings`.
    pub(crate) token_url: At<String>,
    /// The secret with the client's id.
    pub(crate) client_id: At<String>,
    /// The secret with the client's secret.
    pub(crate) client_secret: At<String>,
    /// The scopes to ask for, separated by spaces; from `settings`.
    #[serde(default)]
    pub(crate) scope: Option<At<String>>,
    /// The audience to ask for, where the issuer wants one (Auth0); from `settings`.
    #[serde(default)]
    pub(crate) audience: Option<At<String>>,
}

/// An access token of Google.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Google {
    /// What the token may be used for, from `settings`, separated by spaces; `https://www.googleapis.com/auth/cloud-platform`
    /// unless it says otherwise.
    #[serde(default)]
    pub(crate) scopes: Option<At<String>>,
    /// The service account to impersonate with the service's own identity, from `settings`.
    #[serde(default)]
    pub(crate) impersonate: Option<At<String>>,
}

/// An API of AWS. The facts are those of botocore's model of the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AwsSigv4 {
    /// The region, from `settings`.
    pub(crate) region: At<String>,
    /// `endpointPrefix` of the model, for example `states`.
    pub(crate) service: At<String>,
    /// `signingName` of the model, where it is not the endpoint prefix.
    #[serde(default)]
    pub(crate) signing_name: Option<At<String>>,
    /// The model's `protocol`, with `jsonVersion`.
    pub(crate) protocol: AwsProtocol,
    /// `targetPrefix` of the model, for `json_1_0` and `json_1_1`: what comes before the operation of `call`.
    #[serde(default)]
    pub(crate) target_prefix: Option<At<String>>,
}

/// How an API of AWS names operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AwsProtocol {
    /// By a header: requests are `call: Operation`.
    #[serde(rename = "json_1_0")]
    Json10,
    /// By a header: requests are `call: Operation`.
    #[serde(rename = "json_1_1")]
    Json11,
    /// By method and path.
    RestJson,
}
