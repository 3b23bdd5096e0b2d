//! What a plugin is written in, and which files of the template it has.

use serde::{Deserialize, Serialize};

/// What serves a plugin's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A Rust program of its own.
    #[default]
    Rust,
    /// A server in another language, behind the bridge.
    Bridge,
    /// A YAML file, which services/declarative serves.
    Declarative,
}

/// The language of a plugin behind the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Language {
    /// Python 3.10 or later, with the package outrigger-plugin.
    Python,
    /// Go, with its standard library alone.
    Go,
    /// TypeScript on Node.js, with its standard library alone.
    Typescript,
}

impl Language {
    /// The directory of its files below `template/`.
    const fn directory(self) -> &'static str {
        match self {
            Self::Python => "bridge/python/",
            Self::Go => "bridge/go/",
            Self::Typescript => "bridge/typescript/",
        }
    }

    /// The file that the author writes.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Python => "plugin.py",
            Self::Go => "plugin.go",
            Self::Typescript => "plugin.ts",
        }
    }

    /// What `outrigger serve` serves it by, in the plugin's directory.
    pub(crate) const fn serve(self) -> &'static str {
        match self {
            Self::Python => "plugin:app",
            Self::Go => "--command 'go run .'",
            Self::Typescript => "--command 'node dist/plugin.js'",
        }
    }

    /// Commands that succeed if its tests can run, with their arguments.
    pub(crate) const fn needs(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::Python => &[("python", &["-c", "import outrigger_plugin, pytest"])],
            Self::Go => &[("go", &["version"])],
            Self::Typescript => &[("npm", &["--version"])],
        }
    }

    /// The command that runs its tests, in the plugin's directory.
    pub(crate) const fn test(self) -> &'static str {
        match self {
            Self::Python => "python -m pytest",
            Self::Go => "go test ./...",
            Self::Typescript => "npm ci && npm test",
        }
    }
}

/// The directory of Rust plugins' files below `template/`.
const RUST: &str = "service/";
/// The directory of the files below `template/` of plugins that are YAML files.
const DECLARATIVE: &str = "declarative/";
/// The file of a plugin that is one, which its author writes.
pub(crate) const PLUGIN: &str = "plugin.yaml";
/// Its copy in the chart: Helm reads no files outside it.
pub(crate) const PLUGIN_IN_CHART: &str = "chart/files/plugin.yaml";
/// The file there that plugins of every kind have.
const SHARED: &str = "service/plugin.toml";

/// The path in a plugin's directory of the template's file `path`.
pub(crate) fn below_plugin(path: &str) -> &str {
    directory(path).map_or(path, |directory| &path[directory.len()..])
}

/// Whether a plugin of `kind`, in `language` if it has one, has the template's file `path`.
pub(crate) fn has(kind: Kind, language: Option<Language>, path: &str) -> bool {
    let own = match kind {
        Kind::Declarative => DECLARATIVE,
        Kind::Rust | Kind::Bridge => language.map_or(RUST, Language::directory),
    };
    path == SHARED || directory(path).is_none_or(|directory| directory == own)
}

/// The directory of a kind that `path` is in; `None` for what all kinds have.
fn directory(path: &str) -> Option<&'static str> {
    let languages = [Language::Python, Language::Go, Language::Typescript];
    let directories = languages.map(Language::directory);
    directories.into_iter().chain([RUST, DECLARATIVE]).find(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_the_files_of_its_kind_and_those_of_all() {
        let table = [
            ("service/src/lib.rs", "rust"),
            ("bridge/go/plugin.go", "go"),
            ("bridge/python/plugin.py", "python"),
            ("declarative/plugin.yaml", "declarative"),
            ("service/plugin.toml", "rust go python declarative"),
            ("chart/Chart.yaml", "rust go python declarative"),
        ];
        let kinds = [
            ("rust", (Kind::Rust, None)),
            ("go", (Kind::Bridge, Some(Language::Go))),
            ("python", (Kind::Bridge, Some(Language::Python))),
            ("declarative", (Kind::Declarative, None)),
        ];
        for (path, wanted) in table {
            let having = kinds.iter().filter(|(_, (kind, language))| has(*kind, *language, path));
            let having = having.map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
            assert_eq!(having, wanted, "{path}");
        }
    }

    #[test]
    fn files_of_a_kind_are_at_the_top_of_the_plugin() {
        assert_eq!(below_plugin("service/src/lib.rs"), "src/lib.rs");
        assert_eq!(below_plugin("bridge/typescript/plugin.ts"), "plugin.ts");
        assert_eq!(below_plugin("declarative/chart/files/plugin.yaml"), PLUGIN_IN_CHART);
        assert_eq!(below_plugin("chart/Chart.yaml"), "chart/Chart.yaml");
    }
}
