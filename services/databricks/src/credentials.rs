//! Credentials for Databricks: a personal access token, or a service principal.

use std::path::PathBuf;

use plugin_core::{
    Context, Error, Fingerprint, Http, Kind, Result, clap,
    context::AuthorSecret,
    http::{HeaderMap, header},
    secrecy::{ExposeSecret as _, SecretString},
    serde_json,
    upstream::{Credentials, Listed, TokenCache, TokenFile, secret_bearer},
};
use serde::{Deserialize, Serialize};

use self::tokens::{ClientCredentials, TokenExchange};
use crate::{
    custom::{AuthType, Custom},
    workspaces::Workspace,
};

mod tokens;

/// The secrets with a personal access token: Flyte 2's name, which is also ours, the Kubernetes secret of
/// Flyte's own connector, and that connector's environment variable.
const TOKEN_SECRETS: [&str; 3] =
    ["databricks_token", "databricks-token", "FLYTE_DATABRICKS_ACCESS_TOKEN"];
/// The secrets with a service principal's OAuth secret, likewise.
const OAUTH_SECRETS: [&str; 3] =
    ["databricks_client_secret", "databricks-oauth", "DATABRICKS_CLIENT_SECRET"];
/// The most bytes that an author's choice may occupy in the run's handle.
const MAX_CHOICE: usize = 320;

/// The service's identity, unless a task's author chooses another.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct IdentityArgs {
    /// How to authenticate, for tasks that do not specify it.
    #[arg(long, env = "DATABRICKS_AUTH_TYPE", value_enum, default_value_t = AuthType::Pat)]
    auth_type: AuthType,

    /// Service principal to authenticate as. With `oidc_federation` tasks cannot choose another; if it is
    /// not set, they name their own.
    #[arg(long, env = "DATABRICKS_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,

    /// File with the OIDC token for `oidc_federation`, for example a projected ServiceAccount token.
    /// It is read for every access token; tasks cannot name another.
    #[arg(long, env = "DATABRICKS_OIDC_TOKEN_FILE", value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,

    /// Audience that the OIDC token must have; a token for another audience is never sent.
    #[arg(long, env = "DATABRICKS_OIDC_AUDIENCE", value_name = "AUDIENCE")]
    oidc_audience: Option<String>,
}

/// The identity that a task's author chose: names, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The secret with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Chosen>,
    /// The secret with an OAuth secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<Chosen>,
}

/// A secret that a task's author chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// The key under which Flyte 2's executor sends its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    name: AuthorSecret,
}

impl Chosen {
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(self.name.name())
    }
}

impl Choice {
    /// # Errors
    /// `InvalidArgument` when the names are too long.
    pub(crate) fn of(custom: &Custom) -> Result<Self> {
        let token = ("custom.databricksTokenSecret", &custom.databricks_token_secret);
        let token = chosen(custom, token, TOKEN_SECRETS[0])?;
        let oauth = ("custom.databricksOauthSecret", &custom.databricks_oauth_secret);
        let oauth = chosen(custom, oauth, OAUTH_SECRETS[0])?;
        let this = Self {
            auth: custom.databricks_auth_type.or_else(|| implied(&token, &oauth)),
            client_id: custom.databricks_client_id.clone().filter(|id| !id.is_empty()),
            token,
            oauth,
        };
        let is_invalid =
            |id: &String| !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@".contains(c));
        if this.client_id.as_ref().is_some_and(is_invalid) {
            return Err(Error::invalid(
                "custom.databricksClientId: must be letters, digits or -_.@",
            ));
        }
        // As the handle stores it.
        let size = serde_json::to_string(&this).map_err(Error::internal)?.len();
        if size > MAX_CHOICE {
            let message = "custom.databricksTokenSecret, .databricksOauthSecret, .databricksClientId: \
                           the values are too long together";
            return Err(Error::invalid(message));
        }
        Ok(this)
    }

    fn token_source(&self) -> Source {
        Source::new(self.token.as_ref(), &TOKEN_SECRETS)
    }

