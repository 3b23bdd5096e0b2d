//! Who the service is to Databricks: a personal access token, or a service principal.

use std::path::PathBuf;

use clap::ValueEnum;
use http::HeaderMap;
use plugin_core::{
    BatchKey, Context, Error, Http, Kind, Result,
    http::{Credentials, SecretToken, TokenCache},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use self::tokens::{ClientCredentials, TokenExchange};
use crate::{Custom, workspaces::Workspace};

mod tokens;

/// The names of a personal access token: ours and Flyte 2's, the Kubernetes secret of Flyte's own
/// connector, and that connector's variable.
const TOKEN_SECRETS: [&str; 3] =
    ["databricks_token", "databricks-token", "FLYTE_DATABRICKS_ACCESS_TOKEN"];
/// The names of a service principal's OAuth secret, in the same way.
const OAUTH_SECRETS: [&str; 3] =
    ["databricks_client_secret", "databricks-oauth", "DATABRICKS_CLIENT_SECRET"];
/// The longest that an author's names may be together: they lie in the run's handle.
const MAX_NAMES: usize = 240;

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthType {
    /// With a personal access token.
    Pat,
    /// As a service principal, with its OAuth secret.
    #[value(name = "oauth_m2m")]
    OauthM2m,
    /// As a service principal that trusts the service's own OIDC token.
    #[value(name = "oidc_federation")]
    OidcFederation,
}

/// Who the service is, unless a task's author says otherwise.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IdentityArgs {
    /// How to sign in, where a task does not say.
    #[arg(long, env = "DATABRICKS_AUTH_TYPE", value_enum, default_value_t = AuthType::Pat)]
    auth_type: AuthType,

    /// Service principal to sign in as. With `oidc_federation` it is the only one; without it, tasks
    /// name their own.
    #[arg(long, env = "DATABRICKS_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,

    /// File with the OIDC token for `oidc_federation`, for example a projected ServiceAccount token.
    /// It is read again for every access token; tasks cannot name another.
    #[arg(long, env = "DATABRICKS_OIDC_TOKEN_FILE", value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,

    /// Audience that the OIDC token must be for; a token for somebody else is never sent.
    #[arg(long, env = "DATABRICKS_OIDC_AUDIENCE", value_name = "AUDIENCE")]
    oidc_audience: Option<String>,
}

/// What a task's author chose: names, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Where a token is looked for, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token: Vec<String>,
    /// Where an OAuth secret is looked for, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    oauth: Vec<String>,
}

