//! Secrets, looked up by Flyte's conventions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    hash::Hash,
    io::ErrorKind::{IsADirectory, NotADirectory, NotFound},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use secrecy::{ExposeSecret as _, SecretString};
use server_core::{
    Error, Kind, Result,
    digest::{Fingerprint, KeyedHash},
};
use tokio::time::Instant;

/// The sources of secrets.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct SecretArgs {
    /// Prefix of the environment variables of secrets, before the secret's name in upper case.
    #[arg(long, env = "PLUGIN_SECRET_PREFIX", default_value = "_FSEC_")]
    pub(crate) secret_prefix: String,

    /// Directory of secret files: `<dir>/<namespace>/<name>` is tried before `<dir>/<name>`.
    #[arg(long, env = "PLUGIN_SECRETS_DIR", default_value = "/etc/secrets")]
    pub(crate) secrets_dir: PathBuf,

    /// Refuse secret values in requests (Flyte 2's `connection.secrets`).
    #[arg(long, env = "PLUGIN_FORBID_CONNECTION_SECRETS")]
    pub(crate) forbid_connection_secrets: bool,
}

/// How long a file's contents are cached. Kubernetes takes longer to update a mounted file.
const CACHE_TTL: Duration = Duration::from_secs(5);
const MAX_CACHED_FILES: u64 = 10_000;

/// Reads secrets for every call of a service.
pub(crate) struct SecretReader {
    sources: SecretArgs,
    /// The variables of secrets, which do not change while the process runs.
    environment: HashMap<String, SecretString>,
    /// By path, as text: a path is compared by its parts.
    files: Cache<OsString, CachedFile>,
    /// What the files of a namespace and a name have, by the hash of both.
    found: Cache<u128, CachedFile>,
    hash: KeyedHash,
}

/// A file's value, or its absence, and when it was read.
#[derive(Clone)]
struct CachedFile {
    value: Option<SecretString>,
    read_at: Instant,
}

impl CachedFile {
    fn is_fresh(&self) -> bool {
        self.read_at.elapsed() < CACHE_TTL
    }
}

/// Values that are no longer used leave memory. moka's default policy would not admit new ones.
fn cache<K: Eq + Hash + Send + Sync + 'static>() -> Cache<K, CachedFile> {
    let values = Cache::builder().max_capacity(MAX_CACHED_FILES).time_to_live(CACHE_TTL * 12);
    values.eviction_policy(EvictionPolicy::lru()).build()
}

impl SecretReader {
    pub(crate) fn new(sources: SecretArgs) -> Self {
        let environment = environment(&sources.secret_prefix);
        let hash = KeyedHash::default();
        Self { sources, environment, files: cache(), found: cache(), hash }
    }

    async fn file(&self, path: PathBuf) -> Result<CachedFile> {
        let cached = self.files.get(path.as_os_str());
        if let Some(cached) = cached.filter(CachedFile::is_fresh) {
            return Ok(cached);
        }
        let value = from_file(&path).await?;
        let read = CachedFile { value, read_at: Instant::now() };
        self.files.insert(path.into(), read.clone());
        Ok(read)
    }
}

/// The secrets available to one call.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) reader: Arc<SecretReader>,
    /// The values in the request's connection.
    pub(crate) connection: Arc<BTreeMap<String, SecretString>>,
    /// The workflow's Kubernetes namespace; may be empty.
    pub(crate) namespace: Arc<str>,
    /// Whether the call used credentials that the task's author chose.
    pub(crate) chosen: Chosen,
}

/// What a call used of credentials that the task's author chose. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen(Arc<ChosenState>);

#[derive(Debug, Default)]
struct ChosenState {
    noted: AtomicBool,
    values: Mutex<BTreeSet<Fingerprint>>,
}

impl Chosen {
    /// Notes that the author chose, whether or not the secret exists.
    pub(crate) fn note(&self) {
        self.0.noted.store(true, Ordering::Relaxed);
    }

    /// Notes the value of a secret that the author chose.
    pub(crate) fn note_value(&self, value: &SecretString) {
        self.note();
        let mut values = self.0.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(Fingerprint::of(&[value.expose_secret()]));
    }

    pub(crate) fn is_noted(&self) -> bool {
        self.0.noted.load(Ordering::Relaxed)
    }

    /// The identity that the author chose, by its secrets; `None` for the service's own.
    pub(crate) fn identity(&self) -> Option<Fingerprint> {
        if !self.is_noted() {
            return None;
        }
        let values = self.0.values.lock().unwrap_or_else(PoisonError::into_inner);
        let values = values.iter().map(ToString::to_string).collect::<Vec<_>>();
        Some(Fingerprint::of(&values.iter().map(String::as_str).collect::<Vec<_>>()))
    }
}