    fn oauth_source(&self) -> Source {
        Source::new(self.oauth.as_ref(), &OAUTH_SECRETS)
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The secret that an author chooses: with Flyte 1 in a field of its own, with Flyte 2 under a key of
/// `custom.secrets`.
///
/// # Errors
/// `InvalidArgument` with the one that is not a name, whichever counts.
fn chosen(
    custom: &Custom,
    (field, name): (&str, &Option<String>),
    key: &str,
) -> Result<Option<Chosen>> {
    let in_field = AuthorSecret::in_field(field, name.as_deref())?;
    let in_secrets = AuthorSecret::read(custom.secrets.as_ref(), key)?;
    let in_secrets = in_secrets.map(|name| Chosen { key: Some(key.to_owned()), name });
    Ok(in_field.map(|name| Chosen { key: None, name }).or(in_secrets))
}

/// The method that the author's secret is for. The operator's default might ignore that secret.
fn implied(token: &Option<Chosen>, oauth: &Option<Chosen>) -> Option<AuthType> {
    match (token, oauth) {
        (Some(_), _) => Some(AuthType::Pat),
        (None, Some(_)) => Some(AuthType::OauthM2m),
        (None, None) => None,
    }
}

/// A secret: the one that the task's author chose and no other, or the service's.
#[derive(Debug, Clone)]
enum Source {
    Chosen(Chosen),
    Service(&'static [&'static str]),
}

impl Source {
    fn new(chosen: Option<&Chosen>, service: &'static [&'static str]) -> Self {
        chosen.cloned().map_or(Self::Service(service), Self::Chosen)
    }

    /// The secret and its name.
    async fn find(&self, cx: &Context) -> Result<Option<(&str, SecretString)>> {
        match self {
            Self::Chosen(chosen) => {
                let found = chosen.name.find(cx, chosen.key()).await?;
                Ok(found.map(|value| (chosen.name.name(), value)))
            }
            Self::Service(names) => cx.find_secret_of(names).await,
        }
    }

    /// # Errors
    /// `FailedPrecondition` with the sources searched.
    async fn get(&self, cx: &Context) -> Result<(&str, SecretString)> {
        match self {
            Self::Chosen(chosen) => {
                Ok((chosen.name.name(), chosen.name.get(cx, chosen.key()).await?))
            }
            Self::Service(names) => cx.secret_of(names).await,
        }
    }
}

/// The identities that the service can use.
pub(crate) struct Identities {
    args: IdentityArgs,
    tokens: TokenCache,
}

impl Identities {
    pub(crate) fn new(args: IdentityArgs) -> Self {
        Self { args, tokens: TokenCache::default() }
    }

    /// The workspace's API, called with the identity of `choice`.
    ///
    /// # Errors
    /// `FailedPrecondition` when the operator did not configure it.
    pub(crate) fn sign(&self, workspace: &Listed<Workspace>, choice: &Choice) -> Result<Http> {
        let http = &workspace.http;
        match choice.auth.unwrap_or(self.args.auth_type) {
            AuthType::Pat => Ok(http.signed_by(Pat(choice.token_source()))),
            AuthType::OauthM2m => {
                let source = ClientCredentials {
                    workspace: workspace.clone(),
                    client_id: choice.client_id.clone().or_else(|| self.args.client_id.clone()),
                    secret: choice.oauth_source(),
                };
                Ok(http.signed_by(self.tokens.of(source)))
            }
            AuthType::OidcFederation => {
                Ok(http.signed_by(self.tokens.of(self.exchange(workspace, choice)?)))
            }
        }
    }

    /// The workspace and identity that decide which runs a list contains.
    ///
    /// # Errors
    /// When a secret is missing.
    pub(crate) async fn group(
        &self,
        cx: &Context,
        workspace: &str,
        choice: &Choice,
    ) -> Result<Fingerprint> {
        let (kind, source) = match choice.auth.unwrap_or(self.args.auth_type) {
            AuthType::Pat => ("pat", Some(choice.token_source())),
            AuthType::OauthM2m => ("oauth_m2m", Some(choice.oauth_source())),
            AuthType::OidcFederation => ("oidc_federation", None),
        };
        let client_id = choice.client_id.as_deref().or(self.args.client_id.as_deref());
        let secret = match &source {
            Some(source) => source.find(cx).await?,
            None => None,
        };
        // One call looks a secret up for all: its name must be everybody's.
        let (name, secret) =
            secret.as_ref().map_or(("", ""), |(name, secret)| (&**name, secret.expose_secret()));
        Ok(Fingerprint::of(&[workspace, kind, client_id.unwrap_or_default(), name, secret]))
    }

