//! `plugin.toml`: a plugin's settings, written by its owner.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use heck::{ToPascalCase as _, ToTitleCase as _};
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table};

use super::{
    core_source::{self, CoreSource},
    kind::{Kind, Language},
    name,
    task_type::TaskType,
};

/// The name of the file.
pub(crate) const FILE: &str = "plugin.toml";
/// The schema version that this code reads.
const SCHEMA: u32 = 1;

/// A whole `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PluginToml {
    schema: u32,
    pub(crate) plugin: Plugin,
    #[serde(default)]
    pub(crate) ports: Ports,
    #[serde(default)]
    pub(crate) image: Image,
    #[serde(default)]
    pub(crate) chart: Chart,
    /// Files that the generator does not manage, with the reason.
    #[serde(default)]
    pub(crate) unmanaged: BTreeMap<String, String>,
    /// The plugins in it, each with its task types; only the bundle has any, which is no plugin of a file.
    #[serde(skip)]
    pub(crate) bundled: Vec<(String, Vec<TaskType>)>,
}

/// `[plugin]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Plugin {
    pub(crate) name: String,
    title: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    #[serde(default)]
    pub(crate) kind: Kind,
    /// Of a plugin behind the bridge.
    pub(crate) language: Option<Language>,
    #[serde(default)]
    pub(crate) mode: Mode,
    pub(crate) task_types: Vec<TaskType>,
    /// Served only if a setting enables them.
    #[serde(default)]
    pub(crate) optional_task_types: Vec<TaskType>,
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) core: CoreSource,
    /// The checkout, git URL or registry that `core` is taken from.
    pub(crate) core_source: Option<String>,
    /// The revision of the git repository; the tag of the template's version if unset.
    pub(crate) core_revision: Option<String>,
    /// The package that has the classes of its tasks; if unset, `tasks/` is generated.
    pub(crate) task_package: Option<String>,
}

impl Plugin {
    /// The name for people, for example `BigQuery`.
    pub(crate) fn title(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.name.to_title_case())
    }

    /// All task types, including the optional ones.
    pub(crate) fn all_task_types(&self) -> impl Iterator<Item = &TaskType> {
        self.task_types.iter().chain(&self.optional_task_types)
    }

    /// The Rust type that implements it.
    pub(crate) fn type_name(&self) -> String {
        self.type_name.clone().unwrap_or_else(|| self.name.to_pascal_case())
    }
}

/// Whether a task is a job that Flyte polls, or a single call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Create, get and delete: a job that runs at the vendor while Flyte polls.
    #[default]
    Async,
    /// One call that responds within seconds.
    Sync,
}

/// `[ports]`: the ports on which the service listens in its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) admin: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { api: 8000, admin: 9090 }
    }
}

/// `[image]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// The image repository; by default the template's registry and the plugin's name.
    pub(crate) repository: Option<String>,
}

/// `[chart]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chart {
    /// Overrides of the template's values.yaml.
    #[serde(default)]
    pub(crate) values: serde_json::Map<String, serde_json::Value>,
    /// What the required settings are, for the error when one is not set.
    #[serde(default)]
    required: BTreeMap<String, Required>,
}

/// `[chart.required.<SETTING>]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Required {
    /// What the setting is, as the rest of a sentence that begins with its name.
    about: String,
    /// A value that the service accepts.
    example: String,
    /// Another setting, which makes this one optional.
    unless: Option<String>,
}

impl Chart {
    /// The variables that must be set to install the chart: those that are empty in `settings`.
    pub(crate) fn required_settings(&self) -> Vec<&str> {
        let settings = self.values.get("settings").and_then(|settings| settings.as_object());
        let empty = settings.into_iter().flatten().filter(|(_, value)| **value == "");
        empty.map(|(name, _)| name.as_str()).collect()
    }

    /// What `setting` is, if the plugin says so.
    pub(crate) fn required(&self, setting: &str) -> Option<&Required> {
        self.required.get(setting)
    }