impl Secrets {
    /// The secret `name`: from the request, else the environment, else a file.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<SecretString>> {
        check(name)?;
        if let Some(value) = self.in_connection(name)? {
            return Ok(Some(value));
        }
        if let Some(value) = self.in_environment(name) {
            return Ok(Some(value));
        }
        self.in_files(name).await
    }

    /// The secret `name` from the first of its files. Every call looks for one, so all of them are remembered together.
    async fn in_files(&self, name: &str) -> Result<Option<SecretString>> {
        let key = self.key(name);
        if let Some(cached) = self.reader.found.get(&key).filter(CachedFile::is_fresh) {
            return Ok(cached.value);
        }
        // As old as the oldest of what it is made of.
        let mut found = CachedFile { value: None, read_at: Instant::now() };
        for path in self.files(name) {
            let read = self.reader.file(path).await?;
            found.read_at = found.read_at.min(read.read_at);
            found.value = read.value;
            if found.value.is_some() {
                break;
            }
        }
        self.reader.found.insert(key, found.clone());
        Ok(found.value)
    }

    fn key(&self, name: &str) -> u128 {
        self.reader.hash.of(&(&*self.namespace, name))
    }

    /// The first of `names` that is found, source by source.
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
            if let Some(value) = self.in_environment(name) {
                return Ok(Some((name, value)));
            }
        }
        for dir in self.dirs() {
            for name in names {
                let path = dir.join(name.to_lowercase());
                if let Some(value) = self.reader.file(path).await?.value {
                    return Ok(Some((name, value)));
                }
            }
        }
        Ok(None)
    }

    /// Drops the cached value of `name`.
    pub(crate) fn forget(&self, name: &str) {
        self.files(name).for_each(|path| self.reader.files.invalidate(path.as_os_str()));
        self.reader.found.invalidate(&self.key(name));
    }

    /// The error for a secret that was not found; it lists the sources that were searched.
    pub(crate) fn missing(&self, name: &str) -> Error {
        let mut sources = Vec::new();
        if !self.reader.sources.forbid_connection_secrets {
            sources.push(format!("connection.secrets.{name} of the request"));
        }
        sources.push(format!("environment variable {}", self.variable(name)));
        sources.extend(self.files(name).map(|path| format!("file {}", path.display())));
        let sources = sources.join(", ");
        let message = format!("secret {name} not found; searched: {sources}");
        Error::new(Kind::FailedPrecondition, message).about_credentials()
    }

    /// The value in the request's connection. If those are forbidden, one is an error rather than replaced by
    /// another source's value: the author chose an identity.
    pub(crate) fn in_connection(&self, name: &str) -> Result<Option<SecretString>> {
        let Some(value) = self.connection.get(name) else {
            return Ok(None);
        };
        let value = trimmed(value.expose_secret());
        self.chosen.note_value(&value);
        if self.reader.sources.forbid_connection_secrets {
            let message =
                format!("secret {name}: this service's operator forbids secret values in requests");
            return Err(Error::new(Kind::FailedPrecondition, message));
        }
        Ok(Some(value))
    }

    fn in_environment(&self, name: &str) -> Option<SecretString> {
        let environment = &self.reader.environment;
        if environment.is_empty() { None } else { environment.get(&self.variable(name)).cloned() }
    }

    fn variable(&self, name: &str) -> String {
        format!("{}{}", self.reader.sources.secret_prefix, name.to_uppercase())
    }

    fn files(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let name = name.to_lowercase();
        self.dirs().map(move |dir| dir.join(&name))
    }

    /// The namespace's directory, then the shared one.
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
    Err(Error::invalid(format!(
        "secret name {name:?}: may contain only letters, digits, _, - and ."
    )))
}

/// Whether a name is safe as a path segment.
fn is_plain(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
}

/// The variables whose names begin with `prefix`, except those that are empty or no text.
fn environment(prefix: &str) -> HashMap<String, SecretString> {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(prefix))?;
        Some((name, trimmed(value.to_str()?)))
    });
    variables.filter(|(_, value)| !value.expose_secret().is_empty()).collect()
}

/// A secret's value without the white space around it, which editors, `kubectl` and copying add. flytekit cuts
/// it, too.
fn trimmed(value: &str) -> SecretString {
    SecretString::from(value.trim())
}

async fn from_file(path: &Path) -> Result<Option<SecretString>> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(trimmed(&text))),
        // A namespace may have the same name as a secret.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        Err(error) => {
            let message = format!("secret file {} cannot be read", path.display());
            Err(Error::unavailable(message).with_source(error))
        }
    }
}

#[cfg(test)]
mod tests;
