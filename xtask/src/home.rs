//! Where this project is published: one value each for the registry and the repository, in Cargo.toml.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::exit::usage;

/// The manifest of the workspace that this program was built in.
const BUILT_IN: &str = include_str!("../../Cargo.toml");
/// The variables of a release; see [`Home::of_release`].
const REGISTRY: &str = "OUTRIGGER_REGISTRY";
const REPOSITORY: &str = "OUTRIGGER_REPOSITORY";

/// `[workspace.metadata.outrigger]`. A field is empty where the project is not published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Home {
    /// Registry and path of images and charts, for example `registry.example.com/team`.
    pub(crate) registry: String,
    /// URL of the sources.
    pub(crate) repository: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    workspace: Workspace,
}

#[derive(Default, Deserialize)]
struct Workspace {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    outrigger: Home,
}

impl Home {
    /// The home of the workspace in `root`; empty if its manifest names none.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let path = root.join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text)
    }

    /// The home of a release of the workspace in `root`: what its manifest names or, where that names nothing, the variables
    /// `OUTRIGGER_REGISTRY` and `OUTRIGGER_REPOSITORY`, which a fork's workflow sets to its own.
    ///
    /// # Errors
    /// As [`of`](Self::of), or if the variable has no registry.
    pub(crate) fn of_release(root: &Path) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        Self::of(root)?.or(variable(REGISTRY).as_deref(), variable(REPOSITORY).as_deref())
    }

    /// The home of the release that this program belongs to.
    ///
    /// # Errors
    /// If the built-in manifest is invalid.
    pub(crate) fn built_in() -> Result<Self> {
        parse(BUILT_IN)?
            .or(option_env!("OUTRIGGER_BUILT_REGISTRY"), option_env!("OUTRIGGER_BUILT_REPOSITORY"))
    }

    /// The variables of a build whose programs keep this home as [`built_in`](Self::built_in).
    pub(crate) fn build_variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("OUTRIGGER_BUILT_REGISTRY", self.registry.as_str()),
            ("OUTRIGGER_BUILT_REPOSITORY", self.repository.as_str()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// This home, with what it lacks.
    fn or(mut self, registry: Option<&str>, repository: Option<&str>) -> Result<Self> {
        if let Some(registry) = registry.filter(|_| self.registry.is_empty()) {
            // Names of owners and repositories may have capitals; names of images have none.
            self.registry = check_registry(&registry.to_lowercase())
                .map_err(|error| usage(format!("{REGISTRY}: {error}")))?;
        }
        if let Some(repository) = repository.filter(|_| self.repository.is_empty()) {
            repository.clone_into(&mut self.repository);
        }
        Ok(self)
    }

    /// The name of an image of this project without a tag: `given` is the registry that the user named. Without any
    /// registry it is the image's name alone, as on the machine that built it.
    pub(crate) fn image(&self, given: Option<&str>, name: &str) -> String {
        match self.registry(given) {
            Some(registry) => format!("{registry}/{name}"),
            None => name.to_owned(),
        }
    }

    /// The registry that the user named, or this project's.
    pub(crate) fn registry<'a>(&'a self, given: Option<&'a str>) -> Option<&'a str> {
        let registry = given.unwrap_or(&self.registry).trim_end_matches('/');
        (!registry.is_empty()).then_some(registry)
    }
}

/// Checks a registry that a user named.
///
/// # Errors
/// What a registry looks like.
pub(crate) fn check_registry(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
    if text.contains("://") || text.is_empty() || !text.chars().all(legal) {
        return Err("must be a host and a path in lower case, without a scheme, such as registry.example.com/team".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// What to say where a registry is needed.
pub(crate) fn no_registry(why: &str) -> anyhow::Error {
    usage(format!(
        "{why}: give --registry, the registry you push images to, such as registry.example.com/team (a fork sets it once, in [workspace.metadata.outrigger] of Cargo.toml)"
    ))
}

fn parse(text: &str) -> Result<Home> {
    let manifest: Manifest =
        toml_edit::de::from_str(text).context("Cargo.toml: [workspace.metadata.outrigger]")?;
    Ok(manifest.workspace.metadata.outrigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_names_no_registry_and_no_repository() {
        assert_eq!(Home::built_in().unwrap(), Home::default());
    }

    #[test]
    fn the_manifest_names_registry_and_repository() {
        let text = "[workspace.metadata.outrigger]\nregistry = \"registry.example.com/a/\"\nrepository = \"https://git.example.com/a\"\n";
        let home = parse(text).unwrap();
        assert_eq!(home.image(None, "bigquery"), "registry.example.com/a/bigquery");
        assert_eq!(
            home.image(Some("mirror.example.com"), "bigquery"),
            "mirror.example.com/bigquery"
        );
        assert_eq!(parse("[package]\nname = \"x\"\n").unwrap().image(None, "bigquery"), "bigquery");
        assert!(parse("[workspace.metadata.outrigger]\nregistri = \"x\"\n").is_err());
    }

    #[test]
    fn a_fork_is_published_in_its_own_home_unless_the_manifest_names_one() {
        let fork = Home::default().or(Some("ghcr.io/Acme/Outrigger"), Some("https://git/x"));
        assert_eq!(fork.unwrap().image(None, "bigquery"), "ghcr.io/acme/outrigger/bigquery");
        let own = parse("[workspace.metadata.outrigger]\nregistry = \"r.example\"\n").unwrap();
        assert_eq!(own.or(Some("ghcr.io/acme/x"), None).unwrap().registry, "r.example");
        let error = Home::default().or(Some("https://ghcr.io"), None).unwrap_err().to_string();
        assert!(error.starts_with("OUTRIGGER_REGISTRY: must be a host"), "{error}");
    }

    #[test]
    fn a_registry_has_no_scheme() {
        assert_eq!(
            check_registry("registry.example.com:5000/team/").unwrap(),
            "registry.example.com:5000/team"
        );
        for wrong in ["", "https://registry.example.com", "Registry/x"] {
            assert!(check_registry(wrong).is_err(), "{wrong}");
        }
    }
}
