//! Reads secrets where Flyte's conventions put them.

use std::{
    collections::BTreeMap,
    io::ErrorKind::{IsADirectory, NotADirectory, NotFound},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use moka::sync::Cache;
use secrecy::SecretString;
use server_core::{Error, Kind, Result};
use tokio::time::Instant;

/// Where secrets may come from.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct SecretArgs {
    /// Prefix of environment variables that hold secrets; the secret's name follows in upper case.
    #[arg(long, env = "PLUGIN_SECRET_PREFIX", default_value = "_FSEC_")]
    pub(crate) secret_prefix: String,

    /// Directory of secret files: `<dir>/<namespace>/<name>`, then `<dir>/<name>`.
    #[arg(long, env = "PLUGIN_SECRETS_DIR", default_value = "/etc/secrets")]
    pub(crate) secrets_dir: PathBuf,

    /// Refuse secret values that arrive inside requests (Flyte 2's `connection.secrets`).
    #[arg(long, env = "PLUGIN_FORBID_CONNECTION_SECRETS")]
    pub(crate) forbid_connection_secrets: bool,
}

/// How long what a file held is remembered. Kubernetes takes longer to bring a changed one.
const REMEMBER: Duration = Duration::from_secs(5);
const MAX_REMEMBERED: u64 = 10_000;

/// Reads secrets for every call of a service.
pub(crate) struct SecretReader {
    sources: SecretArgs,
    files: Cache<PathBuf, Read>,
}

/// What a file held, or that it was not there, and when.
#[derive(Clone)]
struct Read {
    value: Option<SecretString>,
    at: Instant,
}

impl SecretReader {
    pub(crate) fn new(sources: SecretArgs) -> Self {
        Self { sources, files: Cache::new(MAX_REMEMBERED) }
    }

    async fn file(&self, path: PathBuf) -> Result<Option<SecretString>> {
        if let Some(read) = self.files.get(&path).filter(|read| read.at.elapsed() < REMEMBER) {
            return Ok(read.value);
        }
        let value = from_file(&path).await?;
        self.files.insert(path, Read { value: value.clone(), at: Instant::now() });
        Ok(value)
    }
}

/// The secrets that one call may read.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) reader: Arc<SecretReader>,
    /// Values that came with the request.
    pub(crate) connection: Arc<BTreeMap<String, SecretString>>,
    /// The workflow's Kubernetes namespace; may be empty.
    pub(crate) namespace: Arc<str>,
}

impl Secrets {
    /// The secret `name`: from the request, else the environment, else a file.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<SecretString>> {
        Ok(self.find_of(&[name]).await?.map(|(_, value)| value))
    }

    /// The first of `names` that is there, place by place.
    pub(crate) async fn find_of<'n>(
        &self,
        names: &[&'n str],
    ) -> Result<Option<(&'n str, SecretString)>> {
        names.iter().try_for_each(|name| check(name))?;
        for name in names {
            if let Some(value) = self.in_connection(name)? {
                return Ok(Some((name, value)));
            }
        }
        for name in names {
            if let Some(value) = from_environment(&self.variable(name)) {
                return Ok(Some((name, value)));
            }
        }
        for dir in self.dirs() {
            for name in names {
                if let Some(value) = self.reader.file(dir.join(name.to_lowercase())).await? {
                    return Ok(Some((name, value)));
                }
            }
        }
        Ok(None)
    }

    /// Reads `name` anew the next time.
    pub(crate) fn forget(&self, name: &str) {
        self.files(name).for_each(|path| self.reader.files.invalidate(&path));
    }

    /// What to say when `name` was found nowhere: where it was looked for.
    pub(crate) fn missing(&self, name: &str) -> Error {
        let mut places = Vec::new();
        if !self.reader.sources.forbid_connection_secrets {
            places.push(format!("connection.secrets.{name} of the request"));
        }
        places.push(format!("environment variable {}", self.variable(name)));
        places.extend(self.files(name).map(|path| format!("file {}", path.display())));
        let places = places.join(", ");
        Error::new(
            Kind::FailedPrecondition,
            format!("secret {name} not found; looked in: {places}"),
        )
    }

    /// A value that came with the request. Where that is forbidden it is an error, and not another value:
    /// its author chose an identity.
    pub(crate) fn in_connection(&self, name: &str) -> Result<Option<SecretString>> {
        let Some(value) = self.connection.get(name) else {
            return Ok(None);
        };
        if self.reader.sources.forbid_connection_secrets {
            let message = format!(
                "secret {name}: came with the request, which this service's operator forbids"
            );
            return Err(Error::new(Kind::FailedPrecondition, message));
        }
        Ok(Some(value.clone()))
    }

    fn variable(&self, name: &str) -> String {
        format!("{}{}", self.reader.sources.secret_prefix, name.to_uppercase())
    }

    fn files(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let name = name.to_lowercase();
        self.dirs().map(move |dir| dir.join(&name))
    }

    /// The namespace's own directory, then everybody's.
    fn dirs(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let dir = self.reader.sources.secrets_dir.clone();
        let namespaced = is_plain(&self.namespace).then(|| dir.join(&*self.namespace));
        namespaced.into_iter().chain([dir])
    }
}