impl Choice {
    /// # Errors
    /// `InvalidArgument` when the names are too long.
    pub(crate) fn of(custom: &Custom) -> Result<Self> {
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let this = Self {
            auth: custom.databricks_auth_type,
            client_id: named(&custom.databricks_client_id),
            token: names(custom, &custom.databricks_token_secret, TOKEN_SECRETS[0]),
            oauth: names(custom, &custom.databricks_oauth_secret, OAUTH_SECRETS[0]),
        };
        let all = this.client_id.iter().chain(&this.token).chain(&this.oauth);
        if all.map(String::len).sum::<usize>() > MAX_NAMES {
            let message = "custom.databricksTokenSecret, .databricksOauthSecret, .databricksClientId: \
                           the names are too long";
            return Err(Error::invalid(message));
        }
        Ok(this)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The secrets that an author names: Flyte 1 by a key of their own; Flyte 2 in `secrets`, and its
/// executor sends the value under the name of the key.
fn names(custom: &Custom, of_flyte1: &Option<String>, of_flyte2: &str) -> Vec<String> {
    if let Some(name) = of_flyte1.as_ref().filter(|name| !name.is_empty()) {
        return vec![name.clone()];
    }
    let name = custom.secrets.as_ref().and_then(|secrets| secrets.get(of_flyte2)?.as_str());
    name.map(|name| vec![of_flyte2.to_owned(), name.to_owned()]).unwrap_or_default()
}

/// Every identity that the service can take.
pub(crate) struct Identities {
    args: IdentityArgs,
    tokens: TokenCache,
}

impl Identities {
    pub(crate) fn new(args: IdentityArgs) -> Self {
        Self { args, tokens: TokenCache::default() }
    }

    /// The workspace's API, called as who `choice` says.
    ///
    /// # Errors
    /// `FailedPrecondition` when an operator did not set what that takes.
    pub(crate) fn sign(&self, workspace: &Workspace, choice: &Choice) -> Result<Http> {
        let http = &workspace.http;
        match choice.auth.unwrap_or(self.args.auth_type) {
            AuthType::Pat => Ok(http.signed_by(Pat(or_default(&choice.token, TOKEN_SECRETS)))),
            AuthType::OauthM2m => {
                let source = ClientCredentials {
                    workspace: workspace.clone(),
                    client_id: choice.client_id.clone().or_else(|| self.args.client_id.clone()),
                    secrets: or_default(&choice.oauth, OAUTH_SECRETS),
                };
                Ok(http.signed_by(self.tokens.of(source)))
            }
            AuthType::OidcFederation => {
                Ok(http.signed_by(self.tokens.of(self.exchange(workspace, choice)?)))
            }
        }
    }

    /// What decides which runs a list of the workspace shows: who asks.
    ///
    /// # Errors
    /// When a secret is missing.
    pub(crate) async fn batch_key(
        &self,
        cx: &Context,
        workspace: &str,
        choice: &Choice,
    ) -> Result<BatchKey> {
        let (kind, secrets) = match choice.auth.unwrap_or(self.args.auth_type) {
            AuthType::Pat => ("pat", or_default(&choice.token, TOKEN_SECRETS)),
            AuthType::OauthM2m => ("oauth_m2m", or_default(&choice.oauth, OAUTH_SECRETS)),
            AuthType::OidcFederation => ("oidc_federation", Vec::new()),
        };
        let client_id = choice.client_id.as_deref().or(self.args.client_id.as_deref());
        let names = secrets.iter().map(String::as_str).collect::<Vec<_>>();
        let secret = cx.find_secret_of(&names).await?.map(|(_, value)| value);
        let secret = secret.as_ref().map_or("", |secret| secret.expose_secret());
        Ok(BatchKey::of(&[workspace, kind, client_id.unwrap_or_default(), secret]))
    }

    /// The file is the service's own, so its operator may say who it is good for.
    fn exchange(&self, workspace: &Workspace, choice: &Choice) -> Result<TokenExchange> {
        let unset = |what| Error::new(Kind::FailedPrecondition, what);
        let file = self.args.oidc_token_file.clone();
        let file = file.ok_or_else(|| {
            unset("custom.databricksAuthType: oidc_federation needs DATABRICKS_OIDC_TOKEN_FILE, which the operator did not set")
        })?;
        let client_id = match (&self.args.client_id, &choice.client_id) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                return Err(unset(
                    "custom.databricksClientId: with oidc_federation, the operator's DATABRICKS_CLIENT_ID is the only one",
                ));
            }
            (Some(id), _) | (None, Some(id)) => id.clone(),
            (None, None) => {
                return Err(unset(
                    "custom.databricksClientId: missing, and the operator did not set DATABRICKS_CLIENT_ID",
                ));
            }
        };
        let audience = self.args.oidc_audience.clone();
        Ok(TokenExchange { workspace: workspace.clone(), client_id, file, audience })
    }
}

fn or_default<const N: usize>(named: &[String], default: [&str; N]) -> Vec<String> {
    if named.is_empty() { default.map(str::to_owned).into() } else { named.to_vec() }
}

/// The first of `names` that is a secret.
///
/// # Errors
/// `FailedPrecondition` that says where the first was looked for.
async fn first_of<'a>(cx: &Context, names: &'a [String]) -> Result<&'a str> {
    let all = names.iter().map(String::as_str).collect::<Vec<_>>();
    if let Some((name, _)) = cx.find_secret_of(&all).await? {
        return Ok(name);
    }
    let (first, others) =
        names.split_first().ok_or_else(|| Error::internal("no secret is named"))?;
    let missing = cx.secret(first).await.err().map(|error| error.to_string());
    let others =
        others.iter().map(|name| format!("; {name} was looked for, too")).collect::<String>();
    Err(Error::new(Kind::FailedPrecondition, missing.unwrap_or_default() + &others))
}

/// A personal access token, in the first of these secrets that is there.
struct Pat(Vec<String>);

impl Credentials for Pat {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        SecretToken::new(first_of(cx, &self.0).await?).headers(cx).await
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Ok(name) = first_of(cx, &self.0).await {
            SecretToken::new(name).rejected(cx, headers).await;
        }
    }
}
