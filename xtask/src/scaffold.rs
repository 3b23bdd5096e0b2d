//! The generator: what a plugin is made of, and how fifty of them are kept in step.
//!
//! `template/` says what the files are and whose; a plugin's `plugin.toml` says what is different in
//! that plugin; `.scaffold/` beside it says what was last written. From these three a [`plan`] is
//! made, and only a whole plan is written ([`mod@write`]).

pub(crate) mod chart_values;
pub(crate) mod format;
pub(crate) mod generator;
pub(crate) mod managed_keys;
pub(crate) mod merge;
pub(crate) mod name;
pub(crate) mod plan;
pub(crate) mod plugin_toml;
pub(crate) mod project;
pub(crate) mod record;
pub(crate) mod render;
#[cfg(test)]
mod rendering;
pub(crate) mod report;
pub(crate) mod template;
pub(crate) mod write;
