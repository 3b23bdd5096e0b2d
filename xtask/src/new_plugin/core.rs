//! Where a new plugin has `plugin-core` from.

use std::path::Path;

use anyhow::Result;

use super::Args;
use crate::{
    exit::usage,
    home::Home,
    prompt::Prompt,
    scaffold::{
        core_source::{Core, CoreSource},
        kind::Kind,
        plugin_toml::PluginToml,
    },
};

/// Where a standalone plugin in `above` has `plugin-core` from: the user says, unless this program is of a release that
/// has a repository.
pub(super) fn of(args: &Args, above: &Path, prompt: &Prompt) -> Result<Core> {
    if !is_in_rust(args)? {
        return match args.core {
            Some(_) => Err(usage("--core: only a plugin in Rust has plugin-core")),
            None => Ok(Core::of(CoreSource::None)),
        };
    }
    let checked = |core: Core| core.seen_by_plugin_in(above);
    let repository = Home::built_in()?.repository;
    let core = match &args.core {
        // clap would print a URL that it refuses, with a password that is in it by mistake.
        Some(core) => core.parse().map_err(|why| usage(format!("--core: {why}")))?,
        None if !repository.is_empty() => Core { from: repository, ..Core::of(CoreSource::Git) },
        None => {
            let check = |text: &str| text.parse().and_then(checked).map(drop);
            let asked =
                prompt.ask_for("plugin-core from (DIR, git URL, registry:NAME)", None, check)?;
            let asked = asked.ok_or_else(|| {
                usage("missing --core: the directory of a checkout of Outrigger, the URL of a git repository, or registry:NAME")
            })?;
            asked.parse().map_err(usage)?
        }
    };
    checked(core).map_err(usage)
}

/// Whether the new plugin is written in Rust; a file to start from may say that it is not.
fn is_in_rust(args: &Args) -> Result<bool> {
    let theirs = match &args.from {
        Some(file) => {
            let text = starting_file(file)?;
            let about = |error| usage(format!("--from {}: {error:#}", file.display()));
            Some(PluginToml::parse(&text).map_err(about)?.plugin.kind)
        }
        None => None,
    };
    Ok(args.kind_and_language()?.0.or(theirs).unwrap_or_default() == Kind::Rust)
}

/// The file of `--from`.
pub(super) fn starting_file(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| usage(format!("--from {}: {error}", file.display())))
}

/// What a key of plugin.toml has of `core`.
pub(super) fn given<'a>(core: &'a Core, key: &str) -> &'a str {
    if key == "core-source" { &core.from } else { &core.revision }
}

/// Text as plugin.toml has it, unless it is empty.
pub(super) fn text(text: &str) -> Option<toml_edit::Value> {
    (!text.is_empty()).then(|| text.into())
}
