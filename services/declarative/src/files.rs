//! The files of the plugins: read at the start, and again when they change.

mod metrics;
mod watch;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use plugin_core::{Error, HttpBuilder, Result, digest::sha256};

use self::metrics::Metrics;
use crate::{
    definition::Definition,
    expression::Scope,
    file::decode,
    mistake::Mistakes,
    served::Served,
    settings::{self, Assignment},
};

/// The setting that names the files, in errors.
const SETTING: &str = "--files (DECLARATIVE_FILES)";

type Digest = [u8; 32];

/// The operator's files, each with its plugin.
pub(crate) struct Files {
    /// Files and directories, as the operator named them.
    named: Vec<PathBuf>,
    pub(crate) plugins: Vec<Watched>,
    starter: Starter,
    revision: AtomicU64,
    pub(crate) metrics: Metrics,
}

/// What it takes to start the plugin of a file.
#[derive(Clone)]
struct Starter {
    set: Arc<[Assignment]>,
    http: HttpBuilder,
}

/// A file, and the plugin in it that is served.
pub(crate) struct Watched {
    path: PathBuf,
    /// The digest of the file when the service started.
    first: Digest,
    current: ArcSwap<Served>,
}

impl Watched {
    /// The plugin, as the newest file without mistakes has it.
    pub(crate) fn plugin(&self) -> Arc<Served> {
        self.current.load_full()
    }
}

/// Why a file's plugin cannot be served.
enum Refused {
    Mistakes(Mistakes),
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Files {
    /// Reads, checks and starts the plugins in `named`: files, and directories with files that end in `.yaml` or `.yml`.
    ///
    /// # Errors
    /// `InvalidArgument` with the file and what is wrong with it.
    pub(crate) fn read(
        named: Vec<PathBuf>,
        set: Vec<Assignment>,
        http: HttpBuilder,
    ) -> Result<Self> {
        let paths = expanded(&named)?;
        let mut files = Self {
            named,
            plugins: Vec::new(),
            starter: Starter { set: set.into(), http },
            revision: AtomicU64::new(0),
            metrics: Metrics::default(),
        };
        for path in paths {
            let watched = files.first(path)?;
            files.plugins.push(watched);
        }
        Ok(files)
    }

    fn first(&self, path: PathBuf) -> Result<Watched> {
        let name = path.display().to_string();
        let bytes = std::fs::read(&path)
            .map_err(|error| Error::invalid(format!("{SETTING}: {name}: {error}")))?;
        let first = sha256(&[&bytes]);
        let served = self.starter.start(&path, bytes).map_err(|refused| match refused {
            Refused::Mistakes(mistakes) => {
                Error::invalid(format!("the file {name} is wrong:\n{mistakes}"))
            }
            Refused::Error(error) => error,
        })?;
        Ok(Watched { path, first, current: ArcSwap::from_pointee(served) })
    }

    /// Changes whenever a file does that is served.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}

impl Starter {
    /// The plugin in `bytes`, the contents of the file at `path`.
    fn start(&self, path: &Path, bytes: Vec<u8>) -> Result<Served, Refused> {
        let name = path.display().to_string();
        let source = decode(&name, bytes).map_err(Refused::Mistakes)?;
        let definition = Definition::read(&name, &source).map_err(Refused::Mistakes)?;
        let values = settings::values(&definition.name, &definition.settings, &self.set)?;
        let scope = Scope::default().with("settings", values);
        let served = Served::new(definition.into(), scope, self.http.clone());
        served.map_err(|error| Refused::Error(error.about(&name)))
    }
}

/// The files in `named`, with those of directories. Kubernetes mounts a ConfigMap with hidden directories beside its files.
fn expanded(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in named {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let inside = inside(path)
            .map_err(|error| Error::invalid(format!("{SETTING}: {}: {error}", path.display())))?;
        if inside.is_empty() {
            let message =
                format!("{SETTING}: {}: no file in it ends in .yaml or .yml", path.display());
            return Err(Error::invalid(message));
        }
        paths.extend(inside);
    }
    Ok(paths)
}

/// The files of plugins in a directory, sorted.
fn inside(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_yaml && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("named", &self.named).finish_non_exhaustive()
    }
}
