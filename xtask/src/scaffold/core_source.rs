//! Where `plugin-core` comes from.

use std::{path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

/// The way in which cargo gets `plugin-core`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CoreSource {
    /// The workspace that the plugin is a member of.
    #[default]
    Workspace,
    /// A checkout of Outrigger, for a standalone plugin.
    Path,
    /// A git repository, for a standalone plugin.
    Git,
    /// A package registry, for a standalone plugin.
    Registry,
    /// Nowhere: a standalone plugin behind the bridge does not need it.
    None,
}

/// What `--core` says: a checkout, a git repository or a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Core {
    pub(crate) source: CoreSource,
    /// The directory, the URL or the registry's name in cargo's configuration.
    pub(crate) from: String,
    /// The revision of a git repository; the tag of this version if empty.
    pub(crate) revision: String,
}

impl Core {
    pub(crate) fn of(source: CoreSource) -> Self {
        Self { source, from: String::new(), revision: String::new() }
    }

    /// The same, from the directory of a plugin in `above`.
    ///
    /// # Errors
    /// If it is a directory without `plugin-core`.
    pub(crate) fn seen_by_plugin_in(mut self, above: &Path) -> Result<Self, String> {
        if self.source != CoreSource::Path {
            return Ok(self);
        }
        let checkout = above.join(&self.from);
        if !checkout.join("plugin-core/Cargo.toml").is_file() {
            return Err(format!(
                "--core {}: no checkout of Outrigger (plugin-core/Cargo.toml is missing)",
                self.from
            ));
        }
        if Path::new(&self.from).is_relative() {
            self.from = format!("../{}", self.from.trim_start_matches("./"));
        }
        self.from = self.from.trim_end_matches('/').to_owned();
        Ok(self)
    }
}

impl FromStr for Core {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if has_password(text) {
            return Err(
                "the URL must have no password or token, which the plugin's files would keep; git asks its credential \
                 helper for them, or use ssh"
                    .to_owned(),
            );
        }
        let is_git = text.contains("://") || text.starts_with("git@");
        let core = if let Some(name) = text.strip_prefix("registry:") {
            Self { from: name.to_owned(), ..Self::of(CoreSource::Registry) }
        } else if is_git {
            let (url, revision) = text.split_once('#').unwrap_or((text, ""));
            Self {
                from: url.to_owned(),
                revision: revision.to_owned(),
                ..Self::of(CoreSource::Git)
            }
        } else {
            Self { from: text.to_owned(), ..Self::of(CoreSource::Path) }
        };
        check(&core.from).and(if core.revision.is_empty() {
            Ok(())
        } else {
            check(&core.revision)
        })?;
        Ok(core)
    }
}

/// Whether `text` is a URL with something secret before its host. Over ssh a user's name alone is none.
fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '#', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':') || !scheme.contains("ssh"))
}

/// Checks text that is inserted into TOML and Dockerfiles without escaping.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/._-:@+~%".contains(c);
    if text.is_empty() || !text.chars().all(legal) {
        return Err(
            "must be a directory, a git URL or registry:NAME, without spaces and quotes".to_owned()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_urls_and_registries_are_told_apart() {
        let table = [
            ("../outrigger", CoreSource::Path, "../outrigger", ""),
            ("https://git.example.com/a/b", CoreSource::Git, "https://git.example.com/a/b", ""),
            ("git@git.example.com:a/b#abc", CoreSource::Git, "git@git.example.com:a/b", "abc"),
            ("file:///srv/outrigger", CoreSource::Git, "file:///srv/outrigger", ""),
            ("registry:acme", CoreSource::Registry, "acme", ""),
        ];
        for (text, source, from, revision) in table {
            let wanted = Core { source, from: from.to_owned(), revision: revision.to_owned() };
            assert_eq!(text.parse::<Core>().unwrap(), wanted, "{text}");
        }
        for wrong in ["", "registry:", "a b", "\"", "https://x#\""] {
            assert!(wrong.parse::<Core>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_has_no_password() {
        for wrong in ["https://u:hunter2@h/a", "https://hunter2@h/a", "ssh://git:hunter2@h/a#v1"] {
            let error = wrong.parse::<Core>().unwrap_err();
            assert!(error.starts_with("the URL must have no password"), "{error}");
        }
        for right in ["ssh://git@h/a/b", "git@h:a/b", "https://h/a@b", "git+ssh://git@h/a"] {
            assert!(right.parse::<Core>().is_ok(), "{right}");
        }
    }

    #[test]
    fn a_checkout_is_relative_to_the_plugin() {
        let above = tempfile::tempdir().unwrap();
        let core = above.path().join("outrigger/plugin-core");
        std::fs::create_dir_all(&core).unwrap();
        std::fs::write(core.join("Cargo.toml"), "").unwrap();
        let from = |text: &str| text.parse::<Core>().unwrap().seen_by_plugin_in(above.path());
        assert_eq!(from("./outrigger/").unwrap().from, "../outrigger");
        let absolute = above.path().join("outrigger").display().to_string();
        assert_eq!(from(&absolute).unwrap().from, absolute);
        assert!(from("elsewhere").unwrap_err().contains("plugin-core/Cargo.toml"));
    }
}
