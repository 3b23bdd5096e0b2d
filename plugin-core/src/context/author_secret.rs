//! Secrets that a task's author chooses.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use server_core::{Error, Result};

use super::Context;

/// The longest name, in bytes: the longest of a Kubernetes object. The job's handle contains it.
const MAX_NAME: usize = 253;

/// The name of a secret that a task's author chose in place of the service's own.
///
/// Flyte 2's authors write it into `custom.secrets`, under a key that the SDK defines for the task type,
/// and its executor sends the value under that key. Flyte 1 sends no values: the service reads the
/// secret of the author's name. In neither case is a missing secret replaced by the service's own,
/// which often has the name of the key.
///
/// Keep the name in [`Plugin::Meta`](crate::Plugin::Meta), so that later calls are made with the same
/// secret. It is written as a plain string.
///
/// ```
/// use plugin_core::{
///     Context, Result,
///     context::AuthorSecret,
///     secrecy::SecretString,
///     serde_json::{Map, Value},
/// };
///
/// /// The key in `custom.secrets`, and the service's own secret.
/// const TOKEN: &str = "acme_token";
///
/// fn chosen(secrets: Option<&Map<String, Value>>) -> Result<Option<AuthorSecret>> {
///     AuthorSecret::read(secrets, TOKEN)
/// }
///
/// async fn token(cx: &Context, chosen: Option<&AuthorSecret>) -> Result<SecretString> {
///     match chosen {
///         Some(secret) => secret.get(cx, TOKEN).await,
///         None => cx.secret(TOKEN).await,
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorSecret(String);

impl AuthorSecret {
    /// The name under `key` in `secrets`, a task's `custom.secrets`. None when it is absent or null.
    ///
    /// # Errors
    /// `InvalidArgument` with the field when it is not a string, is empty or is longer than 253 bytes.
    pub fn read(secrets: Option<&Map<String, Json>>, key: &str) -> Result<Option<Self>> {
        let field = format!("custom.secrets.{key}");
        match secrets.and_then(|secrets| secrets.get(key)) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(name)) => Self::in_field(&field, Some(name)),
            Some(_) => Err(Error::invalid(format!("{field}: must be a string"))),
        }
    }

    /// The name that the author wrote into `field`, one of the plugin's own. None when it is absent.
    ///
    /// # Errors
    /// `InvalidArgument` with the field when it is longer than 253 bytes, or empty: an author who chose an
    /// identity must not run with the service's own.
    pub fn in_field(field: &str, name: Option<&str>) -> Result<Option<Self>> {
        let Some(name) = name else { return Ok(None) };
        if name.is_empty() {
            return Err(Error::invalid(format!("{field}: must not be empty")));
        }
        if name.len() > MAX_NAME {
            let message = format!("{field}: the name of a secret is at most {MAX_NAME} bytes long");
            return Err(Error::invalid(message));
        }
        Ok(Some(Self(name.to_owned())))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The secret: the one that Flyte 2 sent under `key`, else the one of the author's name. Flyte 1 has
    /// no keys: pass the name.
    ///
    /// # Errors
    /// `FailedPrecondition` when there is neither, with the sources searched, or when the operator forbids
    /// secrets in requests.
    pub async fn get(&self, cx: &Context, key: &str) -> Result<SecretString> {
        match self.find(cx, key).await? {
            Some(secret) => Ok(secret),
            None => Err(cx.0.secrets.missing(&self.0)),
        }
    }

    /// [`get`](Self::get), if the secret exists.
    ///
    /// # Errors
    /// `FailedPrecondition` when the operator forbids secrets in requests; `Unavailable` when a secret
    /// file cannot be read.
    pub async fn find(&self, cx: &Context, key: &str) -> Result<Option<SecretString>> {
        let chosen = &cx.0.secrets.chosen;
        chosen.note();
        if let Some(secret) = cx.connection_secret(key)? {
            return Ok(Some(secret));
        }
        let secret = cx.find_secret(&self.0).await?;
        secret.iter().for_each(|secret| chosen.note_value(secret));
        Ok(secret)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use server_core::Kind;

    use super::*;
    use crate::{
        context::{Chosen, Inner, SecretArgs, SecretReader, Secrets},
        testing,
    };

    fn read(secrets: &Json) -> Result<Option<AuthorSecret>> {
        AuthorSecret::read(secrets.as_object(), "token")
    }

    #[test]
    fn absent_and_null_names_choose_nothing() {
        for secrets in [json!(null), json!({}), json!({"token": null})] {
            assert_eq!(read(&secrets).unwrap(), None, "{secrets}");
        }
        let name = read(&json!({"token": "TEAM_A", "other": {}})).unwrap().unwrap();
        assert_eq!((name.name(), json!(name)), ("TEAM_A", json!("TEAM_A")));
    }

    #[test]
    fn invalid_names_are_rejected_with_the_field() {
        for (name, problem) in [
            (json!({"key": "k"}), "must be a string"),
            (json!(["k"]), "must be a string"),
            (json!(5), "must be a string"),
            (json!(false), "must be a string"),
            (json!(""), "must not be empty"),
        ] {
            let error = read(&json!({"token": name})).unwrap_err();
            assert_eq!(error.message(), format!("custom.secrets.token: {problem}"));
        }
        assert!(read(&json!({"token": "n".repeat(MAX_NAME)})).is_ok());
        let error = read(&json!({"token": "n".repeat(MAX_NAME + 1)})).unwrap_err();
        assert!(error.message().starts_with("custom.secrets.token: "), "{error}");
    }

    /// A call that carries `connection`, to a service with secret files in `dir`.
    fn context(dir: &Path, connection: &[(&str, &str)], forbid: bool) -> Context {
        let sent = connection.iter().map(|&(key, value)| (key.to_owned(), value.into()));
        let secrets = Secrets {
            reader: Arc::new(SecretReader::new(SecretArgs {
                secret_prefix: "_NONE_".to_owned(),
                secrets_dir: dir.to_owned(),
                forbid_connection_secrets: forbid,
            })),
            connection: Arc::new(sent.collect::<BTreeMap<_, _>>()),
            namespace: "".into(),
            chosen: Chosen::default(),
        };
        let cx = testing::context(Duration::from_secs(1));
        Context(Arc::new(Inner { secrets, ..Inner::clone(&cx.0) }))
    }

    #[tokio::test]
    async fn the_services_own_secret_is_never_used_instead() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "the service's").unwrap();
        let secret = AuthorSecret("team_a".to_owned());
        let cx = context(dir.path(), &[], true);
        assert!(secret.find(&cx, "token").await.unwrap().is_none());
        let error = secret.get(&cx, "token").await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert!(error.message().starts_with("secret team_a not found"), "{error}");
        std::fs::write(dir.path().join("team_a"), "the author's").unwrap();
        let cx = context(dir.path(), &[], true);
        assert_eq!(secret.get(&cx, "token").await.unwrap().expose_secret(), "the author's");
    }

    #[tokio::test]
    async fn a_value_sent_under_the_key_comes_first_unless_forbidden() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("team_a"), "stored").unwrap();
        let secret = AuthorSecret("team_a".to_owned());
        let sent = [("token", "sent")];
        let cx = context(dir.path(), &sent, false);
        assert_eq!(secret.get(&cx, "token").await.unwrap().expose_secret(), "sent");
        assert_eq!(secret.find(&cx, "token").await.unwrap().unwrap().expose_secret(), "sent");
        let forbidden = context(dir.path(), &sent, true);
        assert!(secret.get(&forbidden, "token").await.is_err());
        assert!(secret.find(&forbidden, "token").await.is_err());
    }
}