    /// The file is the service's own, so its operator may restrict the service principals.
    fn exchange(&self, workspace: &Listed<Workspace>, choice: &Choice) -> Result<TokenExchange> {
        let unset = |message| Error::new(Kind::FailedPrecondition, message);
        let file = self.args.oidc_token_file.clone();
        let file = file.ok_or_else(|| {
            unset("custom.databricksAuthType: oidc_federation needs DATABRICKS_OIDC_TOKEN_FILE, which the operator did not set")
        })?;
        let client_id = match (&self.args.client_id, &choice.client_id) {
            (Some(operators), Some(authors)) if operators != authors => {
                return Err(unset(
                    "custom.databricksClientId: with oidc_federation, only the operator's DATABRICKS_CLIENT_ID is allowed",
                ));
            }
            (Some(id), _) | (None, Some(id)) => id.clone(),
            (None, None) => {
                return Err(unset(
                    "custom.databricksClientId: missing, and the operator did not set DATABRICKS_CLIENT_ID",
                ));
            }
        };
        let file = TokenFile::new("DATABRICKS_OIDC_TOKEN_FILE", file);
        let audience = self.args.oidc_audience.clone();
        Ok(TokenExchange { workspace: workspace.clone(), client_id, file, audience })
    }
}

/// A personal access token.
struct Pat(Source);

impl Credentials for Pat {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let (name, token) = self.0.get(cx).await?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, secret_bearer(name, &token)?)]))
    }

    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        if let Ok(Some((name, _))) = self.0.find(cx).await {
            cx.forget_secret(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{Value as Json, json};

    use super::*;

    fn auth_of(custom: &Json) -> Option<AuthType> {
        Choice::of(&serde_json::from_value(custom.clone()).unwrap()).unwrap().auth
    }

    #[test]
    fn what_is_not_a_name_is_rejected_instead_of_using_the_service_identity() {
        for key in ["databricks_token", "databricks_client_secret"] {
            for (name, problem) in [
                (json!(5), "must be a string"),
                (json!(["t"]), "must be a string"),
                (json!({"key": "t"}), "must be a string"),
                (json!(""), "must not be empty"),
            ] {
                let secrets = json!({ (key): name });
                for custom in [
                    json!({"secrets": secrets}),
                    json!({"secrets": secrets, "databricksTokenSecret": "t", "databricksOauthSecret": "o"}),
                ] {
                    let error = Choice::of(&serde_json::from_value(custom).unwrap()).unwrap_err();
                    assert_eq!(error.to_string(), format!("custom.secrets.{key}: {problem}"));
                }
            }
        }
        for field in ["databricksTokenSecret", "databricksOauthSecret"] {
            let custom = json!({ (field): "" });
            let error = Choice::of(&serde_json::from_value(custom).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), format!("custom.{field}: must not be empty"));
        }
    }

    #[test]
    fn the_chosen_secret_implies_the_auth_type_unless_it_is_set() {
        let (token, oauth) = (json!("t"), json!("o"));
        for (custom, expected) in [
            (json!({}), None),
            (json!({"databricksTokenSecret": token}), Some(AuthType::Pat)),
            (json!({"databricksOauthSecret": oauth}), Some(AuthType::OauthM2m)),
            (
                json!({"databricksTokenSecret": token, "databricksOauthSecret": oauth}),
                Some(AuthType::Pat),
            ),
            (
                json!({"databricksTokenSecret": token, "databricksAuthType": "oauth_m2m"}),
                Some(AuthType::OauthM2m),
            ),
        ] {
            assert_eq!(auth_of(&custom), expected, "{custom}");
        }
    }
}
