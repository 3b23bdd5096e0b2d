//! The generator: creates plugins and keeps them in sync with the template.
//!
//! `template/` defines the files and their owners, a plugin's `plugin.toml` its settings, and `.scaffold/`
//! next to it records what was last written. From these three the generator computes a [`plan`], which is
//! written completely or not at all ([`mod@write`]).

pub(crate) mod chart_values;
pub(crate) mod core_source;
pub(crate) mod format;
pub(crate) mod generator;
pub(crate) mod kind;
pub(crate) mod managed_keys;
pub(crate) mod merge;
pub(crate) mod name;
pub(crate) mod paths;
pub(crate) mod plan;
pub(crate) mod plugin_toml;
pub(crate) mod project;
pub(crate) mod record;
pub(crate) mod render;
#[cfg(test)]
mod rendering;
pub(crate) mod report;
pub(crate) mod task_type;
pub(crate) mod template;
pub(crate) mod write;