    /// # Errors
    /// If a setting is not required, or a text cannot stand in a template of Helm's.
    fn check(&self) -> Result<()> {
        let known = self.required_settings();
        for (name, Required { about, example, unless }) in &self.required {
            if !known.contains(&name.as_str()) {
                bail!(
                    "chart.required.{name}: chart.values.settings.{name} is not \"\", so it is not required"
                );
            }
            let illegal =
                |text: &str| text.is_empty() || text.contains(['"', '\\', '{', '}', '\n']);
            if illegal(about) || illegal(example) {
                bail!(
                    "chart.required.{name}: about and example must be text in one line, without quotes, backslashes and braces"
                );
            }
            let is_name = |name: &str| {
                name.starts_with(|c: char| c.is_ascii_uppercase())
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            };
            if unless.as_deref().is_some_and(|other| !is_name(other) || other == name) {
                bail!("chart.required.{name}: unless must be the name of another setting");
            }
        }
        Ok(())
    }
}

impl PluginToml {
    /// Parses `text`.
    ///
    /// # Errors
    /// If it is invalid; the error names the line or the key.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let file = Self::parse_own(text)?;
        name::check_own(&file.plugin.name).map_err(|rule| {
            anyhow!("plugin.name: '{}' is not a valid plugin name: {rule}", file.plugin.name)
        })?;
        Ok(file)
    }

    /// Parses `text`, which describes one of this repository's own services: its name may be reserved.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_own(text: &str) -> Result<Self> {
        let file: Self = toml_edit::de::from_str(text)?;
        if file.schema != SCHEMA {
            bail!("schema = {}: not supported; this version reads schema {SCHEMA}", file.schema);
        }
        if file.plugin.task_types.is_empty() {
            bail!("plugin.task-types: at least one is required");
        }
        if file.ports.api == file.ports.admin || file.ports.api == 0 || file.ports.admin == 0 {
            bail!("ports: api and admin must be different ports from 1 to 65535");
        }
        file.check_kind()?;
        file.check_task_types()?;
        file.check_strings()?;
        Ok(file)
    }

    fn check_kind(&self) -> Result<()> {
        let Plugin { kind, language, optional_task_types, .. } = &self.plugin;
        match (kind, language) {
            (Kind::Rust, Some(_)) => {
                bail!("plugin.language: only a plugin with kind = \"bridge\" has one")
            }
            (Kind::Declarative, Some(_)) => {
                bail!("plugin.language: a plugin with kind = \"declarative\" is a YAML file")
            }
            (Kind::Bridge, None) => bail!(
                "plugin.language: a plugin with kind = \"bridge\" needs one: python, go or typescript"
            ),
            (Kind::Bridge | Kind::Declarative, _) if !optional_task_types.is_empty() => {
                bail!(
                    "plugin.optional-task-types: a plugin of this kind serves all task types: list them in task-types"
                )
            }
            _ => Ok(()),
        }
    }

    fn check_task_types(&self) -> Result<()> {
        let names = self.plugin.all_task_types().map(|each| &each.name).collect::<Vec<_>>();
        let duplicate = (1..names.len()).find(|at| names[..*at].contains(&names[*at]));
        if let Some(at) = duplicate {
            bail!(
                "plugin.task-types: '{}' is listed twice; Flyte supports one version of a type",
                names[at]
            );
        }
        Ok(())
    }

    /// Checks strings that are inserted into Rust, TOML, YAML and Dockerfiles without escaping.
    fn check_strings(&self) -> Result<()> {
        let Plugin { title, type_name, description, owner, task_package, .. } = &self.plugin;
        let strings = [
            ("title", title.as_ref()),
            ("description", Some(description)),
            ("owner", Some(owner)),
            ("task-package", task_package.as_ref()),
        ];
        let forbidden = |c: char| c.is_control() || "\"\\{}$\u{2028}\u{2029}".contains(c);
        for (field, text) in strings {
            if text.is_some_and(|text| text.contains(forbidden) || text.trim() != text) {
                bail!(
                    "plugin.{field}: must be one line without quotes, backslashes, braces, '$' and surrounding whitespace"
                );
            }
            if field != "owner" && text.is_some_and(String::is_empty) {
                bail!("plugin.{field}: must not be empty");
            }
        }
        let is_type = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric())
                && !name::is_taken_type(name)
        };
        if let Some(wrong) = type_name.as_ref().filter(|name| !is_type(name)) {
            bail!(
                "plugin.type: '{wrong}' is not a valid Rust type for the plugin: use letters and digits, starting with a capital, and no name that the plugin's code uses"
            );
        }
        self.check_others()
    }

    /// A standalone plugin in Rust says where its library is.
    fn check_core(&self) -> Result<()> {
        let Plugin { kind, core, core_source: from, core_revision, .. } = &self.plugin;
        let needed = match core {
            CoreSource::Path => Some("the directory of a checkout, such as ../outrigger"),
            CoreSource::Git => Some("the URL of a git repository"),
            CoreSource::Registry => Some("the name of a registry in cargo's configuration"),
            CoreSource::Workspace | CoreSource::None => None,
        };
        match (needed, from) {
            (Some(what), None) if *kind == Kind::Rust => {
                bail!("plugin.core-source: required with this core: {what}")
            }
            (None, Some(_)) => bail!("plugin.core-source: has no meaning with this core"),
            _ => {}
        }
        if *core == CoreSource::None && *kind == Kind::Rust {
            bail!("plugin.core: a plugin in Rust needs plugin-core: path, git or registry");
        }
        if core_revision.is_some() && *core != CoreSource::Git {
            bail!("plugin.core-revision: only with core = \"git\"");
        }
        for (key, text) in [("core-source", from), ("core-revision", core_revision)] {
            if let Some(text) = text {
                core_source::check(text).map_err(|why| anyhow!("plugin.{key}: {why}"))?;
            }
        }
        Ok(())
    }

    fn check_others(&self) -> Result<()> {
        self.check_core()?;
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        if self.image.repository.as_ref().is_some_and(|it| it.is_empty() || !it.chars().all(legal))
        {
            bail!(
                "image.repository: must be a registry, path and name in lower case, such as registry.example.com/team/redshift"
            );
        }
        if let Some((file, _)) = self.unmanaged.iter().find(|(_, reason)| reason.trim().is_empty())
        {
            bail!("unmanaged.\"{file}\": a reason is required");
        }
        // The key that a TOML date has when deserialized as JSON.
        let values = serde_json::Value::Object(self.chart.values.clone()).to_string();
        if values.contains("$__toml_private_datetime") {
            bail!("chart.values: write dates as strings, in quotes");
        }
        self.chart.check()
    }
}

/// `text` with `value` at `path`; everything else, including comments, is unchanged.
///
/// # Errors
/// If `text` is not TOML, or something on the path is not a table.
pub(crate) fn with_value(text: &str, path: &[&str], value: toml_edit::Value) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let (last, tables) = path.split_last().context("the path is empty")?;
    table_at(&mut document, tables)?.insert(last, Item::Value(value));
    Ok(document.to_string())
}

/// `text` without the value at `path`.
///
/// # Errors
/// As [`with_value`].
pub(crate) fn without(text: &str, path: &[&str]) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let (last, tables) = path.split_last().context("the path is empty")?;
    table_at(&mut document, tables)?.remove(last);
    Ok(document.to_string())
}

fn table_at<'a>(
    document: &'a mut DocumentMut,
    path: &[&str],
) -> Result<&'a mut dyn toml_edit::TableLike> {
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for key in path {
        let item = table.entry(key).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = item.as_table_like_mut().with_context(|| format!("{key} is not a table"))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