fn check(name: &str) -> Result<()> {
    if is_plain(name) {
        return Ok(());
    }
    Err(Error::invalid(format!("secret name {name:?}: use letters, digits, _ - .")))
}

/// Whether a name is safe as part of a path.
fn is_plain(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
}

#[expect(clippy::disallowed_methods, reason = "a secret's name is only known per call")]
fn from_environment(variable: &str) -> Option<SecretString> {
    std::env::var(variable).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}

async fn from_file(path: &Path) -> Result<Option<SecretString>> {
    match tokio::fs::read_to_string(path).await {
        // A trailing line break is the editor's, not the secret's.
        Ok(text) => Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n'])))),
        // A namespace may be called like a secret, and the other way round.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        Err(error) => {
            let message = format!("secret file {} cannot be read", path.display());
            Err(Error::unavailable(message).with_source(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use tempfile::TempDir;

    use super::*;

    fn secrets(dir: &Path, namespace: &str, forbid: bool) -> Secrets {
        Secrets {
            reader: Arc::new(SecretReader::new(SecretArgs {
                secret_prefix: "_FSEC_".to_owned(),
                secrets_dir: dir.to_owned(),
                forbid_connection_secrets: forbid,
            })),
            connection: Arc::new(BTreeMap::from([("token".to_owned(), "from-request".into())])),
            namespace: namespace.into(),
        }
    }

    fn dir() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("team-a")).unwrap();
        std::fs::write(dir.path().join("token"), "from-file\n").unwrap();
        std::fs::write(dir.path().join("team-a/token"), "from-namespace").unwrap();
        dir
    }

    fn without_connection(dir: &Path, namespace: &str) -> Secrets {
        Secrets { connection: Arc::default(), ..secrets(dir, namespace, true) }
    }

    #[tokio::test]
    async fn a_nearer_place_wins_over_an_earlier_name() {
        let temporary = dir();
        let dir = temporary.path();
        std::fs::write(dir.join("first"), "everybodys").unwrap();
        let secrets = without_connection(dir, "team-a");
        let (name, value) = secrets.find_of(&["first", "token"]).await.unwrap().unwrap();
        assert_eq!((name, value.expose_secret()), ("token", "from-namespace"));
    }

    async fn found(secrets: &Secrets) -> String {
        secrets.find("token").await.unwrap().unwrap().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn the_nearest_place_wins() {
        let temporary = dir();
        let dir = temporary.path();
        assert_eq!(found(&secrets(dir, "team-a", false)).await, "from-request");
        assert_eq!(found(&without_connection(dir, "team-a")).await, "from-namespace");
        assert_eq!(found(&without_connection(dir, "team-b")).await, "from-file");
        assert_eq!(found(&without_connection(dir, "")).await, "from-file");
        let error = secrets(dir, "team-a", true).find("token").await.unwrap_err();
        assert!(
            error.to_string().contains("operator forbids"),
            "an identity is not replaced: {error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_noticed_within_seconds() {
        let temporary = dir();
        let dir = temporary.path();
        let secrets = without_connection(dir, "team-b");
        assert_eq!(found(&secrets).await, "from-file");
        std::fs::write(dir.join("token"), "rotated").unwrap();
        assert_eq!(found(&secrets).await, "from-file", "polls do not read files");
        secrets.forget("token");
        assert_eq!(found(&secrets).await, "rotated", "a refused one is read at once");
        std::fs::create_dir_all(dir.join("team-b")).unwrap();
        std::fs::write(dir.join("team-b/token"), "of the namespace").unwrap();
        tokio::time::advance(REMEMBER).await;
        assert_eq!(found(&secrets).await, "of the namespace");
    }

    #[tokio::test]
    async fn a_missing_secret_says_where_it_was_looked_for() {
        let secrets = secrets(Path::new("/nowhere"), "team-a", false);
        assert!(secrets.find("api_key").await.unwrap().is_none());
        assert_eq!(
            secrets.missing("api_key").to_string(),
            "secret api_key not found; looked in: connection.secrets.api_key of the request, \
             environment variable _FSEC_API_KEY, file /nowhere/team-a/api_key, file /nowhere/api_key"
        );
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_directory() {
        let secrets = secrets(Path::new("/nowhere"), "../etc", false);
        assert!(secrets.find("../shadow").await.is_err());
        assert_eq!(secrets.files("x").count(), 1, "a hostile namespace is not looked into");
    }
}
